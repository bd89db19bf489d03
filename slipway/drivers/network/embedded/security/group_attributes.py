"""The attributes of security groups and their rules, and what of a rule does not go together.

Neutron: `extensions/securitygroup.py` and `db/securitygroups_db.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.resource import REQUIRED, Attribute, Resource
from slipway.model.neutron import ANY_PROTOCOL, IPV6_PROTOCOLS, PROTOCOLS, PROTOCOLS_WITH_PORTS

_description = Attribute(checks.text(), "")
_project = Attribute(checks.text(), put=False, none_is_unset=True)


def _group_name(value: Any, name: str) -> str:
    given = checks.one_line(value, name)
    if given.lower() == "default":
        raise errors.SecurityGroupDefaultAlreadyExists("security group default: every project has it already")
    return given


SECURITY_GROUP = Resource(
    "security_group",
    {"name": Attribute(_group_name, ""), "project_id": _project, "description": _description},
    read_only=("id", "rules", "created_at"),
)

_WITH_PORTS = {*PROTOCOLS_WITH_PORTS, *(str(PROTOCOLS[name]) for name in PROTOCOLS_WITH_PORTS)}
_ICMP = ("icmp", "icmpv6", "ipv6-icmp", "1", "58")
_IPV6 = {*IPV6_PROTOCOLS, *(str(PROTOCOLS[name]) for name in IPV6_PROTOCOLS)}
_NAMES = sorted({*ANY_PROTOCOL, *PROTOCOLS})


def _protocol(value: Any, name: str) -> str | None:
    """A protocol's name in lower case or its number as text; None for `any`."""
    word = str(value).lower()
    if re.fullmatch("[0-9]{1,3}", word, re.ASCII) and int(word) <= 255:
        return str(int(word))
    if word not in _NAMES:
        raise errors.SecurityGroupRuleInvalidProtocol(
            f"{name}: {value!r} is no number of 0 to 255 and none of {', '.join(_NAMES)}"
        )
    return None if word == "any" else word


def _ethertype(value: Any, name: str) -> str:
    for known in ("IPv4", "IPv6"):
        if isinstance(value, str) and value.lower() == known.lower():
            return known
    raise errors.SecurityGroupRuleInvalidEtherType(f"{name}: {value!r} is neither IPv4 nor IPv6")


def _port(value: Any, name: str) -> int:
    try:
        number = checks.integer(value, name)
    except errors.InvalidInput as error:
        raise errors.SecurityGroupInvalidPortValue(str(error)) from error
    if not 0 <= number <= 65535:
        raise errors.SecurityGroupInvalidPortValue(f"{name}: {number} is not a port of 1 to 65535")
    return number


def _prefix(value: Any, name: str) -> str | None:
    if value == "":
        return None
    if isinstance(value, str) and "%" not in value:
        try:
            return str(ip_network(value, strict=False))
        except ValueError:
            pass
    raise errors.InvalidCIDR(f"{name}: {value!r} is not a valid CIDR")


SECURITY_GROUP_RULE = Resource(
    "security_group_rule",
    {
        "description": _description,
        "security_group_id": Attribute(checks.uuid_text, REQUIRED),
        "remote_group_id": Attribute(checks.optional(checks.text()), None),
        "direction": Attribute(checks.one_of("ingress", "egress"), REQUIRED),
        "protocol": Attribute(checks.optional(_protocol), None),
        "port_range_min": Attribute(checks.optional(_port), None),
        "port_range_max": Attribute(checks.optional(_port), None),
        "ethertype": Attribute(_ethertype, "IPv4"),
        "remote_ip_prefix": Attribute(checks.optional(_prefix), None),
        "project_id": _project,
    },
    read_only=("id",),
)


def check_rule(values: Mapping[str, Any]) -> None:
    """Raises the subclass of `InvalidInput` for what of a rule does not go together."""
    protocol, ethertype, prefix = values["protocol"], values["ethertype"], values["remote_ip_prefix"]
    _check_ports(protocol, values["port_range_min"], values["port_range_max"])
    if prefix is not None and (":" in prefix) != (ethertype == "IPv6"):
        raise errors.SecurityGroupRuleParameterConflict(
            f"remote_ip_prefix: {prefix} does not match the ethertype {ethertype}"
        )
    if protocol in _IPV6 and ethertype == "IPv4":
        raise errors.SecurityGroupEthertypeConflictWithProtocol(
            f"protocol: {protocol} does not match the ethertype {ethertype}"
        )
    if prefix is not None and values["remote_group_id"] is not None:
        raise errors.SecurityGroupMultipleRemoteEntites(
            "remote_ip_prefix: cannot be given together with remote_group_id"
        )


def _check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if protocol is None:
        raise errors.SecurityGroupProtocolRequiredWithPorts("protocol: must be given where ports are")
    if protocol in _WITH_PORTS:
        for name, port in (("port_range_min", low), ("port_range_max", high)):
            if port == 0:
                raise errors.SecurityGroupInvalidPortValue(f"{name}: 0 is not a port of 1 to 65535")
        if low is None or high is None or low > high:
            raise errors.SecurityGroupInvalidPortRange(
                f"port_range_min: {low} to port_range_max: {high} is not a range of ports"
            )
    elif protocol in _ICMP:
        _check_icmp(low, high)
    else:
        raise errors.SecurityGroupInvalidProtocolForPort(f"protocol: {protocol} has no ports, so none can be given")


def _check_icmp(kind: int | None, code: int | None) -> None:
    for name, value in (("port_range_min", kind), ("port_range_max", code)):
        if value is not None and value > 255:
            raise errors.SecurityGroupInvalidIcmpValue(f"{name}: {value} is no ICMP type or code of 0 to 255")
    if kind is None:
        raise errors.SecurityGroupMissingIcmpType("port_range_max: an ICMP code needs its type in port_range_min")

"""The attributes of routers, floating IPs and port forwardings, in the order in which Neutron checks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.resource import REQUIRED, Attribute, Resource
from slipway.drivers.network.embedded.ports.port_attributes import fixed_ips
from slipway.drivers.network.embedded.topology.attributes import routes
from slipway.model.hostname import is_dns_name
from slipway.model.neutron import PROTOCOLS_WITH_PORTS

_GATEWAY = ("external_fixed_ips", "enable_snat")
_MAX_PORT = 65535


def _gateway(value: Any, name: str) -> dict[str, Any] | None:
    """What was given of a gateway; None for none at all (Neutron: `{}` as well)."""
    if not value:
        return None
    given = checks.mapping(value, name, ("network_id",), _GATEWAY)
    found: dict[str, Any] = {"network_id": checks.uuid_text(given["network_id"], name)}
    if "external_fixed_ips" in given:
        found["external_fixed_ips"] = fixed_ips(given["external_fixed_ips"], name)
    if "enable_snat" in given:
        found["enable_snat"] = checks.boolean(given["enable_snat"], name)
    return found


ROUTER = Resource(
    "router",
    {
        "name": Attribute(checks.printable, ""),
        "admin_state_up": Attribute(checks.boolean, True),
        "project_id": Attribute(checks.text(), put=False, none_is_unset=True),
        "external_gateway_info": Attribute(_gateway, None),
        "routes": Attribute(routes, post=False),
        # For administrators alone, and without a meaning where routers are on one host.
        "distributed": Attribute(checks.optional(checks.boolean)),
        "ha": Attribute(checks.optional(checks.boolean)),
        "description": Attribute(checks.text(), ""),
    },
    read_only=("id", "status", "created_at"),
)


def _fip_name(value: Any, name: str) -> str:
    given: str = checks.text()(value, name)
    if given and (given.endswith(".") or not is_dns_name(given.lower())):
        raise checks.bad(name, f"{value!r} is not a relative DNS name")
    return given


FLOATING_IP = Resource(
    "floatingip",
    {
        "floating_ip_address": Attribute(checks.optional(checks.address), None, put=False),
        "subnet_id": Attribute(checks.optional(checks.uuid_text), None, put=False),
        "floating_network_id": Attribute(checks.uuid_text, REQUIRED, put=False),
        "router_id": Attribute(checks.optional(checks.uuid_text), None),
        "port_id": Attribute(checks.optional(checks.uuid_text), None),
        "fixed_ip_address": Attribute(checks.optional(checks.address), None),
        "project_id": Attribute(checks.text(), put=False, none_is_unset=True),
        "description": Attribute(checks.text(), ""),
        "dns_name": Attribute(_fip_name, "", put=False),
        "dns_domain": Attribute(checks.dns_domain, "", put=False),
    },
    read_only=("id", "status", "port_forwardings", "created_at"),
)


def _port(value: Any, name: str) -> tuple[int, int] | None:
    """One port number, as a range of one."""
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise checks.bad(name, f"{value!r} is not an integer") from error
    if not 1 <= number <= _MAX_PORT:
        raise checks.bad(name, f"{number} is no port of 1 to {_MAX_PORT}")
    return number, number


def _ports(value: Any, name: str) -> tuple[int, int] | None:
    """A range of ports, `first:last`, or one."""
    if value is None:
        return None
    parts = str(value).split(":")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise checks.bad(name, f"{value!r} is not first:last")
    ends = [_port(part, name) for part in parts]
    first, last = ends[0], ends[-1]
    assert first is not None
    assert last is not None
    if last[0] < first[0]:
        raise checks.bad(name, f"{value!r} ends before it begins")
    return first[0], last[0]


def _protocol(value: Any, name: str) -> str:
    """A protocol that has ports. Neutron takes others, whose forwardings do nothing."""
    if not isinstance(value, str):
        raise errors.InvalidInput(f"{name}: {value!r} is not a string")
    return checks.one_of(*PROTOCOLS_WITH_PORTS)(value, name)  # type: ignore[no-any-return]


FORWARDING = Resource(
    "port_forwarding",
    {
        "project_id": Attribute(checks.text(), put=False, none_is_unset=True),
        "external_port": Attribute(_port, None),
        "internal_port": Attribute(_port, None),
        "internal_ip_address": Attribute(checks.address, REQUIRED),
        "protocol": Attribute(_protocol, REQUIRED),
        "internal_port_id": Attribute(checks.uuid_text, REQUIRED),
        "external_port_range": Attribute(_ports, None),
        "internal_port_range": Attribute(_ports, None),
        "description": Attribute(checks.text(), ""),
    },
    read_only=("id", "floatingip_id"),
)


def ports_of(values: Mapping[str, Any], side: str) -> tuple[int, int] | None:
    """The first and last port that was given of this side, as one or as a range; None: neither."""
    given: tuple[int, int] | None = values.get(f"{side}_port_range") or values.get(f"{side}_port")
    return given

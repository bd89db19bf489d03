"""The attributes of ports, in the order in which Neutron checks them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from slipway import errors
from slipway.drivers.dhcp_options import check_form
from slipway.drivers.network.embedded.addressing.fixed_ips import Wanted
from slipway.drivers.network.embedded.common import checks
from slipway.drivers.network.embedded.common.checks import Check
from slipway.drivers.network.embedded.common.macs import canonical
from slipway.drivers.network.embedded.common.resource import REQUIRED, Attribute, Resource
from slipway.model.hostname import is_dns_name
from slipway.model.network import DhcpOption
from slipway.model.neutron import FIXED_IP_KEYS

MAX_ADDRESS_PAIRS = 10
MAY_BE_BLANK = ("router", "classless-static-route")
"""DHCP options whose empty value says something."""


def fixed_ips(value: Any, name: str) -> list[Wanted]:
    """A list of addresses: by subnet, by address, or by both."""
    if not isinstance(value, (list, tuple)):
        raise checks.bad(name, f"{value!r} is not a list")
    wanted, seen = [], set()
    for item in value:
        given = checks.mapping(item, name, (), FIXED_IP_KEYS).get("ip_address")
        address = checks.address(given, name) if "ip_address" in item else None
        if address is not None and given in seen:
            raise checks.bad(name, f"{given!r} is named twice")
        seen.add(given)
        wanted.append(Wanted(checks.uuid_text(item["subnet_id"], name) if "subnet_id" in item else None, address))
    return wanted


def _dhcp_options(value: Any, name: str) -> list[dict[str, Any]]:
    try:
        given = [checks.mapping(item, name, ("opt_name", "opt_value"), ("ip_version",)) for item in _list(value, name)]
        options = [_dhcp_option(item, name) for item in given]
    except errors.HTTPBadRequest as error:
        raise errors.InvalidInput(str(error)) from error
    keys = [(option["opt_name"], option["ip_version"]) for option in options]
    if len(set(keys)) != len(keys):
        raise checks.bad(name, "an option is named twice")
    return options


def _dhcp_option(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    option, value = item["opt_name"], item["opt_value"]
    may_be_blank = option in MAY_BE_BLANK
    checks.text(64)(option, name)
    if value is not None:
        checks.text()(value, name)
    for part in (option,) if may_be_blank or value is None else (option, value):
        if not part.strip() or len(part.splitlines()) > 1:
            raise checks.bad(name, f"{part!r} is blank or has several lines")
    version = checks.ip_version(item.get("ip_version", 4), name)
    if value is not None:
        try:
            # Stricter than Neutron, where one such value keeps a network's DHCP server from starting.
            check_form(DhcpOption(option, value, version))
        except ValueError as error:
            raise checks.bad(name, str(error)) from error
    return {"opt_name": option, "opt_value": value, "ip_version": version}


def says_something(option: Mapping[str, Any]) -> bool:
    """Whether a DHCP option is to be kept: without a value only where that means something."""
    return option["opt_value"] is not None and bool(option["opt_value"] or option["opt_name"] in MAY_BE_BLANK)


def _list(value: Any, name: str) -> list[Any]:
    given = checks.items(value, name)
    if any(item in given[:index] for index, item in enumerate(given)):
        raise checks.bad(name, "an item is named twice")
    return given


def _address_pairs(value: Any, name: str) -> list[dict[str, str]]:
    given = checks.items(value, name)
    if len(given) > MAX_ADDRESS_PAIRS:
        raise errors.AllowedAddressPairExhausted(f"{name}: {len(given)} are too many, {MAX_ADDRESS_PAIRS} are allowed")
    pairs: list[dict[str, str]] = []
    for item in given:
        if not isinstance(item, Mapping):
            raise checks.bad(name, f"{item!r} is not a mapping with ip_address and mac_address")
        pair = {"mac_address": canonical(item["mac_address"])} if "mac_address" in item else {}
        if "ip_address" not in item:
            raise errors.AllowedAddressPairsMissingIP(f"{name}: {dict(item)!r} has no ip_address")
        checks.mapping(item, name, ("ip_address",), ("mac_address",))
        pair["ip_address"] = _pair_address(item["ip_address"], name)
        if pair in pairs:
            raise errors.DuplicateAddressPairInRequest(f"{name}: {item['ip_address']} is named twice")
        pairs.append(pair)
    return pairs


_MULTICAST = {4: ip_network("224.0.0.0/4"), 6: ip_network("ff00::/8")}
_EVERY_IPV4 = ip_network("0.0.0.0/0")


def _pair_address(value: Any, name: str) -> str:
    """An address or a network of addresses, as it was written. Neutron: nobody sends from a multicast address."""
    check: Check = checks.network if "/" in str(value) else checks.address
    given = ip_network(check(value, name))
    if given != _EVERY_IPV4 and given.overlaps(_MULTICAST[given.version]):
        raise checks.bad(name, f"{value} has multicast addresses, from which nobody sends")
    return str(value)


def _mac(value: Any, _name: str) -> str | None:
    return None if value is None else canonical(value)


def _profile(value: Any, name: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise checks.bad(name, f"{value!r} is not a mapping")
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise checks.bad(name, f"cannot be said in JSON: {error}") from error
    return dict(value or {})


def _host(value: Any, name: str) -> str:
    return checks.text()(value, name) if value else ""


def _dns_name(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise errors.InvalidInput(f"{name}: {value!r} is not a string")
    if value and not is_dns_name(value.lower()):
        raise checks.bad(name, f"{value!r} is not a valid DNS name")
    return checks.text(256)(value.lower(), name)  # type: ignore[no-any-return]


VNIC_TYPES = (
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
    "remote-managed",
)

PORT = Resource(
    "port",
    {
        "name": Attribute(checks.printable, ""),
        "network_id": Attribute(checks.uuid_text, REQUIRED, put=False),
        "admin_state_up": Attribute(checks.boolean, True),
        "mac_address": Attribute(_mac, None, none_is_unset=True),
        "fixed_ips": Attribute(fixed_ips, None, none_is_unset=True),
        "device_id": Attribute(checks.text(), ""),
        "device_owner": Attribute(checks.text(), ""),
        "project_id": Attribute(checks.text(), put=False, none_is_unset=True),
        "allowed_address_pairs": Attribute(_address_pairs, ()),
        "extra_dhcp_opts": Attribute(_dhcp_options, ()),
        "binding_vnic_type": Attribute(checks.one_of(*VNIC_TYPES), "normal"),
        "binding_host_id": Attribute(_host, None),
        "binding_profile": Attribute(_profile, None),
        "port_security_enabled": Attribute(checks.boolean, None),
        "dns_name": Attribute(_dns_name, ""),
        "description": Attribute(checks.text(), ""),
        "security_groups": Attribute(checks.uuid_list, None, none_is_unset=True),
    },
    read_only=("id", "status", "binding_vif_type", "binding_vif_details", "created_at"),
)

"""Which ports are to be filtered and how: a file for each port on each host of the installation that this machine has.

A port is on two hosts while its instance goes from one to the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import msgspec
from msgspec import Struct

from slipway.drivers.files import file_name, locked, make_directories, remove, replace
from slipway.errors import WiringError
from slipway.model.machine import Vif
from slipway.model.network import AddressPair, SecurityGroupRule
from slipway.model.neutron import protocol_number
from slipway.model.request import Host

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"[0-9a-fA-F.:/]+")

Source = tuple[str, IPv4Network | IPv6Network]
"""A MAC address, and addresses that may be a source with it."""


Place = tuple[str, str]
"""A port's id, and the host on which it is."""


class FilteredPort(Struct, frozen=True):
    """A port as its filter needs it. Nothing in it has a form that could mean something else in a ruleset."""

    port_id: str
    host: str
    netns: str | None
    devname: str
    bridge: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]
    pairs: tuple[AddressPair, ...]
    port_security: bool
    groups: tuple[str, ...]
    rules: tuple[SecurityGroupRule, ...]
    up: bool = True

    @property
    def place(self) -> Place:
        """The port's id, and its host."""
        return self.port_id, self.host

    @property
    def sources(self) -> Sequence[Source]:
        """The port's own MAC with its addresses, and its pairs."""
        own = [(self.mac, ip_network(address)) for address in self.addresses]
        return [*own, *((pair.mac_address, ip_network(pair.ip_address, strict=False)) for pair in self.pairs)]

    @property
    def remote_groups(self) -> set[str]:
        """The groups that its rules name."""
        return {rule.remote_group_id for rule in self.rules if rule.remote_group_id is not None}


def filtered_port(host: Host, vif: Vif, rules: Sequence[SecurityGroupRule]) -> FilteredPort:
    """What is to be filtered at the VIF. Raises `WiringError` for a value that is none of its kind."""
    try:
        for device in (vif.devname, vif.bridge):
            _matching(_DEVICE, device)
        return FilteredPort(
            port_id=_uuid(vif.port_id),
            host=host.name,
            netns=host.netns,
            devname=vif.devname,
            bridge=vif.bridge,
            network_id=_uuid(vif.network_id),
            mac=_mac(vif.mac_address),
            addresses=tuple(_address(ip.ip_address) for ip in vif.fixed_ips),
            pairs=tuple(
                AddressPair(_address(p.ip_address), _mac(p.mac_address or vif.mac_address))
                for p in vif.allowed_address_pairs
            ),
            port_security=vif.port_security_enabled,
            groups=tuple(_uuid(group) for group in vif.security_groups),
            rules=_checked_rules(rules),
            up=vif.admin_up,
        )
    except ValueError as error:
        raise WiringError(f"{host.name}: port {vif.port_id} cannot be filtered: {error}") from error


def _checked_rules(rules: Sequence[SecurityGroupRule]) -> tuple[SecurityGroupRule, ...]:
    """The rules, if what goes into a ruleset has the form that it must have. Raises `WiringError`."""
    for rule in rules:
        try:
            _check(rule)
        except ValueError as error:
            raise WiringError(f"security group rule {rule.id} cannot be applied: {error}") from error
    return tuple(rules)


def _check(rule: SecurityGroupRule) -> None:
    if rule.direction not in ("ingress", "egress") or rule.ethertype not in ("IPv4", "IPv6"):
        raise ValueError(f"{rule.direction!r} of {rule.ethertype!r}")
    if not 0 <= protocol_number(rule.protocol, rule.ethertype) <= 255:
        raise ValueError(f"protocol {rule.protocol!r}")
    for port in (rule.port_range_min, rule.port_range_max):
        if port is not None and not 0 <= int(port) <= 65535:
            raise ValueError(f"port {port!r}")
    if rule.remote_group_id is not None:
        _uuid(rule.remote_group_id)
    if rule.remote_ip_prefix is not None:
        version = ip_network(_address(rule.remote_ip_prefix)).version
        if f"IPv{version}" != rule.ethertype:
            raise ValueError(f"{rule.remote_ip_prefix} is not {rule.ethertype}")


def _matching(form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise ValueError(f"{text!r} has not the form {form.pattern}")
    return text


def _mac(text: str) -> str:
    return _matching(_MAC, text.lower())


def _address(text: str) -> str:
    return str(ip_network(_matching(_ADDRESS, text), strict=False))


def _uuid(text: str) -> str:
    return _matching(_UUID, text)


class FilteredPorts:
    """The files, under one lock: the kernel's rulesets are made from them and from nothing else."""

    def __init__(self, state: Path) -> None:
        self._directory = state.absolute() / "filters"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one of all processes who changes files and the rulesets made of them."""
        try:
            make_directories(self._directory)
            with locked(self._directory):
                yield
        except OSError as error:
            raise WiringError(f"what ports are to be filtered cannot be kept: {error}") from error

    def read(self) -> Mapping[Place, FilteredPort]:
        """All ports, by id and host. Raises `WiringError` when a file cannot be understood."""
        ports = {}
        try:
            for path in sorted(self._directory.glob("*.json")):
                port = msgspec.json.decode(path.read_bytes(), type=FilteredPort)
                ports[port.place] = port
        except (OSError, msgspec.DecodeError) as error:
            raise WiringError(f"{path} cannot be read: {error}; applying the port's filter again makes it") from error
        return ports

    def write(self, port: FilteredPort) -> None:
        """Keep the port. Needs `locked`."""
        self._forget_older(port.place)
        replace(self._path(port.place), msgspec.json.encode(port))

    def delete(self, place: Place) -> None:
        """Drop the port on that host. Absent: nothing happens. Needs `locked`."""
        self._forget_older(place)
        remove(self._path(place))

    def _forget_older(self, place: Place) -> None:
        """Until a port could be on two hosts its file did not say in its name on which it is."""
        path = Path(self._directory, f"{file_name(place[0])}.json")
        if path.exists() and msgspec.json.decode(path.read_bytes(), type=FilteredPort).place == place:
            remove(str(path))

    def _path(self, place: Place) -> str:
        return f"{self._directory}/{file_name(place[0])}@{file_name(place[1])}.json"

"""The steps by which an instance that was built gets another name, or its ports other security groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from slipway.flows.tasks.allocate import security_groups
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.flows.tasks.requirements import NetworkTask
from slipway.flows.tasks.wiring import WiringTask, as_served, has_wiring, rules_of, server_key
from slipway.model.hostname import dns_name
from slipway.model.machine import Nic, Vif
from slipway.model.network import Port
from slipway.model.record import Scope
from slipway.model.request import Host
from slipway.states import instances
from slipway.states.effects import effects_of, results
from slipway.states.intent import Durability


class Reworded(Struct, frozen=True):
    """A port as it was before a change, and the DNS name and the security groups (ids) that it is to have."""

    port: Port
    dns_name: str
    security_groups: tuple[str, ...]


class PortsToReword(Task):
    """Say which ports that were made for the instance get another DNS name, or other security groups.

    Needs no undo: it only looks. It is recorded, since what they were is put back where the change fails.
    """

    name = "ports-to-reword"
    kind = "ports-to-reword"
    in_build_only = True
    vital = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A result only."""
        return Durability.RECORDED

    def do(self, work: BuildWork) -> tuple[Reworded, ...]:
        """Raises `PortNotFound`, `SecurityGroupNotFound`, `NoUniqueMatch`."""
        assert work.change is not None
        named = dns_name(work.instance.request.name)
        groups = security_groups(work) if work.change.regroups else None
        found: list[Reworded] = []
        for port_id in _made(work):
            port = work.tools.drivers.network.show_port(work.admin, port_id)
            # A service that knows no DNS names has given it none.
            name = named if port.dns_name else ""
            now = port.security_groups if groups is None else groups
            if (name, set(now)) != (port.dns_name, set(port.security_groups)):
                found.append(Reworded(port, name, tuple(now)))
        return tuple(found)


class RewordPort(NetworkTask):
    """Give a port that was made for the instance its new DNS name and its new security groups."""

    name = "reword-port"
    kind = "reworded-port"
    in_build_only = True
    vital = True
    passing = True
    scope = Scope.INSTANCE

    def do(self, work: BuildWork, change: Reworded) -> None:
        """Raises what the network service does."""
        _reword(work, change.port.id, change.port, change.dns_name, change.security_groups)

    def undo(self, work: BuildWork, result: None, change: Reworded) -> None:
        """Give it what it had before."""
        after = replace(change.port, dns_name=change.dns_name, security_groups=change.security_groups)
        _reword(work, change.port.id, after, change.port.dns_name, change.port.security_groups)


class RefilterPort(WiringTask):
    """Have what is let through at the tap follow the security groups of its port."""

    name = "refilter-port"
    kind = "refiltered-port"
    in_build_only = True
    vital = True
    passing = True
    uses = frozenset({"port", "binding", "filter", "reworded-port"})

    def do(self, work: BuildWork, change: Reworded) -> None:
        """Raises `WiringError`."""
        _refilter(work, change.port.id, change.security_groups)

    def undo(self, work: BuildWork, result: None, change: Reworded) -> None:
        """Have it follow those that its port had before."""
        _refilter(work, change.port.id, change.port.security_groups)


class RenameServed(WiringTask):
    """Have the DNS of the network on the instance's host follow the name of its port."""

    name = "rename-served"
    kind = "renamed-dhcp"
    in_build_only = True
    vital = True
    passing = True
    uses = frozenset({"port", "binding", "dhcp", "reworded-port"})

    def do(self, work: BuildWork, change: Reworded) -> None:
        """Raises `WiringError`, or what the network service does."""
        _rename(work, change.port.id, change.dns_name)

    def undo(self, work: BuildWork, result: None, change: Reworded) -> None:
        """Have it follow the one that its port had before."""
        _rename(work, change.port.id, change.port.dns_name)


class TakeName(Task):
    """Have the instance be called so from now on; the last step, for somebody may take the old name at once."""

    name = "take-name"
    kind = "taken-name"
    in_build_only = True
    vital = True
    passing = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """A name is in a row of our own."""
        return Durability.LOCAL

    def do(self, work: BuildWork) -> None:
        """Raises `InstanceExists` where another one has come to be called so."""
        assert work.tx is not None
        instances.rename(work.tx, work.instance.id, work.instance.request.name)

    def undo(self, work: BuildWork, result: None) -> None:
        """Have it be called as it was."""
        assert work.tx is not None
        instances.rename(work.tx, work.instance.id, instances.get(work.tx, work.instance.id).request.name)


OF_WORDS = (PortsToReword, RewordPort, RefilterPort, RenameServed, TakeName)


def _made(work: BuildWork) -> Iterator[str]:
    """The ids of the ports that were made for the instance; those brought along keep what they have."""
    with work.tools.store.read() as tx:
        found = effects_of(tx, work.instance.id)
    for nic in results(found, "port", Nic):
        if nic.request.port_id is None:
            yield nic.port.id


def _reword(work: BuildWork, port_id: str, before: Port, name: str, groups: tuple[str, ...]) -> None:
    named: dict[str, Any] = {"dns_name": name} if name != before.dns_name else {}
    regrouped: dict[str, Any] = {"security_groups": list(groups)} if set(groups) != set(before.security_groups) else {}
    work.tools.drivers.network.update_port(work.admin, port_id, tx=work.tx, **named, **regrouped)


def _refilter(work: BuildWork, port_id: str, groups: tuple[str, ...]) -> None:
    if not has_wiring(work.tools, work.host):
        return
    for vif in _vifs(work, port_id):
        now = replace(vif, security_groups=groups)
        work.on_host.wiring.refresh_filter(now, rules_of(work.tools.drivers.network, work.admin, now))


def _rename(work: BuildWork, port_id: str, name: str) -> None:
    network, host = work.tools.drivers.network, work.host
    if host is None or not has_wiring(work.tools, host) or network.brings_dhcp:
        return
    for vif in _vifs(work, port_id):
        server = network.find_port(work.admin, server_key(vif.network_id, host.name))
        if server is not None:
            work.on_host.wiring.refresh_dhcp([as_served(work, vif, name=name)], server)


def _vifs(work: BuildWork, port_id: str) -> Sequence[Vif]:
    """The port's bindings, as they are on record."""
    with work.tools.store.read() as tx:
        found = effects_of(tx, work.instance.id)
    return [vif for vif in results(found, "binding", Vif) if vif.port_id == port_id]

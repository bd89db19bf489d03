"""Bring filters and DHCP entries of running instances in line with ports, subnets and groups when those change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import ClassVar, Protocol, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from slipway import texts
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import Drivers
from slipway.drivers.wiring.base import WiringDriver
from slipway.errors import PortNotFound, RecordDamaged, SlipwayError
from slipway.flows.tasks.catalog import arguments_of
from slipway.flows.tasks.naming import as_now, reaches_out
from slipway.flows.tasks.wiring import (
    FilterPort,
    Plug,
    ServeDhcp,
    has_addresses,
    host_key,
    host_port,
    is_host_port,
    keep_host_port,
    rules_of,
    server_key,
    set_serving,
    with_addresses,
)
from slipway.model.machine import DhcpService, Vif
from slipway.model.network import Context, Network, Port, SecurityGroupRule, Subnet
from slipway.model.neutron import ADMIN
from slipway.model.record import Effect, EffectState
from slipway.model.request import Host
from slipway.states import effects, hosts
from slipway.states.store import Store

log = logging.getLogger(__name__)


class Behind(Struct, frozen=True):
    """What could not be brought in line with the record: something of this network on this host; None: any of them."""

    host: str | None
    network_id: str | None
    error: Exception

    @property
    def text(self) -> str:
        """Why, in one line."""
        return str(self.error) if isinstance(self.error, SlipwayError) else texts.named(self.error)


def refresh(store: Store, drivers: Drivers) -> tuple[Behind, ...]:
    """Have all taps, filters and DHCP entries that are there be as the network says now; none is made that is not.

    So it is safe beside builds and deletes. Each is tried, whatever becomes of the others. Raises a `StoreError`.
    """
    behind: list[Behind] = []
    for follower in _followers(store, drivers, behind):
        try:
            follower.refresh()
        except PortNotFound:
            # It is being deleted, and what is there of it goes with it.
            continue
        except Exception as error:
            log.warning("network %s on host %s", follower.network_id, follower.host, exc_info=True)
            behind.append(Behind(follower.host, follower.network_id, error))
    return (*behind, *_carry(store, drivers))


def _carry(store: Store, drivers: Drivers) -> Iterator[Behind]:
    """Have the hosts carry the routers that there are by now."""
    if wired := may_be_wired(store, drivers):
        from slipway.flows.tasks.hosting import carry_routers

        for host, error in carry_routers(store, drivers, wired):
            yield Behind(host, None, error)


def outdated(store: Store, drivers: Drivers, *, of: Collection[str] | None = None) -> Iterator[tuple[str, str, str]]:
    """What is there and not as the network says now: the kind, the host, the port's id or the tap. Changes nothing.

    `of`: only for the instances with these ids. Of what cannot be asked nothing is said.
    """
    for follower in _followers(store, drivers, [], of=of):
        try:
            for port_id in follower.outdated():
                yield follower.kind, follower.host, port_id
        except PortNotFound:
            continue
        except Exception:
            log.info("network %s on host %s", follower.network_id, follower.host, exc_info=True)


NICS = frozenset({Plug.kind, FilterPort.kind, ServeDhcp.kind})
"""The kinds of what joins a NIC to its host."""


def rejoin(
    effects: Sequence[Effect],
    wiring: WiringDriver,
    network: NetworkDriver,
    check: Callable[[Effect], None],
    kinds: frozenset[str] = NICS,
) -> None:
    """Have an instance's NICs plugged, filtered and served again, as the network says now: its host may have lost that.

    `effects` are the instance's, in their order; those of other `kinds` are passed over. `check` is called before each
    call, and raises where this worker must do nothing more. Raises `WiringError`, or what the network service does.
    """
    for effect in effects:
        if effect.state is not EffectState.DONE or effect.kind not in kinds & NICS:
            continue
        arguments = arguments_of(effect)
        vif: Vif = arguments.service.vif if effect.kind == ServeDhcp.kind else arguments.vif
        port = network.show_port(ADMIN, vif.port_id)
        subnets = network.list_subnets(ADMIN, network_id=vif.network_id)
        home = network.show_network(ADMIN, vif.network_id)
        now = as_now(vif, port, subnets, home)
        check(effect)
        if effect.kind == Plug.kind:
            wiring.plug(effect.instance_id, now)
        elif effect.kind == FilterPort.kind:
            rules = rules_of(network, Context(port.project_id, is_admin=True), now)
            wiring.apply_filter(effect.instance_id, now, rules)
        elif arguments.service.server is not None:
            own = host_port(network, ADMIN, home, subnets, effect.host or "")
            now = replace(now, reaches_out=reaches_out(network, home, subnets), host_port=own)
            server = with_addresses(network, ADMIN, network.show_port(ADMIN, arguments.service.server.id), subnets)
            wiring.serve_dhcp(effect.instance_id, now, server)


def release(effects: Sequence[Effect], wiring: WiringDriver, check: Callable[[], None]) -> None:
    """Have an instance's leases forgotten: a guest that is started may give itself another id than the last one had.

    `check` is called before each call. Raises `WiringError`.
    """
    for effect in effects:
        if effect.state is EffectState.DONE and effect.kind == ServeDhcp.kind:
            service: DhcpService = arguments_of(effect).service
            if service.server is not None:
                check()
                wiring.release_leases(service.vif.network_id, service.vif.port_id)


def may_be_wired(store: Store, drivers: Drivers) -> Sequence[Host]:
    """The hosts on record with wiring, and those whose driver cannot be made: that matters where something is wired."""
    with store.read() as tx:
        known = [usage.host for usage in hosts.usages(tx)]

    def may_be(host: Host) -> bool:
        try:
            return not drivers.on(host).wiring.local
        except SlipwayError:
            return True

    return [host for host in known if may_be(host)]


class _Follower(Protocol):
    """Something on a host that says what the network says."""

    @property
    def kind(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def network_id(self) -> str: ...

    def refresh(self) -> None:
        """Have it say what the network says now."""

    def outdated(self) -> Sequence[str]:
        """Of which it says something else: the tap, or the ports."""


def _followers(
    store: Store, drivers: Drivers, behind: list[Behind], *, of: Collection[str] | None = None
) -> Iterator[_Follower]:
    """All that there are; a host with some and without a driver is put among those that are `behind`."""
    # Where there is no wiring, a change costs no look at what may be very many effects.
    if not (wired := may_be_wired(store, drivers)):
        return
    with store.read() as tx:
        standing = effects.standing(tx, kinds=(Plug.kind, FilterPort.kind, ServeDhcp.kind), of=of)
    done = [effect for effect in standing if effect.state is EffectState.DONE]
    home_of: _HomeOf = cache(partial(drivers.network.show_network, ADMIN))
    for host in wired:
        here = [effect for effect in done if effect.host == host.name]
        if not here:
            continue
        try:
            wiring = drivers.on(host).wiring
        except SlipwayError as error:
            behind.append(Behind(host.name, None, error))
            continue
        for vif in _vifs(here, Plug.kind):
            yield _Tap(host.name, wiring, home_of, vif)
        for vif in _vifs(here, FilterPort.kind):
            yield _Filter(host.name, wiring, home_of, drivers.network, vif)
        for network_id, vifs in _served(here).items():
            yield _Server(host.name, wiring, home_of, drivers.network, store, network_id, vifs)


def _vifs(done: Sequence[Effect], kind: str) -> Iterator[Vif]:
    for effect in done:
        # A row that cannot be read is named by an audit.
        with suppress(RecordDamaged):
            if effect.kind == kind:
                yield arguments_of(effect).vif


def _served(done: Sequence[Effect]) -> Mapping[str, Sequence[Vif]]:
    """The ports of each network's server: what two of them have exchanged must be changed at once."""
    served: dict[str, list[Vif]] = {}
    for effect in done:
        with suppress(RecordDamaged):
            if effect.kind == ServeDhcp.kind and (service := arguments_of(effect).service).server is not None:
                served.setdefault(service.vif.network_id, []).append(service.vif)
    return served


_HomeOf: TypeAlias = Callable[[str], Network]
"""The network with this id, which the service is asked for once a pass."""


class _Tap(Struct, frozen=True):
    host: str
    wiring: WiringDriver
    home_of: _HomeOf
    vif: Vif
    kind: ClassVar[str] = Plug.kind

    @property
    def network_id(self) -> str:
        return self.vif.network_id

    def refresh(self) -> None:
        self.wiring.refresh_tap(self._now())

    def outdated(self) -> Sequence[str]:
        return () if self.wiring.tap_is_current(self._now()) else (self.vif.devname,)

    def _now(self) -> Vif:
        return replace(self.vif, mtu=self.home_of(self.network_id).mtu)


class _Filter(Struct, frozen=True):
    host: str
    wiring: WiringDriver
    home_of: _HomeOf
    network: NetworkDriver
    vif: Vif
    kind: ClassVar[str] = FilterPort.kind

    @property
    def network_id(self) -> str:
        return self.vif.network_id

    def refresh(self) -> None:
        self.wiring.refresh_filter(*self._now())

    def outdated(self) -> Sequence[str]:
        return () if self.wiring.filter_is_current(*self._now()) else (self.vif.port_id,)

    def _now(self) -> tuple[Vif, Sequence[SecurityGroupRule]]:
        port = self.network.show_port(ADMIN, self.vif.port_id)
        now = as_now(self.vif, port, self.vif.subnets, self.home_of(self.network_id))
        return now, rules_of(self.network, Context(port.project_id, is_admin=True), now)


class _Server(Struct, frozen=True):
    host: str
    wiring: WiringDriver
    home_of: _HomeOf
    network: NetworkDriver
    store: Store
    network_id: str
    vifs: Sequence[Vif]
    kind: ClassVar[str] = ServeDhcp.kind

    def refresh(self) -> None:
        subnets = self.network.list_subnets(ADMIN, network_id=self.network_id)
        if (server := self._port()) is not None:
            server = with_addresses(self.network, ADMIN, server, subnets)
            own = keep_host_port(self.store, self.network, self.home_of(self.network_id), subnets, self.host)
            self.wiring.refresh_dhcp(self._now(subnets, own), server)
            set_serving(self.network, server)

    def outdated(self) -> Sequence[str]:
        subnets = self.network.list_subnets(ADMIN, network_id=self.network_id)
        if (server := self._port()) is None:
            return ()
        own = self.network.find_port(ADMIN, host_key(self.network_id, self.host))
        now, wanted = self._now(subnets, own), self.home_of(self.network_id).host_address
        if not has_addresses(server, subnets) or wanted is not (own is not None and is_host_port(own, subnets)):
            return [vif.port_id for vif in now]
        return self.wiring.outdated_dhcp(now, server)

    def _port(self) -> Port | None:
        return self.network.find_port(ADMIN, server_key(self.network_id, self.host))

    def _now(self, subnets: Sequence[Subnet], own: Port | None) -> Sequence[Vif]:
        home = self.home_of(self.network_id)
        ports = {port.id: port for port in self.network.list_ports(ADMIN, network_id=self.network_id)}
        there = [as_now(vif, ports[vif.port_id], subnets, home) for vif in self.vifs if vif.port_id in ports]
        out = reaches_out(self.network, home, subnets)
        return [replace(vif, reaches_out=out, host_port=own) for vif in there]

"""Bring filters and DHCP entries of running instances in line with ports, subnets and groups when those change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import Drivers
from slipway.drivers.wiring.base import WiringDriver
from slipway.errors import PortNotFound, SlipwayError
from slipway.flows.tasks import arguments_of
from slipway.flows.tasks.wiring import FilterPort, Plug, ServeDhcp, rules_of, server_key, with_addresses
from slipway.model.machine import Vif
from slipway.model.network import Context, Port, Subnet
from slipway.model.neutron import ADMIN
from slipway.model.record import Effect, EffectState
from slipway.model.request import Host
from slipway.states import effects, hosts
from slipway.states.store import Store


def refresh(store: Store, drivers: Drivers) -> None:
    """Replace every filter and DHCP entry that is there by what the network says now; none is made that is not there.

    So it is safe beside builds and deletes. Each is tried, whatever became of the others, and the first error raised:
    `WiringError` for a host that cannot do it, or what the network service does.
    """
    with store.read() as tx:
        known = [usage.host for usage in hosts.usages(tx)]
    # Where there is no wiring, a change costs no look at what may be very many effects.
    if not any(_may_be_wired(drivers, host) for host in known):
        return
    with store.read() as tx:
        standing = effects.standing(tx, kinds=(FilterPort.kind, ServeDhcp.kind))
    done = [effect for effect in standing if effect.state is EffectState.DONE]
    used = {effect.host for effect in done}
    wired = {host.name: drivers.on(host).wiring for host in known if host.name in used}
    errors: list[SlipwayError] = []
    for call in (*_filters(done, wired, drivers.network), *_servers(done, wired, drivers.network)):
        try:
            call()
        except PortNotFound:
            # It is being deleted, and what is there of it goes with it.
            continue
        except SlipwayError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def rejoin(effects: Sequence[Effect], wiring: WiringDriver, network: NetworkDriver, check: Callable[[], None]) -> None:
    """Have an instance's NICs plugged, filtered and served again, as the network says now: its host may have lost that.

    `effects` are the instance's, in their order. `check` is called before each call, and raises where this worker must
    do nothing more. Raises `WiringError`, or what the network service does.
    """
    for effect in effects:
        if effect.state is not EffectState.DONE or effect.kind not in (Plug.kind, FilterPort.kind, ServeDhcp.kind):
            continue
        arguments = arguments_of(effect)
        vif: Vif = arguments.service.vif if effect.kind == ServeDhcp.kind else arguments.vif
        port = network.show_port(ADMIN, vif.port_id)
        subnets = network.list_subnets(ADMIN, network_id=vif.network_id)
        now = _as_now(vif, port, subnets)
        check()
        if effect.kind == Plug.kind:
            wiring.plug(effect.instance_id, now)
        elif effect.kind == FilterPort.kind:
            rules = rules_of(network, Context(port.project_id, is_admin=True), now)
            wiring.apply_filter(effect.instance_id, now, rules)
        elif arguments.service.server is not None:
            server = with_addresses(network, ADMIN, network.show_port(ADMIN, arguments.service.server.id), subnets)
            wiring.serve_dhcp(effect.instance_id, now, server)


def _may_be_wired(drivers: Drivers, host: Host) -> bool:
    try:
        return not drivers.on(host).wiring.local
    except SlipwayError:
        # That its driver cannot be made matters only where something is wired by it.
        return True


def _filters(
    done: Sequence[Effect], wired: Mapping[str, WiringDriver], network: NetworkDriver
) -> Iterator[Callable[[], None]]:
    for effect in done:
        if effect.kind == FilterPort.kind and effect.host is not None:
            yield partial(_refresh_filter, wired[effect.host], network, arguments_of(effect).vif)


def _refresh_filter(wiring: WiringDriver, network: NetworkDriver, vif: Vif) -> None:
    port = network.show_port(ADMIN, vif.port_id)
    now = _as_now(vif, port, vif.subnets)
    wiring.refresh_filter(now, rules_of(network, Context(port.project_id, is_admin=True), now))


def _servers(
    done: Sequence[Effect], wired: Mapping[str, WiringDriver], network: NetworkDriver
) -> Iterator[Callable[[], None]]:
    """A call for each network's server on each host: what two ports have exchanged must be changed at once."""
    served: dict[tuple[str, str], list[Vif]] = {}
    for effect in done:
        if effect.kind == ServeDhcp.kind and effect.host is not None:
            service = arguments_of(effect).service
            if service.server is not None:
                served.setdefault((effect.host, service.vif.network_id), []).append(service.vif)
    for (host, network_id), vifs in served.items():
        yield partial(_refresh_server, wired[host], network, server_key(network_id, host), network_id, vifs)


def _refresh_server(
    wiring: WiringDriver, network: NetworkDriver, key: str, network_id: str, vifs: Sequence[Vif]
) -> None:
    server = network.find_port(ADMIN, key)
    if server is None:
        return
    subnets = network.list_subnets(ADMIN, network_id=network_id)
    server = with_addresses(network, ADMIN, server, subnets)
    ports = {port.id: port for port in network.list_ports(ADMIN, network_id=network_id)}
    now = [_as_now(vif, ports[vif.port_id], subnets) for vif in vifs if vif.port_id in ports]
    wiring.refresh_dhcp(now, server)


def _as_now(vif: Vif, port: Port, subnets: Sequence[Subnet]) -> Vif:
    return replace(
        vif,
        mac_address=port.mac_address,
        fixed_ips=port.fixed_ips,
        subnets=tuple(subnet for subnet in subnets if any(ip.subnet_id == subnet.id for ip in port.fixed_ips)),
        port_security_enabled=port.port_security_enabled,
        security_groups=port.security_groups,
        allowed_address_pairs=port.allowed_address_pairs,
        dhcp_options=port.extra_dhcp_opts,
    )

"""Which hosts carry which routers, by the record.

A router is on a host as a bridge is: with the first NIC there that is behind it, until the last has gone. Where all of
its networks end at their hosts it is on each that has such a NIC; else it is on one alone, which has the oldest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.routing import RoutingDriver, routing_of
from slipway.drivers.registry import Drivers
from slipway.errors import NetworkNotFound, RecordDamaged, SlipwayError
from slipway.model.hosted import HostedRouter
from slipway.model.machine import Vif
from slipway.model.network import Network, Port, Subnet
from slipway.model.neutron import ADMIN, ROUTER_GATEWAY, ROUTER_INTERFACES, bridge_name, tap_name
from slipway.model.request import Host
from slipway.model.routing import Router
from slipway.states import codec, effects, hosts
from slipway.states.store import Store, Transaction

log = logging.getLogger(__name__)

Nic = tuple[str, Vif]
"""A NIC that is plugged, or is just being so: its host, and the VIF."""


def has_routers(network: NetworkDriver) -> bool:
    """Whether the hosts are to carry the service's routers: one with agents of its own has those do it."""
    return not network.brings_dhcp and hasattr(network, "create_router")


class _Plug(Struct):
    """What is on record of a plug."""

    vif: Vif


_PLUGGED = "vif"


class Hosting(Struct, frozen=True):
    """The routers of each host, by id. `shared`: hosts with a router that one of them alone carries for all."""

    routers: Mapping[str, Sequence[HostedRouter]] = {}
    shared: frozenset[str] = frozenset()

    def on(self, host: str) -> Sequence[HostedRouter]:
        """Those that the host is to carry."""
        return self.routers.get(host, ())


def hosting(store: Store, network: NetworkDriver, *, without: str | None = None) -> Hosting:
    """Which host is to carry which routers. Raises what the service does.

    `without`: as if the plug with this key had been undone.
    """
    if not has_routers(network):
        return Hosting()
    routing = routing_of(network)
    routers = [router for router in routing.list_routers(ADMIN) if router.admin_state_up]
    if not routers:
        return Hosting()
    with store.read() as tx:
        nics = plugged(tx, without=without)
    networks = {one.id: one for one in network.list_networks(ADMIN)}
    subnets = {one.id: one for one in network.list_subnets(ADMIN)}
    found: dict[str, list[HostedRouter]] = {}
    shared: set[str] = set()
    for router in sorted(routers, key=lambda one: one.id):
        one = _whole(network, routing, router, networks, subnets)
        behind = {vif.network_id for vif in one.inside}
        near = list(dict.fromkeys(host for host, vif in nics if vif.network_id in behind))
        if not _stays(one):
            shared.update(near)
            near = near[:1]
        for host in near:
            found.setdefault(host, []).append(one)
    return Hosting(found, frozenset(shared))


def plugged(tx: Transaction, *, without: str | None = None) -> list[Nic]:
    """The NICs that are plugged, or are just being so, the oldest first; `without` the effect of this key."""
    standing = [effect for effect in effects.standing(tx, kinds=(_PLUGGED,)) if effect.key != without]
    found = []
    for effect in sorted(standing, key=lambda one: (one.started_at is None, one.started_at, one.key)):
        # A row that cannot be read is named by an audit.
        with suppress(RecordDamaged):
            found.append((effect.host or "", codec.decode(effect.args, _Plug).vif))
    return found


def carry_routers(
    store: Store, drivers: Drivers, on: Sequence[Host], *, without: str | None = None, anew: bool = False
) -> Sequence[tuple[str, SlipwayError]]:
    """Have each of these hosts carry just the routers that it is to carry by the record, and those it shares one with.

    `without`: the key of a plug that is being undone. `anew`: also those that seem to be as they are to be. Gives the
    hosts that could not do so, each with its first error. Raises what the network service does.
    """
    failed: dict[str, SlipwayError] = {}
    done: Hosting | None = None
    # Again, where the record has changed meanwhile: whoever changed it may have been here first.
    for _ in range(_MOST_CHANGES):
        wanted = hosting(store, drivers.network, without=without)
        if wanted == done:
            break
        names = {host.name for host in on}
        sharing = _known(store, wanted.shared - names) if names & wanted.shared or without else []
        for host in (*on, *sharing):
            failed.pop(host.name, None)
            try:
                drivers.on(host).wiring.set_routers(wanted.on(host.name), anew=anew)
            except SlipwayError as error:
                log.info("host %s cannot carry its routers", host.name, exc_info=True)
                failed[host.name] = error
        done = wanted
    return tuple(failed.items())


def carry_routers_on(store: Store, drivers: Drivers, host: Host, *, without: str | None = None) -> None:
    """As `carry_routers`, for a step on one host, whose error is raised: what another lacks by it an audit finds."""
    for name, error in carry_routers(store, drivers, [host], without=without):
        if name == host.name:
            raise error


_MOST_CHANGES = 10
"""How often it is looked again."""


def _known(store: Store, names: Collection[str]) -> list[Host]:
    found = []
    with store.read() as tx:
        for name in sorted(names):
            with suppress(SlipwayError):
                found.append(hosts.get(tx, name))
    return found


def _stays(one: HostedRouter) -> bool:
    """Whether nothing that the router leads to goes from host to host."""
    return all(vif.ends_at_host for vif in one.legs)


def _whole(
    network: NetworkDriver,
    routing: RoutingDriver,
    router: Router,
    networks: Mapping[str, Network],
    subnets: Mapping[str, Subnet],
) -> HostedRouter:
    ports = sorted(network.list_ports(ADMIN, device_id=router.id), key=lambda port: port.id)
    floating = routing.list_floatingips(ADMIN, router_id=router.id)

    def legs(owners: Sequence[str]) -> Iterator[Vif]:
        for port in ports:
            if port.device_owner in owners and port.admin_state_up and port.fixed_ips:
                yield _leg(port, networks, subnets)

    outside = next(legs((ROUTER_GATEWAY,)), None) if router.external_gateway_info else None
    return HostedRouter(
        router,
        tuple(legs(ROUTER_INTERFACES)),
        outside,
        tuple(sorted(floating, key=lambda one: one.id)) if outside else (),
    )


def _leg(port: Port, networks: Mapping[str, Network], subnets: Mapping[str, Subnet]) -> Vif:
    """The router's port as a VIF, so that its bridge is made as that of a guest's is."""
    home = networks.get(port.network_id)
    if home is None:
        raise NetworkNotFound(f"network {port.network_id} of router port {port.id} is gone")
    return Vif(
        port_id=port.id,
        network_id=home.id,
        network_name=home.name,
        mac_address=port.mac_address,
        devname=tap_name(port.id),
        bridge=json.loads(port.binding_vif_details).get("bridge_name") or bridge_name(home.id),
        mtu=home.mtu,
        vif_type="bridge",
        vnic_type=port.binding_vnic_type,
        fixed_ips=port.fixed_ips,
        subnets=tuple(subnets[ip.subnet_id] for ip in port.fixed_ips if ip.subnet_id in subnets),
        active=True,
        preserve_on_delete=False,
        network_type=home.provider_network_type,
        physical_network=home.provider_physical_network,
        segmentation_id=home.provider_segmentation_id,
    )

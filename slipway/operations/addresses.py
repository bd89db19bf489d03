"""The addresses that an instance's ports have by now, and those that its guest really has: leases, its agent's word."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

from msgspec import Struct

from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import Drivers
from slipway.errors import RecordDamaged, StoreError
from slipway.model.machine import DhcpService, Lease, Vif
from slipway.model.network import FixedIp, Port, Subnet
from slipway.model.neutron import ADMIN, AUTO_ADDRESS_MODES
from slipway.model.record import Effect, EffectState
from slipway.states import hosts, instances
from slipway.states.details import Details
from slipway.states.effects import effects_of, legible
from slipway.states.store import Store
from slipway.texts import named

A = TypeVar("A")


class NicAddresses(Struct, frozen=True):
    """What is seen of one NIC. `port` None: its port could not be asked for.

    `leases` None: no DHCP server of ours serves it; `guest` None: no agent tells of it.
    """

    port_id: str
    port: tuple[str, ...] | None
    leases: tuple[Lease, ...] | None
    guest: tuple[str, ...] | None


class SeenAddresses(Struct, frozen=True):
    """What is seen of each NIC that is bound; `unasked` says of whoever could not be asked why, a line each."""

    nics: tuple[NicAddresses, ...] = ()
    unasked: tuple[str, ...] = ()


def see_addresses(details: Details, store: Store, drivers: Drivers) -> SeenAddresses:
    """Ask the DHCP servers on its host, and the guest where there is a domain. Who cannot be asked is no error."""
    instance, effects = details.instance, details.effects
    if instance.host is None:
        return SeenAddresses()
    try:
        with store.read() as tx:
            host = hosts.get(tx, instance.host)
    except RecordDamaged as error:
        return SeenAddresses(unasked=(str(error),))
    unasked: dict[str, None] = {}

    def asked(question: Callable[[], A]) -> A | None:
        try:
            return question()
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: the rest is still worth seeing
            unasked[named(error)] = None
            return None

    done = [effect for effect in effects if effect.state is EffectState.DONE and effect.host == host.name]
    guest = None
    if any(effect.kind == "domain" for effect in done):
        guest = asked(lambda: drivers.on(host).compute.guest_addresses(instance.id))
    served = {served_port(effect) for effect in done if effect.kind == "dhcp"}

    def seen(vif: Vif) -> NicAddresses:
        leases = asked(lambda: tuple(drivers.on(host).wiring.leases(vif))) if vif.port_id in served else None
        told = [nic.addresses for nic in guest or () if nic.mac_address == vif.mac_address]
        # A guest may have several with the same MAC: a bridge and what is in it.
        port = asked(lambda: drivers.network.show_port(ADMIN, vif.port_id))
        own = None if port is None else _of(port.fixed_ips)
        return NicAddresses(vif.port_id, own, leases, tuple(dict.fromkeys(chain.from_iterable(told))) if told else None)

    return SeenAddresses(tuple(map(seen, bound(effects))), tuple(unasked))


def readdress(changed: object, store: Store, network: NetworkDriver) -> None:
    """After the change of a port, or of a subnet whose addresses come unasked: have on record which ones there are.

    Raises a `StoreError`, or what the network service does.
    """
    if isinstance(changed, Port):
        devices = {changed.device_id}
    elif isinstance(changed, Subnet) and changed.ipv6_address_mode in AUTO_ADDRESS_MODES:
        devices = {port.device_id for port in network.list_ports(ADMIN, network_id=changed.network_id)}
    else:
        return
    for device in devices:
        with store.read() as tx:
            nics = bound(effects_of(tx, device))
        if nics:
            ports = {port.id: port.fixed_ips for port in network.list_ports(ADMIN, device_id=device)}
            now = _of(ip for vif in nics for ip in ports.get(vif.port_id, ()))
            with store.write() as tx:
                instances.readdress(tx, device, now)


def _of(fixed_ips: Iterable[FixedIp]) -> tuple[str, ...]:
    return tuple(ip.ip_address for ip in fixed_ips)


def bound(effects: Sequence[Effect]) -> tuple[Vif, ...]:
    """The NICs that are bound to a host, in their order; `audit` names those whose rows are damaged."""
    return tuple(legible(effects, "binding", Vif))


def served_port(effect: Effect) -> str | None:
    """The id of the port that a DHCP server of ours serves by this effect; None where another one does, or nobody."""
    # All tasks, which those who only look at the record need nowhere else.
    from slipway.flows.tasks.catalog import arguments_of

    service: DhcpService = arguments_of(effect).service
    return service.vif.port_id if service.server else None

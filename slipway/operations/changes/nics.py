"""One NIC more, or one less: what an instance is to become, checked against what stands of it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway import errors
from slipway.model.change import Change
from slipway.model.machine import Nic
from slipway.model.record import Effect, Instance
from slipway.model.request import NetworkRequest
from slipway.states.effects import done, result_of

_OF_A_NIC = frozenset({"port", "binding", "vif", "filter", "dhcp-port", "dhcp"})
"""The kinds of effects of which each NIC has one, in its own slot."""


def attach_interface(instance: Instance, effects: Sequence[Effect], nic: NetworkRequest) -> Change:
    """One more NIC, behind those that it has."""
    what = f"a NIC by port {nic.port}" if nic.port else f"a NIC on network {nic.network}"
    if nic.fixed_ip:
        what += f" with {nic.fixed_ip}"
    slots = [effect.slot for effect in effects if effect.kind in _OF_A_NIC]
    request = replace(instance.request, networks=(*networks_of(instance, effects), nic))
    return Change("attach-interface", what, request, slot=max(slots, default=-1) + 1, nics=(nic,))


def detach_interface(instance: Instance, effects: Sequence[Effect], nic: str) -> Change:
    """Without the NIC that has this MAC, address, or port (its name or id).

    Raises `InterfaceNotFound` with those that there are.
    """
    nics = nics_of(effects)
    meant = [slot for slot, one in nics.items() if nic.lower() in _names(one)]
    if len(meant) != 1:
        there = ", ".join(f"{one.port.mac_address} on {one.request.network.name}" for one in nics.values())
        many = "several NICs" if meant else "no NIC"
        raise errors.InterfaceNotFound(f"instance {instance.name} has {many} {nic}, but {there or 'none at all'}")
    (slot,) = meant
    index = list(nics).index(slot)
    left = [one for number, one in enumerate(networks_of(instance, effects)) if number != index]
    retired = tuple(e.key for e in effects if e.kind in _OF_A_NIC and e.slot == slot)
    what = f"NIC {nics[slot].port.mac_address} on network {nics[slot].request.network.name}"
    return Change("detach-interface", what, replace(instance.request, networks=tuple(left)), retired=retired)


def _names(nic: Nic) -> set[str]:
    port = nic.port
    return {port.id, port.name.lower(), port.mac_address.lower(), *(ip.ip_address for ip in port.fixed_ips)} - {""}


def nics_of(effects: Sequence[Effect]) -> dict[int, Nic]:
    """The NICs that it has, by their slots and in that order."""
    return {effect.slot: result_of(effect, Nic) for effect in done(effects, "port")}


def networks_of(instance: Instance, effects: Sequence[Effect]) -> tuple[NetworkRequest, ...]:
    """The NICs as they were asked for, in the order of `nics_of`; where nothing was said, those that were made."""
    asked = instance.request.networks
    if asked is not None:
        return asked
    return tuple(NetworkRequest(network=nic.request.network.id) for nic in nics_of(effects).values())

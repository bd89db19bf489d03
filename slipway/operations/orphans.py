"""What bears our tag and is not on record: an instance's goes on record, nobody's goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from slipway.drivers.deadline import within
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.registry import HostDrivers
from slipway.errors import RepairImpossible
from slipway.flows.tasks.base import Tools
from slipway.flows.tasks.catalog import BY_KIND
from slipway.model.machine import DhcpService, Vif
from slipway.model.network import Port
from slipway.model.neutron import ADMIN
from slipway.model.record import Effect, EffectState, Scope
from slipway.operations.audit import Finding
from slipway.operations.hands import Hands
from slipway.operations.things import WIRED, Thing, ask_all, expected_thing, place_of
from slipway.states import codec, effects, hosts
from slipway.states.intent import Intent

ADOPTED = frozenset({"domain", "definition", "disk", "vif", "filter", "dhcp"})
"""The kinds that can be an instance's although its record has lost them: then a delete takes them away with it."""


def owners(tools: Tools) -> Mapping[tuple[str, str], str]:
    """Whose NICs' taps, filters and DHCP entries are, by kind and name: the instances' ids."""
    found: dict[tuple[str, str], str] = {}
    with tools.store.read() as tx:
        standing = effects.standing(tx, kinds=("binding",))
    for effect in standing:
        if effect.result is not None:
            vif = codec.decode(effect.result, Vif)
            for kind, name in (("vif", vif.devname), ("filter", vif.port_id), ("dhcp", vif.port_id)):
                found[kind, name] = effect.instance_id
    return found


def settle_orphan(hands: Hands, orphan: Finding) -> None:
    """Have on record what is of an instance that this worker has, or take it away where that was taken back before."""
    run = hands.run
    undone = [effect for effect in run.ledger.effects() if effect.state is EffectState.UNDONE]
    came_late = any(_is(effect, orphan) for effect in undone)
    if orphan.kind not in ADOPTED or orphan.host != run.host_name or came_late:
        hands.check()
        remove_orphan(run.tools, orphan)
        return
    arguments, slot = _arguments(hands, orphan)
    task = BY_KIND[orphan.kind]
    step = next((effect.step for effect in run.ledger.effects() if effect.kind == task.kind), task.name)
    run.ledger.adopt(
        Intent(
            step=step,
            slot=slot,
            kind=task.kind,
            scope=Scope.HOST,
            host=orphan.host,
            args=codec.encode(arguments),
            timeout=run.tools.settings.step_timeout,
        )
    )


def _arguments(hands: Hands, orphan: Finding) -> tuple[dict[str, object], int]:
    """With which arguments, and in which slot, the build would have it on record."""
    if orphan.kind == "disk":
        return {}, int(orphan.name)
    if orphan.kind not in WIRED:
        return {}, 0
    for effect in hands.done("binding"):
        assert effect.result is not None
        vif = codec.decode(effect.result, Vif)
        if orphan.name in (vif.devname, vif.port_id):
            return _of_nic(hands, orphan.kind, effect.slot, vif), effect.slot
    raise RepairImpossible(f"no NIC of {hands.run.instance.name} is known that has {orphan.kind} {orphan.name}")


def _of_nic(hands: Hands, kind: str, slot: int, vif: Vif) -> dict[str, object]:
    if kind != "dhcp":
        return {"vif": vif}
    for effect in hands.done("dhcp-port"):
        if effect.slot == slot and effect.result is not None:
            return {"service": codec.decode(effect.result, DhcpService)}
    raise RepairImpossible(f"the record has no DHCP server for port {vif.port_id}")


def _is(effect: Effect, orphan: Finding) -> bool:
    return expected_thing(effect) == _thing(orphan)


def _thing(orphan: Finding) -> Thing:
    owner = "" if orphan.kind in WIRED else orphan.instance_id or ""
    return Thing(orphan.kind, orphan.host, owner, orphan.name)


def remove_orphan(tools: Tools, orphan: Finding) -> None:
    """Take away what is nobody's, unless it is somebody's by now, or gone. Raises what its driver does."""
    thing = _thing(orphan)
    with tools.store.read() as tx:
        if any(expected_thing(effect) == thing for effect in effects.standing(tx) if place_of(effect)[0] == thing.kind):
            return
        known = [] if orphan.host is None else [hosts.get(tx, orphan.host)]
    for host in known:
        tools.drivers.check_here(host)
    seconds = tools.settings.step_timeout
    held, _ = ask_all((), known, tools.drivers, seconds=seconds, only={thing.kind})
    of = held[thing].of if thing in held else ""
    with within(seconds):
        if thing.kind in _IN_NETWORK:
            _IN_NETWORK[thing.kind](tools, thing)
        else:
            _ON_HOST[thing.kind](tools.drivers.on(known[0]), thing, of)


def _give_back(tools: Tools, given: Thing) -> None:
    """A port that was made for the instance which it names is deleted; one that was brought along is nobody's then.

    Raises `RepairImpossible` for one that we made and somebody gave to somebody else.
    """
    network = tools.drivers.network
    port = network.show_port(ADMIN, given.name)
    if _was_made_for(network, port):
        network.delete_port(ADMIN, port.id)
        return
    if network.is_ours(port):
        _check_nobodys(network, port)
    network.update_port(ADMIN, port.id, unchanged=port, device_id="")


def _check_nobodys(network: NetworkDriver, port: Port) -> None:
    """Raise `RepairImpossible` for a port that somebody may have of whom this record knows nothing."""
    if port.device_id and not network.local:
        raise RepairImpossible(
            f"port {port.name or port.id} was given to {port.device_id}, who may be using it: delete it where it is not"
        )


def _was_made_for(network: NetworkDriver, port: Port) -> bool:
    """Whether the build of the instance that has it has made it: by its key, as `build-instance` makes them."""
    keys = (f"{port.device_id}/{_PORTS}/{slot}" for slot in range(_MOST_NICS))
    return any((made := network.find_port(ADMIN, key)) is not None and made.id == port.id for key in keys)


_PORTS = "ports"
_MOST_NICS = 8
"""NICs that are looked through: each is a question to the network service."""


def _unbind(tools: Tools, binding: Thing) -> None:
    port_id = binding.name
    port = tools.drivers.network.show_port(ADMIN, port_id)
    if binding.host is not None and port.binding_host_id != binding.host:
        # A further one, which a move has left.
        tools.drivers.network.delete_binding(ADMIN, port_id, binding.host)
        return
    if not _was_made_for(tools.drivers.network, port):
        _check_nobodys(tools.drivers.network, port)
    tools.drivers.network.update_port(ADMIN, port_id, unchanged=port, binding_host_id="", device_owner="")


def _delete_port(tools: Tools, port: Thing) -> None:
    tools.drivers.network.delete_port(ADMIN, port.name)


_IN_NETWORK: Mapping[str, Callable[[Tools, Thing], None]] = {
    "port": _give_back,
    "binding": _unbind,
    "dhcp-port": _delete_port,
}


def _snapshot_of(thing: Thing) -> tuple[int, str]:
    slot, _, snapshot = thing.name.partition("/")
    return int(slot), snapshot


_ON_HOST: Mapping[str, Callable[[HostDrivers, Thing, str], None]] = {
    "domain": lambda drivers, thing, of: drivers.compute.destroy(thing.instance_id),
    "definition": lambda drivers, thing, of: drivers.compute.delete_definition(thing.instance_id),
    "disk": lambda drivers, thing, of: drivers.disk.delete_disk(thing.instance_id, int(thing.name)),
    "snapshot": lambda drivers, thing, of: drivers.disk.delete_snapshot(thing.instance_id, *_snapshot_of(thing)),
    "vif": lambda drivers, thing, of: drivers.wiring.unplug(of, thing.name),
    "filter": lambda drivers, thing, of: drivers.wiring.remove_filter(thing.name),
    "dhcp": lambda drivers, thing, of: drivers.wiring.withdraw_dhcp(of, thing.name),
}

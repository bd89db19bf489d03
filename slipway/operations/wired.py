"""Ports that instances have as NICs: an address must not go to the next while a guest still uses it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.flows.tasks.wiring import CreateDhcpPort
from slipway.model.machine import DhcpService, Nic, Vif
from slipway.model.network import Context, Port
from slipway.model.neutron import ADMIN, DHCP_OWNER
from slipway.model.record import Effect, EffectState, Instance
from slipway.operations.addresses import bound
from slipway.states import codec, effects, instances
from slipway.states.machines import State, VmState
from slipway.states.store import Store, Transaction


@contextmanager
def unwired(
    store: Store, network: NetworkDriver, context: Context, port_id: str, changes: Mapping[str, object] | None
) -> Iterator[Transaction | None]:
    """Let a port be changed, or deleted (`changes` None), by whoever asked for it: in the transaction that this gives.

    Raises `PortInUse` where an instance that is not deleted has it as a NIC and the address could go to another one,
    with the command by which the NIC leaves it first. What a build itself does to its ports does not come this way.
    """
    with store.write() if network.local else nullcontext() as tx:
        if changes is None or changes.keys() & {"device_id", "binding_host_id"}:
            network.show_port(context, port_id, tx=tx)
            port = network.show_port(ADMIN, port_id, tx=tx)
            with nullcontext(tx) if tx is not None else store.read() as own:
                _check(own, port, changes)
        yield tx


def check_ports(instance: Instance, ledger: Sequence[Effect], network: NetworkDriver) -> None:
    """Raise `PortInUse` for a NIC of an instance that is to be started whose port is somebody else's by now."""
    for vif in bound(ledger):
        port = network.show_port(ADMIN, vif.port_id)
        if port.device_id != instance.id:
            raise taken_from(instance, port)


def taken_from(instance: Instance, port: Port) -> errors.PortInUse:
    """What is said of a NIC's port that is somebody else's by now."""
    return errors.PortInUse(
        f"port {port.name or port.id} was taken from {instance.name}: its device_id is "
        f"{port.device_id or 'empty'}; give it back (slipway port update {port.id} --device-id {instance.id}), "
        f"or delete the instance"
    )


def _check(tx: Transaction, port: Port, changes: Mapping[str, object] | None) -> None:
    user = _user(tx, port)
    if user is None:
        return
    name = f"port {port.name or port.id}"
    nic = "NIC" if port.device_owner == DHCP_OWNER else port.id
    leave = (
        f"`slipway detach-interface {user.name} --project {user.project} --nic {nic}` takes it out of the guest first"
    )
    if changes is None:
        what = "is the port of the DHCP server of" if port.device_owner == DHCP_OWNER else "is a NIC of"
        raise errors.PortInUse(f"{name}: it {what} instance {user.name} ({user.vm_state}); {leave}")
    if changes.get("binding_host_id", port.binding_host_id) != port.binding_host_id:
        raise errors.PortInUse(f"{name}: instance {user.name} has it on host {user.host}; {leave}")
    state = State(user.vm_state, user.task_state)
    halted = state.stopped and state.at_rest
    if changes.get("device_id", port.device_id) not in (port.device_id, user.id) and not halted:
        raise errors.PortInUse(f"{name}: the guest of instance {user.name} may be using it; {leave}")


def _user(tx: Transaction, port: Port) -> Instance | None:
    """The instance that is not deleted and has the port as a NIC, or is served by it; by the ledger, not the port."""
    if port.device_owner == DHCP_OWNER:
        recorded = effects.standing(tx, kinds=(CreateDhcpPort.kind,))
    else:
        # Whoever has it has set its device or has bound it.
        recorded = [*effects.effects_of(tx, port.device_id)] if port.device_id else []
        recorded += effects.standing(tx, kinds=("binding",)) if port.binding_host_id else []
    user = next((effect.instance_id for effect in recorded if _uses(effect, port)), None)
    if user is None:
        return None
    found = instances.get(tx, user)
    return None if found.vm_state == VmState.DELETED else found


def _uses(effect: Effect, port: Port) -> bool:
    if effect.state is EffectState.UNDONE or not effect.result:
        return False
    match effect.kind:
        case "port":
            return codec.decode(effect.result, Nic).port.id == port.id
        case "binding":
            return codec.decode(effect.result, Vif).port_id == port.id
        case CreateDhcpPort.kind:
            server = codec.decode(effect.result, DhcpService).server
            return server is not None and server.id == port.id
    return False

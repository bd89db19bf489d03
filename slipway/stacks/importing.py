"""What is there already, brought under a stack: from then on it is as if a run of the stack's file had made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.model.machine import Nic
from slipway.model.network import Context, Network, Port, SecurityGroup, Subnet
from slipway.model.neutron import DHCP_OWNER
from slipway.model.record import EffectState, Stack
from slipway.operations.taking import who_is_at
from slipway.stacks.ours import told
from slipway.states import codec, hosts, instances, stacks
from slipway.states.effects import effects_of
from slipway.states.machines import State
from slipway.states.stacks import Kind
from slipway.states.store import Store, Transaction

INSTANCE = "instance"
KINDS = (INSTANCE, *(kind.value for kind in Kind))
"""What can be brought under a stack."""


class Imported(Struct, frozen=True):
    """A thing that bears its stack by now; `parts`: the subnets of a network that came along, by id and name.

    `changed` is false where all of it did so before.
    """

    kind: str
    id: str
    name: str
    stack: str
    project: str
    parts: tuple[tuple[str, str], ...] = ()
    changed: bool = True


class _Found(Struct, frozen=True):
    kind: str
    id: str
    name: str


def bring_under(store: Store, network: NetworkDriver, stack: Stack, name: str, kind: str | None = None) -> Imported:
    """Have the thing of the stack's project with this name or id bear the stack: all of it, or nothing.

    Raises `NothingToImport`, `NoUniqueMatch` where things of several kinds, or several, are called so, and
    `ImportRefused` for what is another stack's, or is gone with something else.
    """
    user = Context(stack.project)
    listed = [one for one in _in_network(network, user, name) if kind in (None, one.kind)]
    with store.read() as tx:
        listed += [one for one in _on_record(tx, stack.project, name) if kind in (None, one.kind)]
    if not listed:
        what = kind or "instance, network, subnet, port, security group or host"
        raise errors.NothingToImport(f"project {stack.project} has no {what} {name}")
    if len(listed) > 1:
        said = ", ".join(f"{one.kind} {one.id}" for one in listed)
        raise errors.NoUniqueMatch(f"{name} means several things: {said}; say its kind, or its id")
    found = listed[0]
    subnets = network.list_subnets(user, network_id=found.id) if found.kind == Kind.NETWORK else ()
    if found.kind == Kind.PORT:
        _check_port(store, network.show_port(user, found.id))
    with store.write() as tx:
        if found.kind == INSTANCE:
            changed = _import_instance(tx, stack, found.id)
            return Imported(found.kind, found.id, found.name, stack.name, stack.project, changed=changed)
        parts = [one for one in subnets if stacks.stack_of(tx, Kind.SUBNET, one.id) in (None, stack)]
        things = [(Kind(found.kind), found.id, found.name)]
        things += [(Kind.SUBNET, one.id, one.name) for one in parts]
        new = [each for each in things if _import_thing(tx, stack, *each)]
    along = tuple((one.id, one.name) for one in parts)
    return Imported(found.kind, found.id, found.name, stack.name, stack.project, along, bool(new))


def _in_network(network: NetworkDriver, user: Context, name: str) -> Iterator[_Found]:
    """The project's own; what others share with it is theirs."""
    things: tuple[tuple[Kind, Sequence[Network | Subnet | Port | SecurityGroup]], ...] = (
        (Kind.NETWORK, network.list_networks(user)),
        (Kind.SUBNET, network.list_subnets(user)),
        (Kind.PORT, [*network.list_ports(user, name=name), *_port_of(network, user, name)]),
        (Kind.SECURITY_GROUP, network.list_security_groups(user)),
    )
    for kind, listed in things:
        for one in listed:
            if name in (one.id, one.name) and one.project_id == user.project_id:
                yield _Found(kind.value, one.id, one.name or one.id)


def _port_of(network: NetworkDriver, user: Context, id_: str) -> Sequence[Port]:
    try:
        return (network.show_port(user, id_),)
    except errors.PortNotFound:
        return ()


def _on_record(tx: Transaction, project: str, name: str) -> Iterator[_Found]:
    instance = instances.find(tx, name, project)
    if instance is not None:
        yield _Found(INSTANCE, instance.id, instance.name)
    if hosts.there(tx, name):
        yield _Found(Kind.HOST.value, name, name)


def _import_instance(tx: Transaction, stack: Stack, instance_id: str) -> bool:
    found = instances.get(tx, instance_id)
    if found.stack == stack.name:
        return False
    _check_free(f"instance {found.name}", None if found.stack is None else Stack(found.project, found.stack), stack)
    if found.damage:
        raise errors.ImportRefused(f"instance {found.name}: {found.damage}")
    if not State(found.vm_state, found.task_state).at_rest:
        raise errors.InstanceBusy(f"instance {found.name} is not at rest: {who_is_at(found)}")
    instances.take_into(tx, instance_id, stack.name)
    return True


def _import_thing(tx: Transaction, stack: Stack, kind: Kind, id_: str, name: str) -> bool:
    maker = stacks.stack_of(tx, kind, id_)
    if maker == stack:
        return False
    _check_free(f"{kind} {name}", maker, stack)
    stacks.add(tx, stack, kind, id_)
    return True


def _check_free(label: str, maker: Stack | None, stack: Stack) -> None:
    if maker is not None:
        text = f"{label} stays what it is: {told(maker, stack.project)}"
        raise errors.ImportRefused(f"{text}; one thing is of one stack")


def _check_port(store: Store, port: Port) -> None:
    """Raise `ImportRefused` for a port that comes and goes with something else."""
    label = f"port {port.name or port.id}"
    if port.device_owner == DHCP_OWNER:
        text = f"{label} is the DHCP server's of its network, and goes with that: import the network"
        raise errors.ImportRefused(text)
    if not port.device_id:
        return
    with store.read() as tx:
        effects = effects_of(tx, port.device_id)
    for effect in effects:
        if effect.kind == "port" and effect.state is not EffectState.UNDONE and effect.result:
            nic = codec.decode(effect.result, Nic)
            if nic.port.id == port.id and nic.request.port_id is None:
                text = f"{label} was made for instance {port.device_id}, and goes with it: import the instance"
                raise errors.ImportRefused(text)

"""Another host for an instance: which one, and what there is to be taken back on the old one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.deadline import within
from slipway.flows import scheduler
from slipway.flows.choosing import members_of, usages
from slipway.flows.tasks.base import Tools
from slipway.model.change import Change
from slipway.model.machine import PowerState
from slipway.model.neutron import ADMIN
from slipway.model.record import Effect, EffectState, Instance, Scope
from slipway.model.request import Host, InstanceRequest
from slipway.operations.changes.carried import check_wiring
from slipway.operations.things import missing_disks
from slipway.states import hosts, instances
from slipway.states.effects import done, effects_of
from slipway.states.hosts import HostUsage
from slipway.states.machines import State, VmState
from slipway.states.secrets import lacks_secrets
from slipway.states.store import Transaction

_OF_A_NIC = ("binding", "released-binding", "activated-binding", "vif", "filter", "dhcp-port", "dhcp")
_MOVABLE = frozenset({"claim", "disk", "seed", "definition", "domain", *_OF_A_NIC})
"""The kinds of what an instance has on its host that a move can make on another one."""


def _as_it_is(request: InstanceRequest) -> InstanceRequest:
    return request


Asked = Callable[[InstanceRequest], InstanceRequest]
"""What an instance is asked to be from its move on, made of what it is asked to be: another zone, group, label."""


def new_host(
    tools: Tools,
    name: str,
    project: str | None,
    to: str | None,
    *,
    lost: bool = False,
    live: bool = False,
    asked: Asked = _as_it_is,
) -> str | None:
    """The host to which an instance is to go: `to`, or the one that the scheduler has for it besides its own.

    `lost`: its own is not to be there any more; `live`: a guest that runs is to go on meanwhile. None where there is no
    such instance, or it is not at rest: whoever changes it says so. What cannot be is said before anything is done:
    raises `MoveRefused`, `NoValidHost` with the reasons, `HostNotFound`, `HostElsewhere`.
    """
    with tools.store.read() as tx:
        found = instances.find(tx, name, project)
        if found is None or not State(found.vm_state, found.task_state).at_rest:
            return None
        _check_state(found)
        assert found.host is not None
        old, there = hosts.get(tx, found.host), effects_of(tx, found.id)
        target = _chosen(tx, tools, replace(found, request=asked(found.request)), old, to)
        _check_effects(found, there, target.name)
    if lost:
        _check_lost(tools, found, old)
    else:
        _check_real(tools, found, there, old, target)
        if live and found.vm_state == VmState.ACTIVE:
            check_live(tools, found, old, target)
    return target.name


def move(
    instance: Instance,
    effects: Sequence[Effect],
    *,
    to: str | None,
    lost: bool = False,
    live: bool = False,
    patience: float | None = None,
    asked: Asked = _as_it_is,
) -> Change:
    """On that host, built again there where its own is `lost`, and while its guest runs if `live`, if it does.

    What it was asked for names the new one from then on, where it named one.

    Raises `MoveRefused`, `InstanceBusy` where somebody else was quicker.
    """
    _check_state(instance)
    if to is None or to == instance.host:
        raise errors.InstanceBusy(f"instance {instance.name}: somebody else was at it first; try again")
    _check_effects(instance, effects, to)
    old = _on(effects, instance.host)
    nics = _slots(effects, "port")
    slots = dict.fromkeys(_OF_A_NIC, nics) | {kind: _slots(old, kind) for kind in ("disk", "seed")}
    request = _asked(asked(instance.request), to)
    retired = tuple(effect.key for effect in old)
    what = f"to host {to}, from {instance.host}" + (", which is lost" if lost else "")
    live = live and instance.vm_state == VmState.ACTIVE
    workflow = "evacuate" if lost else "move-live" if live else "move"
    return Change(workflow, what, request, retired=retired, host=to, slots=slots, lost=lost, patience=patience)


def lost_race(moved: Instance) -> bool:
    """Whether others took the last place of the new host meanwhile, so that nothing was done and another one may do."""
    lost = (errors.ComputeResourcesUnavailable.__name__, errors.GroupAffinityViolation.__name__)
    return moved.fault is not None and (moved.fault.step, moved.fault.type in lost) == ("claim", True)


def _asked(request: InstanceRequest, to: str) -> InstanceRequest:
    return request if request.host is None else replace(request, host=to)


def _check_state(instance: Instance) -> None:
    if instance.vm_state == VmState.PAUSED:
        raise errors.UnexpectedState(
            f"instance {instance.name} is PAUSED, and a guest must shut down before it moves: start or stop it first"
        )
    if instance.host is None or instance.vm_state not in (VmState.ACTIVE, VmState.STOPPED):
        raise errors.UnexpectedState(f"instance {instance.name} is {instance.vm_state}: only what was built can move")


def _chosen(tx: Transaction, tools: Tools, instance: Instance, old: Host, to: str | None) -> Host:
    """The best of the hosts that would do. Raises `NoValidHost` with why each of them would not."""
    if to == old.name:
        raise errors.MoveRefused(f"instance {instance.name} is on host {to} already")
    if to is not None and not hosts.there(tx, to):
        raise errors.HostNotFound(f"no host {to} is on record: `slipway host list` has them")
    request = replace(instance.request, host=to)
    seen = usages(tx, request, tools.drivers, instance.id)
    if to is not None:
        seen = [usage for usage in seen if usage.host.name == to]
    alike = [_judged(usage, old) for usage in seen if usage.host.name != old.name]
    best = scheduler.select(request, alike, members_of(tx, request, instance.id))[0]
    return next(usage.host for usage in alike if usage.host.name == best.weights.name)


def _judged(usage: HostUsage, old: Host) -> HostUsage:
    """The host with why an instance of the old one cannot be made there, if so."""
    return replace(usage, elsewhere=usage.elsewhere or unlike(usage.host, old))


def unlike(host: Host, old: Host) -> str:
    """Why what is on the old host cannot be made on this one, if so: its drivers are others."""
    for what, has, had in (
        ("compute", host.compute, old.compute),
        ("wiring", host.wiring, old.wiring),
        ("disks", host.disks, old.disks),
    ):
        if has != had:
            return f"its {what} is {has}, that of {old.name} is {had}"
    return ""


def _on(effects: Iterable[Effect], host: str | None) -> Sequence[Effect]:
    return [e for e in effects if e.scope is Scope.HOST and e.host == host and e.state is not EffectState.UNDONE]


def _slots(effects: Iterable[Effect], kind: str) -> tuple[int, ...]:
    return tuple(effect.slot for effect in done(effects, kind))


def _check_effects(instance: Instance, effects: Sequence[Effect], to: str) -> None:
    """Raise `MoveRefused` for what a move cannot take along, and where something is left on the new host."""
    if left := _on(effects, to):
        raise errors.MoveRefused(
            f"host {to} may still have what could not be undone of {instance.name}: {left[0].key}; `slipway repair "
            f"{instance.name}` tries it again"
        )
    for effect in _on(effects, instance.host):
        if effect.kind == "port":
            raise errors.MoveRefused(
                f"host {instance.host} dictates the MAC addresses of {instance.name}: it stays there"
            )
        if effect.kind not in _MOVABLE:
            raise errors.MoveRefused(
                f"instance {instance.name} has a {effect.kind} on host {instance.host} that cannot move: delete it"
            )
        if effect.state is not EffectState.DONE:
            raise errors.MoveRefused(
                f"{effect.key} of {instance.name} is {effect.state}; `slipway repair {instance.name}` tries it again"
            )


def _check_lost(tools: Tools, instance: Instance, old: Host) -> None:
    """Raise `MoveRefused` where its guest certainly runs on the host that is to be lost, and where it cannot be built
    again: what a user gave it in secret is not on record any more."""
    if lacks_secrets(instance.request):
        raise errors.MoveRefused(
            f"instance {instance.name} was built with user data, which are not on record any more: delete it, and have "
            f"it built again from its file"
        )
    runs = False
    with suppress(errors.SlipwayError), within(min(_LOOK, tools.settings.step_timeout)):
        runs = tools.drivers.on(old).compute.power_state(instance.id) is PowerState.RUNNING
    if runs:
        raise errors.MoveRefused(
            f"host {old.name} answers, and the guest of {instance.name} runs there: it is not dead; "
            f"`slipway host drain {old.name} --move` moves what is there"
        )


_LOOK = 10.0
"""Seconds that a host which is to be dead may take to answer after all."""


def check_live(tools: Tools, instance: Instance, old: Host, target: Host) -> None:
    """Raise `MoveRefused` for what keeps a guest from going there while it runs; without that it can move."""
    wrong: list[str] = []
    if not tools.drivers.network.binds_twice(ADMIN):
        wrong.append("the network service binds a port to one host at a time (it has no binding-extended)")
    with within(tools.settings.step_timeout):
        here, there = tools.drivers.on(old).compute, tools.drivers.on(target).compute
        state = here.power_state(instance.id)
        if state is not PowerState.RUNNING:
            wrong.append(f"its guest is {state}")
        wrong += here.unmovable(instance.id, there.endpoint())
    if wrong:
        raise errors.MoveRefused(
            f"instance {instance.name} cannot go to host {target.name} while it runs: {'; '.join(wrong)}; "
            f"move it without --live"
        )


def _check_real(tools: Tools, instance: Instance, effects: Sequence[Effect], old: Host, target: Host) -> None:
    """Ask the drivers what the record does not know. Raises `MoveRefused`, what they do."""
    tools.drivers.check_here(old)
    done = [effect for effect in effects if effect.state is EffectState.DONE and effect.host in (None, old.name)]
    with within(tools.settings.step_timeout):
        gone = list(missing_disks(instance.id, done, tools.drivers.on(old).disk))
        macs = tools.drivers.on(target).compute.macs_for_instance(instance.id)
        check_wiring(instance, done, target.name, tools.drivers.on(target).wiring)
    if gone:
        raise errors.MoveRefused(f"instance {instance.name} cannot move to host {target.name}: {'; '.join(gone)}")
    if macs is not None:
        raise errors.MoveRefused(f"host {target.name} dictates MAC addresses: {instance.name} has its own")

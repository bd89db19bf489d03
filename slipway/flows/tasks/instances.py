"""Instances as a workflow's own steps have them: built, deleted, stopped and started as by the commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from msgspec import Struct

from slipway.errors import InstanceBusy, InstanceFailed, InstanceNotFound, UnexpectedState
from slipway.flows.tasks.arguments import Duration, seconds_of
from slipway.flows.tasks.base import InstanceVerbs, Task, Tools, Work
from slipway.model.record import Instance
from slipway.model.request import Host
from slipway.states.intent import Durability
from slipway.states.machines import VmState

T = TypeVar("T")


class BuiltInstance(Struct, frozen=True):
    """An instance that was built, or found."""

    id: str
    name: str
    host: str | None
    addresses: tuple[str, ...] = ()
    access_ipv4: str | None = None
    access_ipv6: str | None = None


class PowerChange(Struct, frozen=True):
    """An instance that was to be stopped or started. `changed`: it was not so before."""

    id: str
    name: str
    changed: bool


class InstanceTask(Task):
    """A step whose effect is a verb on an instance."""

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """The verb has a ledger of its own, and may take long: no transaction of this step is open meanwhile."""
        return Durability.FOREIGN


class BuildInstance(InstanceTask):
    """Build an instance, in the run's project."""

    name = "build-instance"
    kind = "instance"
    patience = 3600.0

    def do(
        self,
        work: Work,
        name: str,
        flavor: Mapping[str, Any],
        image: Mapping[str, Any],
        networks: tuple[str | Mapping[str, Any], ...] | None = None,
        security_groups: tuple[str, ...] | None = None,
        group: Mapping[str, Any] | None = None,
        zone: str | None = None,
        host: str | None = None,
        disks: tuple[str | int | Mapping[str, Any], ...] | None = None,
        metadata: Mapping[str, str] | None = None,
        user_data: str | Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        ssh_keys: tuple[str, ...] | None = None,
        timezone: str | None = None,
        locale: str | None = None,
        network_config: str | Mapping[str, Any] | None = None,
        config_drive: bool | None = None,
        cdrom: str | None = None,
        shares: Mapping[str, str] | None = None,
        wait_for: Mapping[str, Any] | None = None,
    ) -> BuiltInstance:
        """The arguments are those of a run file's instance, with the flavor, the image and the server group in place of
        their names: `flavor: {vcpus: 1, memory: 512MiB, disk: 2GiB}`. Paths of files are absolute.

        Raises `InvalidRequest`, `InstanceExists`, and `InstanceFailed` with the first cause.
        """
        entry = {
            "flavor": flavor,
            "image": image,
            "networks": networks,
            "security_groups": security_groups,
            "group": group,
            "zone": zone,
            "host": host,
            "disks": disks,
            "metadata": metadata,
            "user_data": user_data,
            "files": files,
            "ssh_keys": ssh_keys,
            "timezone": timezone,
            "locale": locale,
            "network_config": network_config,
            "config_drive": config_drive,
            "cdrom": cdrom,
            "shares": shares,
            "wait_for": wait_for,
        }
        given = {key: value for key, value in entry.items() if value is not None}
        verbs, project = verbs_of(work), work.run.project
        built = verbs.build(name, given, project=project, key=work.effect.key, going_on=work.check)
        return _seen(built)

    def undo(self, work: Work, result: BuiltInstance | None) -> None:
        """Delete it, also half built."""
        verbs_of(work).take_back(project=work.run.project, key=work.effect.key, timeout=_left(work))


class FindInstance(InstanceTask):
    """Find an instance of the run's project, for its addresses and its host.

    Needs no undo: it only looks. It is recorded, since the steps after it go by what was seen.
    """

    name = "find-instance"
    kind = "found"

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What was seen once stays so for the run: later it may be gone, or another one have its name."""
        return Durability.RECORDED

    def do(self, work: Work, instance: str) -> BuiltInstance:
        """`instance`: its name or id. Raises `InstanceNotFound`, also for one that is deleted."""
        found = _found(work, instance)
        if found.vm_state == VmState.DELETED:
            raise InstanceNotFound(f"instance {instance} is deleted")
        return _seen(found)


class DeleteInstance(InstanceTask):
    """Delete an instance of the run's project. One that is deleted already is no error, one that never was is.

    Has no undo of its own: what was on its disks is gone. A `revert` may build another one.
    """

    name = "delete-instance"
    kind = "deletion"
    irreversible = True

    def do(self, work: Work, instance: str) -> str:
        """`instance`: its name or id; one of that name that was made after the step began is another one. Gives its id.

        Raises `InstanceNotFound`, `UndoFailed` where something of it is stuck, `InstanceBusy`.
        """
        found = _found(work, instance)
        return verbs_of(work).delete(found.id, timeout=_left(work)).id

    def end(self, work: Work, instance: str) -> bool:
        """Have one that is half deleted deleted, for it has the name and the addresses of what is to take its place."""
        try:
            found = _found(work, instance)
        except InstanceNotFound:
            return False
        if found.task_state is None and found.vm_state not in (VmState.ERROR, VmState.DELETED):
            return False
        verbs_of(work).delete(found.id, timeout=_left(work))
        return True


class StopInstance(InstanceTask):
    """Stop an instance of the run's project; nothing happens where it is stopped."""

    name = "stop"
    kind = "stopped"

    def do(self, work: Work, instance: str, force: bool = False, patience: Duration | None = None) -> PowerChange:
        """`instance`: its name or id. It is asked to shut down, and ended when it still runs after `patience` (default:
        the settings' `shutdown_timeout`), or at once with `force`.

        Raises `InstanceNotFound`, `UnexpectedState`, `InstanceFailed`.
        """
        timeout = None if patience is None else seconds_of(self.name, "patience", patience)
        stop = lambda verbs, found: verbs.stop(found.id, force=force, timeout=timeout)  # noqa: E731
        return _change(work, instance, VmState.STOPPED, stop)

    def undo(self, work: Work, result: PowerChange | None, instance: str) -> None:
        """Start it, where this step stopped it."""
        _change_back(work, result, instance, VmState.ACTIVE, lambda verbs, found: verbs.start(found.id))


class StartInstance(InstanceTask):
    """Start an instance of the run's project; nothing happens where it runs."""

    name = "start"
    kind = "started"

    def do(self, work: Work, instance: str) -> PowerChange:
        """`instance`: its name or id.

        Raises `InstanceNotFound`, `UnexpectedState`, `InstanceFailed`.
        """
        return _change(work, instance, VmState.ACTIVE, lambda verbs, found: verbs.start(found.id))

    def undo(self, work: Work, result: PowerChange | None, instance: str) -> None:
        """Stop it, where this step started it."""
        stop = lambda verbs, found: verbs.stop(found.id, force=False, timeout=None)  # noqa: E731
        _change_back(work, result, instance, VmState.STOPPED, stop)


def _seen(instance: Instance) -> BuiltInstance:
    """What later steps may use of an instance."""
    of = instance
    return BuiltInstance(of.id, of.name, of.host, of.addresses, of.access_ipv4, of.access_ipv6)


Verb = Callable[[InstanceVerbs, Instance], Instance]


def _change(work: Work, name: str, goal: VmState, verb: Verb) -> PowerChange:
    verbs, found = verbs_of(work), _found(work, name)
    after = _patiently(work, lambda: verb(verbs, found))
    _check_is(after, goal)
    # Not by how it was found: this step may have changed it before a crash.
    return PowerChange(after.id, after.name, verbs.power_changed(after.id, work.effect))


def _change_back(work: Work, result: PowerChange | None, name: str, goal: VmState, verb: Verb) -> None:
    verbs = verbs_of(work)
    try:
        found = _found(work, name if result is None else result.id)
    except InstanceNotFound:
        return
    changed = verbs.power_changed(found.id, work.effect) if result is None else result.changed
    if not changed or found.vm_state == VmState.DELETED:
        return
    try:
        after = _patiently(work, lambda: verb(verbs, found))
    except UnexpectedState:
        # It is in ERROR, say: whoever moved it on since knows better.
        return
    _check_is(after, goal)


def _check_is(after: Instance, goal: VmState) -> None:
    if after.vm_state != goal:
        why = f": {after.fault.type}: {after.fault.message}" if after.fault else ""
        raise InstanceFailed(f"instance {after.name} is {after.vm_state} and not {goal}{why}")


def _patiently(work: Work, call: Callable[[], T]) -> T:
    """The call, again while another worker has the instance."""
    tools = work.tools
    while True:
        try:
            return call()
        except InstanceBusy:
            if tools.monotonic() >= work.deadline:
                raise
        work.check()
        tools.sleep(tools.settings.poll_interval)


def _found(work: Work, name: str) -> Instance:
    return verbs_of(work).find(name, project=work.run.project, then=work.effect)


def _left(work: Work) -> float:
    return max(0.0, work.deadline - work.tools.monotonic())


def verbs_of(work: Work) -> InstanceVerbs:
    """The verbs on instances, which whoever runs workflows gives along."""
    if work.tools.instances is None:
        raise LookupError("these tools know no instances")
    return work.tools.instances.fenced(work.fence)

"""Mend what an audit finds: each instance in this worker's hands, as a stop or start has it, and what is nobody's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial

from msgspec import Struct

from slipway import errors
from slipway.flows.tasks.base import Tools
from slipway.model.machine import DhcpService
from slipway.model.record import Instance
from slipway.operations.audit import Difference, Finding, audit
from slipway.operations.hosts import check_here
from slipway.operations.lifecycle import Builder, Listener
from slipway.operations.mends import Mend, mends
from slipway.operations.orphans import ADOPTED, owners, remove_orphan
from slipway.operations.routers import carry_again
from slipway.states import codec, effects, hosts, instances, quotas
from slipway.states.history import history_of
from slipway.states.machines import Move, State, VmState
from slipway.texts import named

log = logging.getLogger(__name__)

_MOST_PASSES = 4
"""How often it is looked again: what was unfinished or missing may have hidden something else."""


class Selection(Struct, frozen=True):
    """What is to be looked at: an instance (by id), a stack of a project, or a host; nothing said: all there is."""

    instance_id: str | None = None
    stack: str | None = None
    project: str | None = None
    host: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether nothing was said."""
        return self == ALL

    def has(self, finding: Finding, instance: Instance | None) -> bool:
        """Whether the finding is of what is selected."""
        if self.is_all:
            return True
        if self.host is not None:
            return finding.host == self.host or (instance is not None and instance.host == self.host)
        if instance is None:
            return False
        if self.instance_id is not None:
            return instance.id == self.instance_id
        return instance.stack == self.stack and self.project in (None, instance.project)


ALL = Selection()


class Outcome(StrEnum):
    """What became of a difference."""

    MENDED = "mended"
    FAILED = "failed"
    LEFT = "left"
    """Nothing was tried: a repair cannot mend it, or would have lost something that nobody has agreed to lose."""


class Mended(Struct, frozen=True):
    """A difference, what was to be done about it, and what became of it; why, where it is still there."""

    mend: Mend
    outcome: Outcome
    message: str = ""


_Key = tuple[str, str, str | None, str | None, str]
_Owned = Mapping[tuple[str, str], str]


class Repair:
    """A look at the differences, and their mending. Two of them at once, or one beside a delete, are safe."""

    def __init__(self, tools: Tools, builder: Builder) -> None:
        self._tools = tools
        self._builder = builder

    def plan(self, selection: Selection = ALL) -> tuple[Mend, ...]:
        """What a repair would do; changes nothing."""
        found = audit(self._tools)
        with self._tools.store.read() as tx:
            known = {instance.id: instance for instance in instances.listed(tx)}
        owned = self._owned(found)
        return mends([one for one in found if selection.has(one, known.get(one.instance_id or ""))], known, owned)

    def mend(
        self,
        selection: Selection = ALL,
        *,
        losing: bool = True,
        notify: Listener = lambda _event: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Mended, ...]:
        """Do it; gives what became of each difference, as a last look says. Not `losing`: nothing is lost by it.

        Raises a `StoreError`.
        """
        known: dict[_Key, Mend] = {}
        tried: set[_Key] = set()
        why: dict[str, str] = {}
        left: set[_Key] = set()
        for _ in range(_MOST_PASSES):
            planned = {_key(one.finding): one for one in self.plan(selection)}
            known = {**planned, **known}
            left = set(planned)
            todo = [
                one for key, one in planned.items() if key not in tried and one.possible and (losing or not one.loses)
            ]
            if not todo or stopping():
                break
            # What an instance differs in that somebody has left is seen when it is at rest.
            todo = [one for one in todo if one.finding.difference is Difference.UNFINISHED] or todo
            tried.update(_key(one.finding) for one in todo)
            self._do([one.finding for one in todo], why, notify, stopping)
        return tuple(_mended(key, one, key in left, key in tried, why) for key, one in known.items())

    # --- doing it ---------------------------------------------------------------------------------------------------

    def _do(
        self, findings: Sequence[Finding], why: dict[str, str], notify: Listener, stopping: Callable[[], bool]
    ) -> None:
        """Mend these; `why` is given the reason for each thing that cannot be, by its name or its instance's id."""
        owned = self._owned(findings)
        for finding in findings:
            if finding.kind == "router":
                with _noting(why, finding.name):
                    carry_again(self._tools, finding.host or "")
            elif _is_of_a_host(finding):
                with _noting(why, finding.name):
                    self._count(finding)
            elif finding.kind == "quota":
                with _noting(why, finding.name), self._tools.store.write() as tx:
                    quotas.count_anew(tx, finding.name.rpartition("/")[0])
            elif finding.difference is Difference.ORPHANED and not stopping() and self._owner(finding, owned) is None:
                with _noting(why, finding.name):
                    remove_orphan(self._tools, finding)
        for instance_id, own in self._by_instance(findings, owned).items():
            if stopping():
                return
            with _noting(why, instance_id):
                self._of_instance(instance_id, own, notify, stopping)

    def _owned(self, findings: Sequence[Finding]) -> _Owned:
        """Whose NICs' parts are, where anything is nobody's."""
        return owners(self._tools) if any(one.difference is Difference.ORPHANED for one in findings) else {}

    def _by_instance(self, findings: Sequence[Finding], owned: _Owned) -> Mapping[str, Sequence[Finding]]:
        """The findings of each instance on record, in their order; one of a DHCP server is of all whom it serves."""
        grouped: dict[str, list[Finding]] = {}
        for finding in findings:
            if _is_of_a_host(finding):
                continue
            served = self._served(finding.name) if finding.kind == "dhcp-port" else ()
            for instance_id in dict.fromkeys([*filter(None, [self._owner(finding, owned)]), *served]):
                grouped.setdefault(instance_id, []).append(finding)
        return grouped

    def _owner(self, finding: Finding, owned: _Owned) -> str | None:
        """The instance on record in whose hands a finding is mended."""
        if finding.difference is Difference.ORPHANED and finding.kind in ADOPTED and finding.instance_id is None:
            return owned.get((finding.kind, finding.name))
        if finding.instance_id is None:
            return None
        with self._tools.store.read() as tx:
            try:
                instance = instances.get(tx, finding.instance_id)
            except errors.InstanceNotFound:
                return None
        return None if instance.vm_state == VmState.DELETED else instance.id

    def _served(self, server_id: str) -> Sequence[str]:
        """The instances that the DHCP server serves whose port this is."""
        with self._tools.store.read() as tx:
            standing = effects.standing(tx, kinds=("dhcp-port",))
        return [
            effect.instance_id
            for effect in standing
            if effect.result and (server := codec.decode(effect.result, DhcpService).server) and server.id == server_id
        ]

    def _of_instance(
        self, instance_id: str, findings: Sequence[Finding], notify: Listener, stopping: Callable[[], bool]
    ) -> None:
        with self._tools.store.read() as tx:
            instance = instances.get(tx, instance_id)
            last = history_of(tx, instance_id)[-1]
        if not State(instance.vm_state, instance.task_state).at_rest:
            ended = self._builder.go_on(instance, notify, stopping)
            if ended.message:
                raise errors.InstanceBusy(ended.message)
            return
        if last.event == Move.DELETE_FAILED:
            rested = self._builder.delete(instance_id, None, notify)
        else:
            # Loaded where something is mended: each run looks whether anything is to be.
            from slipway.operations.power import change_power

            mend = partial(change_power, findings=tuple(findings))
            rested = self._builder.repair(instance_id, mend, notify, stopping)
        if rested.fault is not None and rested.vm_state != VmState.DELETED:
            raise errors.RepairImpossible(f"{rested.fault.type}: {rested.fault.message}")

    def _count(self, finding: Finding) -> None:
        """Have a host's counters be the sum of what is claimed, and nothing be claimed for who has claimed nothing."""
        assert finding.host is not None
        with self._tools.store.write() as tx:
            check_here(tx, [finding.host], self._tools.drivers)
            if finding.kind == "claim":
                recorded = effects.effects_of(tx, finding.name)
                if any(e.kind == "claim" and e.host == finding.host and e.state != "undone" for e in recorded):
                    return
                hosts.release(tx, finding.name, finding.host)
            hosts.count_anew(tx, finding.host)


class _noting:  # noqa: N801 - it is used as a function is
    """What goes wrong meanwhile is noted under a name, and keeps nothing else from being mended."""

    def __init__(self, why: dict[str, str], name: str) -> None:
        self._why = why
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> bool:
        if not isinstance(error, Exception) or isinstance(error, errors.StoreError):
            return False
        log.info("%s could not be mended", self._name, exc_info=error)
        self._why[self._name] = named(error)
        return True


def _is_of_a_host(finding: Finding) -> bool:
    """Whether it is of what is counted for a host, claimed of it by nobody, or carried by it for whoever needs it."""
    unclaimed = finding.kind == "claim" and finding.difference is Difference.ORPHANED
    return unclaimed or finding.kind in ("counter", "router")


def _key(finding: Finding) -> _Key:
    return (finding.difference, finding.kind, finding.host, finding.instance_id, finding.name)


def _mended(key: _Key, mend: Mend, still: bool, was_tried: bool, why: Mapping[str, str]) -> Mended:
    if not still:
        return Mended(mend, Outcome.MENDED)
    finding = mend.finding
    message = why.get(finding.instance_id or "") or why.get(finding.name) or ""
    return Mended(mend, Outcome.FAILED if was_tried else Outcome.LEFT, message or ("" if was_tried else mend.action))

"""Carries out a plan: first what instances stand on, then what goes, the instances, and at last what nothing uses."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from slipway.flows.tasks.base import Tools
from slipway.model.record import Event
from slipway.operations.batch import GONE, Ended, run_in_order
from slipway.operations.follow import follow
from slipway.operations.lifecycle import Builder
from slipway.runfile.entries import InstanceEntry
from slipway.stacks.apply import bring_about
from slipway.stacks.changes import Changes, RunResult
from slipway.stacks.plan import Change, How, Plan
from slipway.stacks.removal import remove_instance
from slipway.stacks.takeback import prune
from slipway.stacks.words import kept_lines
from slipway.states.stacks import Kind

if TYPE_CHECKING:
    from slipway.operations.repair import Repair

_INSTANCE = "instance"


class Carrier(Struct, frozen=True):
    """What is needed to carry out a plan; see `Orchestrator.run`."""

    builder: Builder
    tools: Tools
    repair: Callable[[], Repair]
    workflow: str
    notify: Callable[[Event], None]
    stopping: Callable[[], bool]
    executor: Executor | None = None

    def carry_out(self, plan: Plan) -> RunResult:
        """Do just what it says. Raises `PlanOutdated` before anything is done, what the network service refuses."""
        tools = self.tools
        changes = bring_about(plan, tools.store, tools.drivers)
        if changes.created or changes.changed:
            follow(None, tools, self.notify)
        mended, unmended = self._mend(plan)
        gone = self._prune_instances(plan)
        entries = {entry.request.name: entry for entry in plan.file.instances}
        fates = {one.name: one for one in plan.changes if one.kind == _INSTANCE and not one.real}
        ended = run_in_order(
            {name: entry.depends_on for name, entry in entries.items()},
            lambda name: self._bring(entries[name], fates.get(name), plan),
            executor=self.executor,
            stopping=self.stopping,
        )
        pruned = Changes()
        if all(one.status in GONE for one in gone) and not self.stopping():
            pruned = self._prune_things(plan)
            if pruned.removed:
                follow(None, tools, self.notify)
        kept = [line for one in plan.changes if not _of_the_file(one, entries) for line in kept_lines(one)]
        whole = Changes(changes.created, (*changes.changed, *mended), pruned.removed, (*kept, *unmended, *pruned.kept))
        return RunResult(whole, (*gone, *ended))

    def _bring(self, entry: InstanceEntry, fate: Change | None, plan: Plan) -> Ended:
        request = entry.request
        if fate is not None and fate.how in (How.CHANGE, How.STOP) and fate.id is not None:
            from slipway.stacks.becoming import Changer

            changer = Changer(self.builder, self.tools, self.notify, self.stopping)
            ended = changer.change(request.name, fate.id, fate.runs, request)
        else:
            ended = self.builder.bring(
                request,
                self.notify,
                self.stopping,
                workflow=self.workflow,
                stack=plan.file.name,
                replaces=fate.id if fate is not None and fate.how is How.REPLACE else None,
                planned=fate.host if fate is not None else None,
            )
        return ended if fate is None else replace(ended, kept=tuple(kept_lines(fate)))

    def _mend(self, plan: Plan) -> tuple[list[str], list[str]]:
        """Have instances be as they are on record; gives which are, and what is not, a line each."""
        mended: list[str] = []
        unmended: list[str] = []
        broken = [one for one in plan.changes if one.how is How.MEND and one.real]
        if not broken:
            return mended, unmended
        # What mends is loaded where there is something to be mended: most runs find nothing.
        from slipway.operations.repair import Outcome, Selection

        for change in broken:
            if change.id is None or self.stopping():
                continue
            done = self.repair().mend(
                Selection(instance_id=change.id),
                losing=bool(change.lost),
                notify=self.notify,
                stopping=self.stopping,
            )
            left = [one for one in done if one.outcome is not Outcome.MENDED]
            unmended += [f"{change.label}: {one.mend.finding.detail}: {one.message or one.mend.action}" for one in left]
            if len(left) < len(done):
                mended.append(change.label)
        return mended, unmended

    def _prune_instances(self, plan: Plan) -> tuple[Ended, ...]:
        names = [one.name for one in plan.changes if one.kind == _INSTANCE and one.how is How.PRUNE]
        stack = plan.file.stack
        return tuple(
            remove_instance(self.builder, self.tools, name, stack, self.notify, self.stopping) for name in names
        )

    def _prune_things(self, plan: Plan) -> Changes:
        wanted = {
            (Kind(one.kind), one.id)
            for one in plan.changes
            if one.how is How.PRUNE and one.kind != _INSTANCE and one.id is not None
        }
        return prune(plan.file, self.tools.store, self.tools.drivers, wanted) if wanted else Changes()


def _of_the_file(change: Change, entries: Collection[str]) -> bool:
    """Whether what stays is told with how it ended with an instance of the file."""
    return change.kind == _INSTANCE and change.name in entries and not change.real

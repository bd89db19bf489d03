"""The build of an instance told to end, to go, or to be tried again, as the runs of workflows are."""

from __future__ import annotations

from collections.abc import Callable

from slipway import errors
from slipway.flows.definition import Definition
from slipway.flows.instance_workflow import change_of_name, definition_of
from slipway.flows.loader import known_changes
from slipway.flows.runs.holding import lease
from slipway.flows.tasks.base import Tools
from slipway.model.record import EffectState, Event
from slipway.model.run import RunRecord
from slipway.operations.lifecycle import Builder
from slipway.states import effects, instance_runs, instances, runs
from slipway.states.held import lock
from slipway.states.instance_runs import BUILD, Begun
from slipway.states.machines import TABLE, Move, State
from slipway.states.run_machine import RunState
from slipway.states.secrets import lacks_secrets

Listener = Callable[[Event], None]


class Builds:
    """What `slipway runs` does with the run of an instance: a build is undone by a delete, and built again."""

    def __init__(self, builder: Builder, tools: Tools) -> None:
        """`builder` does it."""
        self._builder = builder
        self._tools = tools

    def ask_to_cancel(self, run: RunRecord) -> None:
        """Have a build that is going on end in a delete, without waiting for that. Raises `RunRefused`."""
        self._check(run, RunState(run.state).at_work, " and has ended: there is nothing to cancel")
        self._builder.mark_deleting(run.instance_id or "", None)

    def cancel(self, run: RunRecord, notify: Listener, timeout: float | None) -> RunRecord:
        """Delete the instance that is being built. Raises `RunRefused`, and what a delete does."""
        self._check(run, RunState(run.state).at_work, " and has ended: there is nothing to cancel")
        self._builder.delete(run.instance_id or "", None, notify, timeout)
        return self._again(run)

    def undo(self, run: RunRecord, notify: Listener) -> RunRecord:
        """Delete the instance that was built. Raises `RunRefused`, and what a delete does."""
        built = RunState(run.state) in (RunState.SUCCEEDED, RunState.STUCK)
        self._check(run, built, " and left nothing standing: only what succeeded or is stuck is undone")
        self._builder.delete(run.instance_id or "", None, notify)
        return self._again(run)

    def retry(self, run: RunRecord, notify: Listener, stopping: Callable[[], bool]) -> RunRecord:
        """Build the instance again whose build failed, in the same run. Raises `RunRefused`, `NotFinished`."""
        self._check(run, RunState(run.state) is RunState.FAILED, ", and only what failed is tried again")
        tools = self._tools
        with tools.store.write() as tx:
            lock(tx, "instance", run.instance_id or "")
            instance = instances.get(tx, run.instance_id or "")
            state = State(instance.vm_state, instance.task_state)
            if instance.run_id != run.id or not TABLE.may(Move.RETRY, state):
                raise errors.RunRefused(f"instance {instance.name} is {state}: something else was done to it since")
            if lacks_secrets(instance.request):
                text = "its user data and files are on record only while it is built; `run --replace-failed` has them"
                raise errors.RunRefused(f"instance {instance.name}: {text}")
            if any(effect.state is EffectState.STUCK for effect in effects.effects_of(tx, instance.id)):
                raise errors.RunRefused(f"instance {instance.name}: something is stuck, and `repair` tries that again")
            self._builder.check_here(tx, instance)
            effects.forget_standing(tx, instance.id)
            values = {"worker": lease(tx, tools), "attempt": 1, "fault": None}
            at = tools.clock()
            instances.advance(tx, instance.id, instance.generation, state, Move.RETRY, at, values=values)
            instance_runs.begin_again(tx, run.id)
            begun = instances.get(tx, instance.id)
        self._builder.bring_to_rest(begun, notify, stopping)
        return self._again(run)

    def definition(self, run: RunRecord) -> Definition:
        """The workflow by which the instance was built, by the text that that began with. Raises `RunRefused`."""
        if run.name != BUILD:
            if run.name in known_changes():
                return change_of_name(run.name)
            raise errors.RunRefused(f"run {run.id} is a {run.name}, which goes by no workflow")
        return definition_of(self._tools.store, run.workflow, Begun(run.id, BUILD, run.workflow, run.digest))

    def _again(self, run: RunRecord) -> RunRecord:
        with self._tools.store.read() as tx:
            return runs.get(tx, run.id)

    def _check(self, run: RunRecord, may: bool, refusal: str) -> None:
        if run.name != BUILD:
            text = f"run {run.id} is the {run.name} of instance {run.instance}, which no other run takes back"
            raise errors.RunRefused(f"{text}: the instance has verbs of its own")
        if not may:
            raise errors.RunRefused(f"run {run.id} is {run.state}{refusal}")

"""An atom's way through its states: each is kept, then the walk and the listeners are told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct
from taskflow import states
from taskflow.retry import EXECUTE_REVERT_HISTORY, REVERT_FLOW_FAILURES
from taskflow.task import EVENT_UPDATE_PROGRESS, REVERT_RESULT
from taskflow.types.failure import Failure

from slipway.flows.engine.graph import Kind, Node
from slipway.flows.engine.storage import Storage
from slipway.flows.engine.walk import Walk

log = logging.getLogger(__name__)

_NOTHING = object()


class Call(Struct, frozen=True, eq=False):
    """What is to be done for an atom: `run` gives what came of it, a `Failure` where it raised."""

    node: Node
    run: Callable[[], Any]
    reverts: bool


class Atoms:
    """Prepares the calls of atoms, and keeps what came of them."""

    def __init__(self, storage: Storage, walk: Walk, notifier: Any) -> None:
        self._storage = storage
        self._known = storage.known
        self._walk = walk
        self._notifier = notifier

    # --- calls ----------------------------------------------------------------------------------------------------

    def execution(self, node: Node) -> Call:
        """Begin to execute an atom. Raises `NotFound` where an argument is missing: then it was not begun."""
        atom = node.item
        arguments: dict[str, Any] = {}
        if atom.rebind:
            arguments = self._storage.fetch_mapped_args(atom.rebind, node.name, optional_args=atom.optional)
        if node.kind is Kind.RETRY:
            arguments[EXECUTE_REVERT_HISTORY] = self._storage.get_retry_history(node.name)
            self.enter(node, states.RUNNING)
            return Call(node, partial(_caught, atom.execute, arguments), False)
        self.enter(node, states.RUNNING)
        run = partial(self._carry_out, node, atom.pre_execute, atom.execute, atom.post_execute, arguments)
        return Call(node, run, False)

    def reversion(self, node: Node) -> Call:
        """Begin to revert an atom. Raises `NotFound` where an argument is missing: then it was not begun."""
        atom = node.item
        arguments = self._storage.fetch_mapped_args(atom.revert_rebind, node.name, optional_args=atom.revert_optional)
        arguments[REVERT_FLOW_FAILURES] = self._storage.get_failures()
        if node.kind is Kind.RETRY:
            arguments[EXECUTE_REVERT_HISTORY] = self._storage.get_retry_history(node.name)
            self.enter(node, states.REVERTING)
            return Call(node, partial(_caught, atom.revert, arguments), True)
        self.enter(node, states.REVERTING)
        arguments[REVERT_RESULT] = self._storage.get(node.name)
        run = partial(self._carry_out, node, atom.pre_revert, atom.revert, atom.post_revert, arguments)
        return Call(node, run, True)

    def _carry_out(
        self,
        node: Node,
        before: Callable[[], None],
        call: Callable[..., Any],
        after: Callable[[], None],
        arguments: dict[str, Any],
    ) -> Any:
        """What came of a task, with the progress kept that it tells of while it runs."""
        keep = partial(self._keep_progress, node.item)
        if node.tells:
            node.notifier.register(EVENT_UPDATE_PROGRESS, keep)
        try:
            try:
                before()
                return call(**arguments)
            finally:
                after()
        except Exception:  # noqa: BLE001 - whatever a task raises is its failure
            return Failure()
        finally:
            if node.tells:
                node.notifier.deregister(EVENT_UPDATE_PROGRESS, keep)

    def _keep_progress(self, task: Any, _event: str, details: dict[str, Any]) -> None:
        if "progress" not in details:
            return
        progress = details.pop("progress")
        try:
            self._storage.set_task_progress(task.name, progress, details=details)
        except Exception:
            log.exception("Failed setting task progress for %s to %0.3f", task, progress)

    # --- states ---------------------------------------------------------------------------------------------------

    def finish(self, call: Call, result: Any) -> None:
        """Keep what came of a call."""
        failed = isinstance(result, Failure)
        if call.reverts:
            state = states.REVERT_FAILURE if failed else states.REVERTED
        else:
            state = states.FAILURE if failed else states.SUCCESS
        node = call.node
        detail = self._known[node.name]
        old = detail.state
        progress = 1.0 if node.kind is Kind.TASK and not failed else None
        self._storage.save(node.name, result, state, progress)
        self._walk.look(node, detail)
        self._tell(node, state, old, result, progress)

    def enter(self, node: Node, state: str, intention: str | None = None) -> None:
        """Put an atom in a state, and say what is meant to be done with it."""
        detail = self._known[node.name]
        old = detail.state
        if old == state and intention in (None, detail.intention):
            return
        progress = 0.0 if node.kind is Kind.TASK else None
        self._storage.move(node.name, state, intention, progress)
        self._walk.look(node, detail)
        self._tell(node, state, old, _NOTHING, progress)

    def intend(self, node: Node, intention: str) -> None:
        """Say what is meant to be done with an atom."""
        detail = self._known[node.name]
        if detail.intention != intention:
            self._storage.move(node.name, None, intention)
            self._walk.look(node, detail)

    def renew(self, node: Node) -> None:
        """Have an atom executed as if it never had been."""
        detail = self._known[node.name]
        old = detail.state
        if old == states.PENDING:
            self.intend(node, states.EXECUTE)
            return
        self._storage.reset(node.name)
        self._walk.look(node, detail)
        self._tell(node, states.PENDING, old, _NOTHING, 0.0 if node.kind is Kind.TASK else None)

    def _tell(self, node: Node, state: str, old: str, result: Any, progress: float | None) -> None:
        if self._notifier:
            kind = "task" if node.kind is Kind.TASK else "retry"
            details = {f"{kind}_name": node.name, f"{kind}_uuid": self._storage.get_atom_uuid(node.name)}
            details["old_state"] = old
            if result is not _NOTHING:
                details["result"] = result
            self._notifier.notify(state, details)
        # Nobody hears it, unless there are listeners or the task has a method of its own.
        if node.tells and progress is not None and (node.hears or node.notifier):
            node.item.update_progress(progress)


def _caught(call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    try:
        return call(**arguments)
    except Exception:  # noqa: BLE001 - whatever an atom raises is its failure
        return Failure()

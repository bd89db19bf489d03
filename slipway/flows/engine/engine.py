"""The engine: TaskFlow's interface, on TaskFlow's public parts alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from taskflow import exceptions, states
from taskflow.engines import base
from taskflow.types.failure import Failure

from slipway.flows.engine.graph import Graph, Node, lay_out
from slipway.flows.engine.passage import Passage
from slipway.flows.engine.scopes import Scopes
from slipway.flows.engine.storage import Storage
from slipway.flows.engine.workers import workers_for

log = logging.getLogger(__name__)


class Engine(base.Engine):  # type: ignore[misc]
    """Runs a flow of TaskFlow's: `taskflow.engines.load(flow, engine="slipway")`, or made directly.

    One atom at a time, so that a crash interrupts one; with the option `executor` (`"threads"`, or any executor that
    runs threads) all that is ready side by side, and `run` returns when all of it has ended. Options as TaskFlow's
    engines have them: `max_workers`, `never_resolve`, `inject_transient`, and `defer_reverts`, which is on unless it is
    turned off: what must be reverted is reverted wholly.
    """

    def __init__(self, flow: Any, flow_detail: Any, backend: Any = None, options: Any = None) -> None:
        super().__init__(flow, flow_detail, backend, options or {})
        self._item = flow
        self._storage = Storage(flow_detail, backend)
        self._workers = workers_for(self.options)
        self._lock = threading.RLock()
        self._graph: Graph | None = None
        self._compilation: Any = None
        self._is_prepared = False
        self._statistics: dict[str, Any] = {}

    @property
    def storage(self) -> Storage:
        """What is known of the flow."""
        return self._storage

    @property
    def statistics(self) -> dict[str, Any]:
        """Of the last run: how many calls of atoms ended, how many failures were resolved, and its seconds."""
        return self._statistics

    @property
    def at_work(self) -> bool:
        """Whether an atom is at work: after a run, only where it was interrupted while it waited for that."""
        return self._workers.at_work

    @property
    def compilation(self) -> Any:
        """What TaskFlow's own compiler makes of the flow, for those who draw it; None before `compile`."""
        if self._graph is not None and self._compilation is None:
            from taskflow.engines.action_engine.compiler import PatternCompiler

            self._compilation = PatternCompiler(self._item).compile()
        return self._compilation

    # --- before a run ---------------------------------------------------------------------------------------------

    def compile(self) -> None:
        """Lay the flow out as a graph. Raises `Duplicate`, `CompilationFailure`, `ValueError`, `TypeError`."""
        with self._lock:
            if self._graph is None:
                self._graph = lay_out(self._item)
                self._storage.scopes = Scopes(self._graph).providers

    def prepare(self) -> None:
        """Have a detail for each atom, and all to be done anew where the flow was reverted."""
        graph = self._compiled("prepare")
        with self._lock:
            if not self._is_prepared:
                self._change_state(states.RESUMING)
                self._ensure(graph)
                self._change_state(states.SUSPENDED)
                self._is_prepared = True
            if self._storage.get_flow_state() == states.REVERTED:
                self.reset()

    def _ensure(self, graph: Graph) -> None:
        self._storage.ensure_atoms([node.item for node in graph.atoms])
        transient = _flag(self.options.get("inject_transient", True))
        for node in graph.atoms:
            if node.item.inject:
                self._storage.inject_atom_args(node.name, node.item.inject, transient=transient)

    def validate(self) -> None:
        """Raise `MissingDependencies` where an atom takes what nothing before it provides."""
        graph = self._prepared("validate")
        missing: set[str] = set()
        cause: Any = None
        short: list[Node] = []
        for node in graph.asking:
            atom = node.item
            for method, names, optional in (
                ("execute", atom.rebind, atom.optional),
                ("revert", atom.revert_rebind, atom.revert_optional),
            ):
                lacking = self._storage.fetch_unsatisfied_args(node.name, names, optional_args=optional)
                if lacking:
                    cause = exceptions.MissingDependencies(atom, sorted(lacking), cause=cause, method=method)
                    short.append(node)
                    missing |= lacking
        if missing:
            if len(short) == 1 and short[0].item is self._item:
                raise cause
            raise exceptions.MissingDependencies(self._item, sorted(missing), cause=cause)

    def reset(self) -> None:
        """Have all done anew, from whichever state: nothing is left of what came of the atoms, failures included."""
        graph = self._prepared("reset")
        with self._lock:
            atoms = self._passage(graph).atoms
            for node in graph.atoms:
                atoms.renew(node)
            old = self._storage.get_flow_state()
            if old != states.PENDING:
                self._storage.set_flow_state(states.PENDING)
                self._tell(states.PENDING, old)

    def _compiled(self, what: str) -> Graph:
        if self._graph is None:
            raise exceptions.InvalidState(f"Can not {what} an engine which has not been compiled")
        return self._graph

    def _prepared(self, what: str) -> Graph:
        graph = self._compiled(what)
        if not self._is_prepared:
            raise exceptions.InvalidState(f"Can not {what} an engine which has not had its storage populated")
        return graph

    # --- a run ----------------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Have nothing more begun; what is at work is waited for."""
        self._compiled("suspend")
        self._change_state(states.SUSPENDING)

    def run(self, timeout: float | None = None) -> None:
        """Run to the end, or until it is suspended. Raises what an atom raised, `WrappedFailure` for several.

        `timeout` bounds single waits for atoms of an executor, in seconds, and nothing else.
        """
        if not self._lock.acquire(blocking=False):
            raise exceptions.ExecutionFailure("Engine currently locked, please try again later")
        try:
            for _state in self._run(lambda passage: self._course(passage, timeout, told=False)):
                pass
        finally:
            self._lock.release()

    def run_iter(self, timeout: float | None = None) -> Generator[str, Any, None]:
        """Run state by state. Who sends something true suspends it; what is thrown in ends it as a failure."""
        return self._run(lambda passage: self._steered(passage, timeout))

    def _run(self, states_of: Callable[[Passage], Iterator[str]]) -> Generator[str, Any, None]:
        self.compile()
        self.prepare()
        self.validate()
        passage = self._passage(self._compiled("run"))
        began = time.monotonic()
        with self._workers:
            self._change_state(states.RUNNING)
            try:
                yield from states_of(passage)
            except Exception:
                log.debug("flow %s failed", self._storage.flow_name, exc_info=True)
                self._change_state(states.FAILURE)
                raise
            finally:
                self._statistics = {
                    "completed": passage.completed,
                    "discarded_failures": passage.discarded,
                    "active_for": time.monotonic() - began,
                }
            if self._storage.get_flow_state() == states.REVERTED:
                Failure.reraise_if_any(passage.failures)

    def _steered(self, passage: Passage, timeout: float | None) -> Generator[str, Any, None]:
        """The states of a run, for as long as anybody asks for them; it is brought to where it can stop anyhow."""
        listening = True
        for state in self._course(passage, timeout, told=True):
            if not listening:
                continue
            try:
                suspend = yield state
            except GeneratorExit:
                listening = False
                self.suspend()
            except Exception:  # noqa: BLE001 - it is raised at the end, when nothing is at work any more
                listening = False
                passage.stop(Failure())
            else:
                if suspend:
                    self.suspend()

    def _course(self, passage: Passage, timeout: float | None, *, told: bool) -> Iterator[str]:
        if told:
            yield from passage.rounds(timeout)
        else:
            passage.go(timeout)
        end = passage.end
        if end == states.FAILURE:
            Failure.reraise_if_any(passage.failures)
        yield end
        self._change_state(end)

    def _passage(self, graph: Graph) -> Passage:
        return Passage(
            graph,
            self._storage,
            self.atom_notifier,
            self._workers,
            defer=_flag(self.options.get("defer_reverts", True)),
            resolve=not _flag(self.options.get("never_resolve", False)),
        )

    def _change_state(self, state: str) -> None:
        moved, old = self._storage.change_flow_state(state)
        if moved:
            self._tell(state, old)

    def _tell(self, state: str, old: str) -> None:
        details = {"engine": self, "flow_name": self._storage.flow_name, "flow_uuid": self._storage.flow_uuid}
        self.notifier.notify(state, {**details, "old_state": old})


def _flag(value: Any) -> bool:
    """What an option says, which may be text: options can stand in a URI."""
    return str(value).strip().lower() in ("1", "t", "true", "on", "y", "yes")

"""One run through a flow: from where it stands until nothing more is to be done, or no more may be."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from taskflow import states
from taskflow.exceptions import StorageFailure
from taskflow.types.failure import Failure

from slipway.flows.engine.atoms import Atoms, Call
from slipway.flows.engine.deciders import goes_on
from slipway.flows.engine.failures import Resolver
from slipway.flows.engine.graph import Graph, Node
from slipway.flows.engine.storage import Storage
from slipway.flows.engine.walk import Walk
from slipway.flows.engine.workers import Workers

_SUCCESS: str = states.SUCCESS
_REVERTED: str = states.REVERTED
_FAILURE: str = states.FAILURE
_SUSPENDED: str = states.SUSPENDED
_HAPPY = {states.SUCCESS, states.IGNORE}
_FAILED = {states.FAILURE, states.REVERT_FAILURE}
_AT_REST = {states.PENDING, states.SUCCESS, states.REVERTED, states.IGNORE}
_UNFINISHED = {states.RUNNING, states.REVERTING}


class Passage:
    """Begins what may be begun, and follows what came of it; a revert that fails keeps no other one from its turn."""

    def __init__(
        self, graph: Graph, storage: Storage, notifier: Any, workers: Workers, *, defer: bool, resolve: bool
    ) -> None:
        """`resolve` False: an atom that fails stops the flow, and nothing is reverted or retried. `defer`: see
        `Resolver`."""
        self._graph = graph
        self._storage = storage
        self._known = storage.known
        self._workers = workers
        self._resolve = resolve
        self._walk = Walk(graph, storage.known)
        self.atoms = Atoms(storage, self._walk, notifier)
        self._resolver = Resolver(graph, storage, self.atoms, defer=defer)
        self._interrupted: deque[Node] = deque()
        self._stopped: list[Failure] = []
        self.completed = self.discarded = 0
        """How many calls ended, and how many of their failures were resolved."""

    def stop(self, failure: Failure) -> None:
        """Begin nothing more, and fail with this."""
        self._stopped.append(failure)

    def go(self, timeout: float | None) -> None:
        """Go on until nothing more is to be done, or no more may be; see `rounds`, of which nobody is told here."""
        self._resume()
        self._begin()
        while self._workers.busy:
            for call, result in self._workers.ended(timeout):
                self._finish(call, result)
            self._begin()

    def rounds(self, timeout: float | None) -> Iterator[str]:
        """The same, giving each time in which state of TaskFlow's engines it is then, before it acts."""
        yield states.RESUMING
        self._resume()
        while True:
            yield states.SCHEDULING
            self._begin()
            while True:
                yield states.WAITING
                ended = self._workers.ended(timeout) if self._workers.busy else []
                yield states.ANALYZING
                for call, result in ended:
                    self._finish(call, result)
                if self._goes_on and not self._walk.is_over:
                    break
                if not self._workers.busy:
                    return
                if not self._goes_on:
                    self._workers.cancel()

    @property
    def end(self) -> str:
        """The state that the flow is left in."""
        if self._stopped:
            return _FAILURE
        found = {self._known[node.name].state for node in self._graph.atoms}
        if self._interrupted or found & _UNFINISHED or not self._walk.is_over:
            return _SUSPENDED
        if found <= _HAPPY:
            return _SUCCESS
        return _FAILURE if found & _FAILED else _REVERTED

    @property
    def failures(self) -> list[Failure]:
        """Why it ended so. As with TaskFlow a failed revert is told of alone: the storage has what it came from."""
        reverts = [*self._storage.get_revert_failures().values()]
        return self._stopped or reverts or [*self._storage.get_failures().values(), *self._resolver.faults]

    @property
    def _goes_on(self) -> bool:
        return not self._stopped and self._storage.get_flow_state() == states.RUNNING

    def _resume(self) -> None:
        """Take up what an earlier run left: failures that nobody resolved, and what was at work when it ended."""
        self._walk.begin()
        found = [
            (node, detail) for node in self._graph.atoms if (detail := self._known[node.name]).state not in _AT_REST
        ]
        for node, detail in found:
            if self._resolve and detail.state == states.FAILURE and detail.intention == states.EXECUTE:
                self._resolver.resolve(node, self._storage.get(node.name))
        for node, detail in found:
            if detail.state == states.RETRYING:
                self._renew_below(node)
        self._interrupted.extend(node for node, detail in found if detail.state in _UNFINISHED)

    def _begin(self) -> None:
        """Begin what may be: an atom, or all at once where the workers are for that; have nothing more done that is
        not at work yet where the flow does not go on."""
        while self._goes_on:
            interrupted = bool(self._interrupted)
            node = self._interrupted.popleft() if interrupted else self._walk.take()
            if node is None:
                return
            call = self._call(node, asked=interrupted or not self._graph.decides)
            if call is not None:
                self._workers.begin(call)
                if not self._workers.at_once:
                    return
        self._workers.cancel()

    def _call(self, node: Node, *, asked: bool) -> Call | None:
        """What is to be done for an atom; None where it is ignored, or cannot be begun."""
        intention = self._known[node.name].intention
        try:
            if intention == states.REVERT:
                return self.atoms.reversion(node)
            if intention == states.RETRY:
                self.atoms.enter(node, states.RETRYING, states.EXECUTE)
                self._renew_below(node)
            elif not asked and not goes_on(node, self._storage, self.atoms):
                return None
            return self.atoms.execution(node)
        except StorageFailure:
            raise
        except Exception:  # noqa: BLE001 - a decider's, or an argument is missing: it is resolved like an atom's own
            self._not_begun(node, Failure(), reverts=intention == states.REVERT)
            return None

    def _renew_below(self, retry: Node) -> None:
        self.atoms.intend(retry, states.EXECUTE)
        for node in retry.below():
            self.atoms.renew(node)

    def _not_begun(self, node: Node, failure: Failure, *, reverts: bool) -> None:
        """An atom that never ran has nothing to be reverted, so it stays PENDING; any other one has failed."""
        if reverts or self._storage.get_atom_state(node.name) != states.PENDING:
            self.atoms.enter(node, states.REVERTING if reverts else states.RUNNING)
            self._finish(Call(node, lambda: failure, reverts), failure)
        elif not self._resolve:
            self.stop(failure)
        elif not self._resolver.resolve(node, failure):
            self._resolver.faults.append(failure)

    def _finish(self, call: Call, result: Any) -> None:
        self.completed += 1
        self.atoms.finish(call, result)
        if not isinstance(result, Failure) or call.reverts:
            return
        if self._resolve:
            self.discarded += 1
            self._resolver.resolve(call.node, result)
        else:
            self.stop(result)

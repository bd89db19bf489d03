"""What becomes of a flow when an atom fails: its retry controllers say whether it is tried again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, NamedTuple

from taskflow import states
from taskflow.retry import EXECUTE_REVERT_HISTORY, RETRY, REVERT, REVERT_ALL
from taskflow.types.failure import Failure

from slipway.flows.engine.atoms import Atoms
from slipway.flows.engine.graph import Graph, Node
from slipway.flows.engine.storage import Storage

log = logging.getLogger(__name__)


class _Verdict(NamedTuple):
    decision: Any
    retry: Node | None = None


_UNASKED = _Verdict(REVERT_ALL)
"""Where there is no retry controller to ask."""


class Resolver:
    """Asks the retry controllers, and says of each atom what is meant to be done with it then.

    `defer`: a controller that wants its flow reverted has all reverted, unless the one around it knows better. So does
    one that cannot say what it wants, and `faults` has why.
    """

    def __init__(self, graph: Graph, storage: Storage, atoms: Atoms, *, defer: bool) -> None:
        self._graph = graph
        self._storage = storage
        self._atoms = atoms
        self._defer = defer
        self.faults: list[Failure] = []

    def resolve(self, node: Node, failure: Failure) -> bool:
        """Have the failure of an atom reverted or retried; gives whether it is retried.

        The atom's own intention is written last: where that is not reached, it is all done again.
        """
        try:
            verdict = self._verdict(node, failure)
        except Exception:
            log.exception("a retry controller failed to say what is to become of %s", node.name)
            self.faults.append(Failure())
            verdict = _UNASKED
        retry = verdict.retry
        if retry is None:
            self._revert(self._graph.atoms, node)
            return False
        # What is to be reverted is not tried again, though one of its atoms, still at work then, fails later.
        again: bool = verdict.decision == RETRY and self._storage.get_atom_intention(retry.name) != states.REVERT
        self._atoms.intend(retry, states.RETRY if again else states.REVERT)
        self._revert(retry.below(), node)
        return again

    def _revert(self, nodes: Iterable[Node], last: Node) -> None:
        reached = False
        for node in nodes:
            if node is last:
                reached = True
            else:
                self._atoms.intend(node, states.REVERT)
        if reached:
            self._atoms.intend(last, states.REVERT)

    def _verdict(self, node: Node, failure: Failure) -> _Verdict:
        retry = self._governing(node)
        if retry is None:
            return _UNASKED
        decision = self._ask(retry, node, failure)
        if decision == RETRY:
            return _Verdict(RETRY, retry)
        if decision == REVERT_ALL:
            return _Verdict(REVERT_ALL)
        if decision != REVERT:
            raise ValueError(f"Unknown atom failure resolution action/strategy '{decision}'")
        around = self._verdict(retry, failure)
        if self._defer or (around is not _UNASKED and around.decision != REVERT):
            return around
        return _Verdict(REVERT, retry)

    def _governing(self, node: Node) -> Node | None:
        """The nearest retry controller that was not ignored: what was never asked has no history to decide by."""
        retry = node.retry
        while retry is not None and self._storage.get_atom_state(retry.name) == states.IGNORE:
            retry = retry.retry
        return retry

    def _ask(self, retry: Node, node: Node, failure: Failure) -> Any:
        atom = retry.item
        self._storage.save_retry_failure(retry.name, node.name, failure)
        arguments = self._storage.fetch_mapped_args(atom.rebind, retry.name, optional_args=atom.optional)
        return atom.on_failure(**arguments, **{EXECUTE_REVERT_HISTORY: self._storage.get_retry_history(retry.name)})

"""The walk over a graph: which atom may be executed or reverted next, known from counts and never searched for."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from taskflow import states

from slipway.flows.engine.graph import Graph, Node

_EXECUTE, _IGNORE = states.EXECUTE, states.IGNORE
_BACK = (states.REVERT, states.RETRY)
_PASSED = (states.SUCCESS, states.IGNORE)
_QUIET = (states.PENDING, states.REVERTED, states.IGNORE)
_TO_EXECUTE = (states.PENDING, states.RETRYING)
_TO_REVERT = (states.SUCCESS, states.FAILURE)


class Walk:
    """Counts for each node how many before it are not complete and how many after it are not clear.

    A node is complete when it and all before it are done and to stay so, and clear when neither it nor anything after
    it has an effect. A change of an atom's state is spread only as far as one of the two changes with it, so that all
    changes of a run together cost what the graph has links.
    """

    def __init__(self, graph: Graph, known: Mapping[str, Any]) -> None:
        """`known` has an atom's state and intention by its name."""
        self._graph = graph
        self._known = known
        self._queues: dict[int, deque[Node]] = {}
        """What is ready, or was, by priority, the highest first; in each of them the longest ready is first."""

    def begin(self) -> None:
        """Count anew, from the states as they are."""
        self._queues.clear()
        for node in self._graph.nodes:
            node.waits, node.blocks = len(node.before), len(node.after)
            node.complete = node.clear = node.queued = False
            if node.is_atom:
                _see(node, self._known[node.name])
            else:
                node.passed = node.quiet = True
                node.may_execute = node.may_revert = False
        self._spread([*self._graph.nodes])

    def look(self, node: Node, detail: Any) -> None:
        """See by its detail how an atom is now."""
        _see(node, detail)
        self._spread([node])

    def _spread(self, changed: list[Node]) -> None:
        """Follow what the changes of these nodes change; those that do are added to the list."""
        for node in changed:
            complete = node.passed and not node.waits
            if complete is not node.complete:
                node.complete = complete
                for other in node.after:
                    other.waits += -1 if complete else 1
                    if other.waits == (0 if complete else 1):
                        changed.append(other)
            clear = node.quiet and not node.blocks
            if clear is not node.clear:
                node.clear = clear
                for other in reversed(node.before):
                    other.blocks += -1 if clear else 1
                    if other.blocks == (0 if clear else 1):
                        changed.append(other)
            if (node.may_execute or node.may_revert) and not node.queued and _is_ready(node):
                node.queued = True
                self._queue(node.priority).append(node)

    def _queue(self, priority: int) -> deque[Node]:
        if priority not in self._queues:
            self._queues[priority] = deque()
            self._queues = dict(sorted(self._queues.items(), reverse=True))
        return self._queues[priority]

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to be done."""
        return self._next is None

    def take(self) -> Node | None:
        """The next atom that may be executed or reverted, if any.

        Of those that are ready it is that of the highest priority, then that which has been ready for the longest time:
        none waits for ever for a sibling that is retried again and again.
        """
        queue = self._next
        if queue is None:
            return None
        node = queue.popleft()
        node.queued = False
        return node

    @property
    def _next(self) -> deque[Node] | None:
        """The queue whose first node is next: what is not ready any more is dropped from it."""
        for queue in self._queues.values():
            while queue:
                if _is_ready(queue[0]):
                    return queue
                queue.popleft().queued = False
        return None


def _is_ready(node: Node) -> bool:
    return (node.may_execute and not node.waits) or (node.may_revert and not node.blocks)


def _see(node: Node, detail: Any) -> None:
    state, intention = detail.state, detail.intention
    executing = intention == _EXECUTE
    node.passed = state in _PASSED and (executing or intention == _IGNORE)
    node.quiet = state in _QUIET
    node.may_execute = executing and state in _TO_EXECUTE
    node.may_revert = state in _TO_REVERT and intention in _BACK

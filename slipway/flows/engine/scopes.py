"""Which atoms may provide a value to another one: those that come before it, the nearest flow's first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

from slipway.flows.engine.graph import Graph, Kind, Node

_place = attrgetter("place")


class Scopes:
    """Looks for providers only where the name that is wanted is provided, so that a look-up costs the same in every
    flow."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._lines: dict[Node, tuple[Node, int]] = {}

    def providers(self, atom: str, name: str) -> Iterator[Iterable[str]]:
        """The names of the atoms before `atom` that provide `name`: flow by flow outwards, in each from right to left.

        This is TaskFlow's order: what is nearest is first.
        """
        child: Node | None = self._graph.by_name.get(atom)
        while child is not None and (flow := child.flow) is not None:
            if child.place and name in flow.offers:
                yield self._before(child, flow.offers[name], name)
            child = flow

    def _before(self, child: Node, offers: Sequence[Node], name: str) -> Iterator[str]:
        last = bisect_left(offers, child.place, key=_place) - 1 if child.needs else 0
        for at in range(last, -1, -1):
            sibling = offers[at]
            if not sibling.place or (child.needs and self._precedes(sibling, child)):
                yield from _names(sibling, name)

    def _precedes(self, first: Node, second: Node) -> bool:
        """Whether a sibling comes before another one by the links of their flow."""
        line, place = self._line(first)
        waiting, seen = [second], {second}
        while waiting:
            start, at = self._line(waiting.pop())
            if start is line and at >= place:
                return True
            fresh = [need for need in start.needs if need not in seen]
            seen.update(fresh)
            waiting += fresh
        return False

    def _line(self, node: Node) -> tuple[Node, int]:
        """The line without branches that a node is on, by its first node, and its place on it."""
        path = [node]
        while path[-1] not in self._lines and _continues(path[-1]):
            path.append(path[-1].needs[0])
        last = path.pop()
        line, place = self._lines.setdefault(last, (last, 0))
        for at, one in enumerate(reversed(path), start=place + 1):
            self._lines[one] = line, at
        return self._lines[node]


def _continues(node: Node) -> bool:
    return len(node.needs) == 1 and node.needs[0].followers == 1


def _names(node: Node, name: str) -> Iterator[str]:
    """Those in a sibling that provide the name, the last one first."""
    if node.kind is not Kind.FLOW:
        yield node.name
        return
    for child in reversed(node.offers[name]):
        yield from _names(child, name)

"""A flow laid out as a graph: its atoms, and a node each where a flow in it begins and where it ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from functools import cache
from typing import Any, NamedTuple, TypeVar

from taskflow import exceptions
from taskflow.deciders import Depth
from taskflow.flow import LINK_DECIDER, LINK_DECIDER_DEPTH, Flow
from taskflow.task import EVENT_UPDATE_PROGRESS, Task
from taskflow.types.notifier import Notifier

T = TypeVar("T")


class Kind(Enum):
    """What a node stands for."""

    TASK = auto()
    RETRY = auto()
    FLOW = auto()
    """Where a flow begins."""
    END = auto()
    """Where it ends."""


class Vote(NamedTuple):
    """What decides whether a node is gone on to from `source`, and how far a no reaches."""

    source: Node
    decider: Callable[..., bool]
    depth: Depth


class Node:
    """An atom, or the beginning or end of a flow, with what it is linked to and where the walk finds it.

    `flow` and `retry` are the flow that it stands in and the retry controller that governs it. `place` is its place
    among what stands in the same flow, 0 for the flow's own retry controller. `tells`: a task tells of its progress, by
    its `notifier` or, where it `hears`, by a method of its own.
    """

    __slots__ = (
        *("after", "before", "flow", "followers", "hears", "is_atom", "item", "kind", "name", "needs", "notifier"),
        *("offers", "place", "priority", "retry", "tells", "votes"),
        # The walk's, which gives them their values.
        *("blocks", "clear", "complete", "may_execute", "may_revert", "passed", "queued", "quiet", "waits"),
    )
    waits: int
    blocks: int
    clear: bool
    complete: bool
    may_execute: bool
    may_revert: bool
    passed: bool
    queued: bool
    quiet: bool

    def __init__(self, item: Any, kind: Kind, flow: Node | None, place: int, retry: Node | None) -> None:
        self.item = item
        self.kind = kind
        self.name: str = item.name
        self.is_atom = kind is Kind.TASK or kind is Kind.RETRY
        self.priority: int = item.priority if self.is_atom else 0
        self.tells = kind is Kind.TASK and EVENT_UPDATE_PROGRESS in item.TASK_EVENTS
        if self.tells:
            self.notifier: Notifier = item.notifier
            self.hears: bool = type(item).update_progress is not Task.update_progress
        self.flow = flow
        self.place = place
        self.retry = retry
        self.before: list[Node] = []
        self.after: list[Node] = []
        # Most have none: a list for each of thousands is time and memory.
        self.votes: Sequence[Vote] = ()
        # Among its siblings alone, of whom a flow is one by its beginning.
        self.needs: Sequence[Node] = ()
        self.followers = 0
        if kind is Kind.FLOW:
            self.offers: dict[str, list[Node]] = {}
            """Who in a flow provides a name, in the order of their places."""

    def below(self, through: Callable[[Node], bool] = lambda _node: True) -> Iterator[Node]:
        """The atoms that come after this one, each once; nodes that are not gone `through` are given all the same."""
        seen: set[Node] = set()
        waiting = list(self.after)
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.is_atom:
                yield node
            if through(node):
                waiting += node.after


class Graph:
    """All nodes of a flow, in the order in which TaskFlow's compiler has them: a flow's retry after its children."""

    def __init__(self, nodes: list[Node]) -> None:
        """Raises `Duplicate` where two atoms have one name, `CompilationFailure` where the links go in a circle."""
        self.nodes = nodes
        self.atoms = [node for node in nodes if node.is_atom]
        self.by_name = {node.name: node for node in self.atoms}
        self.asking = [node for node in self.atoms if node.item.rebind or node.item.revert_rebind]
        """Those that take arguments."""
        self.decides = any(node.votes for node in nodes)
        self._check_names()
        self._check_order()

    def _check_names(self) -> None:
        if len(self.by_name) < len(self.atoms):
            names = [node.name for node in self.atoms]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise exceptions.Duplicate(f"Atoms with duplicate names found: {twice}")

    def _check_order(self) -> None:
        left = {node: len(node.before) for node in self.nodes}
        free = deque(node for node, count in left.items() if not count)
        while free:
            node = free.popleft()
            del left[node]
            for follower in node.after:
                left[follower] -= 1
                if not left[follower]:
                    free.append(follower)
        if left:
            names = ", ".join(node.name for node in left if node.is_atom)
            raise exceptions.CompilationFailure(f"these wait for each other: {names}")


def lay_out(item: Any) -> Graph:
    """The graph of a flow or of a single task.

    Raises `TypeError` for anything else, `ValueError` where an object is in it twice, and what `Graph` raises.
    """
    layout = _Layout()
    layout.add(item, None, 1, None)
    return Graph(layout.nodes)


class _Layout:
    """Lays out one flow after the other, from the outermost inwards."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._seen: set[Any] = set()
        # To ask an abstract class for each of thousands of items takes longer than to make a node of it.
        self._is_task: Callable[[Any], bool] = cache(_is_task)

    def add(self, item: Any, flow: Node | None, place: int, retry: Node | None) -> tuple[Node, Node]:
        """Add an item with all that is in it; gives its first and its last node."""
        if self._is_task(type(item)):
            node = self._atom(item, Kind.TASK, flow, place, retry)
            self.nodes.append(node)
            return node, node
        if isinstance(item, Flow):
            return self._flow(item, flow, place, retry)
        raise TypeError(f"Unknown object '{item}' ({type(item)}) requested to compile")

    def _note(self, item: Any) -> None:
        if item in self._seen:
            raise ValueError(f"Already compiled item '{item}' ({type(item)}), duplicates are not supported")
        self._seen.add(item)

    def _atom(self, item: Any, kind: Kind, flow: Node | None, place: int, retry: Node | None) -> Node:
        self._note(item)
        node = Node(item, kind, flow, place, retry)
        for name in item.save_as:
            child, parent = node, flow
            while parent is not None:
                offers = parent.offers.setdefault(name, [])
                if not offers or offers[-1] is not child:
                    offers.append(child)
                child, parent = parent, parent.flow
        return node

    def _flow(self, item: Any, flow: Node | None, place: int, retry: Node | None) -> tuple[Node, Node]:
        self._note(item)
        begin = Node(item, Kind.FLOW, flow, place, retry)
        end = Node(item, Kind.END, flow, place, retry)
        self.nodes.append(begin)
        head = begin
        if item.retry is not None:
            head = self._atom(item.retry, Kind.RETRY, begin, 0, retry)
            _link(begin, head)
        governed_by = retry if head is begin else head
        ends = {child: self.add(child, begin, at, governed_by) for at, child in enumerate(item, start=1)}
        if head is not begin:
            self.nodes.append(head)
        self.nodes.append(end)
        for first, second, meta in item.iter_links():
            _follow(ends[first], ends[second], meta.get("attr_dict") or meta)
        for first, last in ends.values():
            if not first.before:
                _link(head, first)
            if not last.after:
                _link(last, end)
        if not ends:
            _link(head, end)
        return begin, end


def _is_task(kind: Any) -> bool:
    return issubclass(kind, Task)


def _link(first: Node, second: Node) -> None:
    first.after.append(second)
    second.before.append(first)


def _follow(first: tuple[Node, Node], second: tuple[Node, Node], meta: Any) -> None:
    """Have the one item come after the other."""
    source, target = first[1], second[0]
    target.needs = _with(target.needs, first[0])
    first[0].followers += 1
    _link(source, target)
    if LINK_DECIDER in meta:
        vote = Vote(source, meta[LINK_DECIDER], meta.get(LINK_DECIDER_DEPTH) or Depth.ALL)
        target.votes = _with(target.votes, vote)


def _with(some: Sequence[T], one: T) -> Sequence[T]:
    """The same list with one more, where it is one already."""
    if isinstance(some, list):
        some.append(one)
        return some
    return [one]

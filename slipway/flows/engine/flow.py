"""A flow of any acyclic shape, whose items are linked by hand: what a workflow's `needs` say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskflow import flow


class Flow(flow.Flow):  # type: ignore[misc]
    """A flow for every engine of TaskFlow's, and without networkx.

    TaskFlow's own patterns keep their links in that, which takes longer to load than all the rest of TaskFlow.
    """

    def __init__(self, name: str, retry: Any = None) -> None:
        super().__init__(name, retry)
        self._items: dict[Any, None] = {}
        self._links: list[tuple[Any, Any, dict[str, Any]]] = []

    def add(self, *items: Any) -> Flow:
        """Add tasks or flows, which come in no order until they are linked."""
        self._items.update(dict.fromkeys(items))
        return self

    def link(self, first: Any, second: Any) -> Flow:
        """Have the second item come after the first. A circle is found by the engine: `CompilationFailure`."""
        self._links.append((first, second, {flow.LINK_MANUAL: True}))
        return self

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def iter_links(self) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
        """Each link: the first item, the second one, and what else is known of it."""
        return iter(self._links)

    def iter_nodes(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Each item, and what else is known of it: nothing."""
        return ((item, {}) for item in self._items)

    @property
    def requires(self) -> frozenset[str]:
        """The names that nothing in it provides."""
        provided: frozenset[str] = self.provides
        return frozenset(name for item in self._items for name in item.requires) - provided

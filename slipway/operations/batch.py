"""Several instances in the order of their dependencies, side by side where an executor is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from enum import StrEnum
from graphlib import TopologicalSorter

from msgspec import Struct

from slipway.model.record import Effect, Instance


class Status(StrEnum):
    """How it ended with one instance."""

    BUILT = "built"
    RESUMED = "resumed"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DONE = "done"
    DELETED = "deleted"
    FAILED = "failed"
    SKIPPED = "skipped"
    BUSY = "busy"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


THERE = frozenset({Status.BUILT, Status.RESUMED, Status.CHANGED, Status.UNCHANGED})
"""After these an instance is there."""
GONE = frozenset({Status.DELETED, Status.UNCHANGED})
"""After these an instance that was to go is gone."""


class Ended(Struct, frozen=True):
    """How it ended with one instance, what its failure undid and left stuck, and how long it took in seconds.

    `kept`: where the file says other than the instance was built with, and it stays so; a line each for a person.
    `error` is the class of what is the `message` of one that REFUSED.
    """

    name: str
    status: Status
    instance: Instance | None = None
    message: str = ""
    undone: tuple[Effect, ...] = ()
    stuck: tuple[Effect, ...] = ()
    seconds: float = 0.0
    kept: tuple[str, ...] = ()
    error: str = ""


def in_order(needs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The names in the order in which `run_in_order` does them without an executor."""
    sorter: TopologicalSorter[str] = TopologicalSorter(needs)
    sorter.prepare()
    at = {name: number for number, name in enumerate(needs)}
    while sorter.is_active():
        for name in sorted(sorter.get_ready(), key=at.__getitem__):
            yield name
            sorter.done(name)


def run_in_order(
    needs: Mapping[str, Sequence[str]],
    one: Callable[[str], Ended],
    *,
    executor: Executor | None,
    stopping: Callable[[], bool],
    good: frozenset[Status] = THERE,
) -> tuple[Ended, ...]:
    """Do `one` for each name once those that it needs ended well; gives how each ended, in the order of `needs`.

    Those whose needs did not end `good` are skipped; those not begun when `stopping` became true are interrupted.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter(needs)
    sorter.prepare()
    ended: dict[str, Ended] = {}
    running: dict[Future[Ended], str] = {}
    position = {name: number for number, name in enumerate(needs)}

    def end(name: str, result: Ended) -> None:
        ended[name] = result
        sorter.done(name)

    while sorter.is_active():
        for name in sorted(sorter.get_ready(), key=position.__getitem__):
            failed = [need for need in needs[name] if ended[need].status not in good]
            if stopping():
                end(name, Ended(name, Status.INTERRUPTED, message="not begun"))
            elif failed:
                end(name, Ended(name, Status.SKIPPED, message=f"it depends on {', '.join(failed)}"))
            elif executor is None:
                end(name, one(name))
            else:
                running[executor.submit(one, name)] = name
        if running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                end(running.pop(future), future.result())
    return tuple(ended[name] for name in needs)

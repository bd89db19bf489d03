"""One verb for many instances, side by side where an executor is given, and how it ended with each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Protocol

from slipway import errors
from slipway.model.record import Effect, EffectState, Event, Instance
from slipway.model.selection import BY_NAME, Order, Selection
from slipway.operations.batch import Ended, Status, run_in_order
from slipway.states import selecting
from slipway.states.details import Details
from slipway.states.machines import VmState
from slipway.states.store import Store

Listener = Callable[[Event], None]
PAGE = 500
"""Instances that are read in one transaction."""


class Verbs(Protocol):
    """What is done to one instance; `Orchestrator` does it."""

    def stop(self, name: str, *, force: bool, timeout: float | None, on_event: Listener) -> Instance:
        """Stop it."""

    def start(self, name: str, *, on_event: Listener) -> Instance:
        """Start it."""

    def reboot(self, name: str, *, force: bool, timeout: float | None, on_event: Listener) -> Instance:
        """Stop it and start it again."""

    def pause(self, name: str, *, on_event: Listener) -> Instance:
        """Freeze its guest."""

    def unpause(self, name: str, *, on_event: Listener) -> Instance:
        """Let its guest go on."""

    def delete(self, name: str, *, timeout: float | None, on_event: Listener) -> Instance:
        """Delete it."""

    def show(self, name: str) -> Details:
        """All that is on record about it."""


class Several:
    """Many instances: to be looked at one by one, or all told the same; each as it is when it is its turn.

    What one of them refuses does not keep the others from it: it is its `Ended`, REFUSED with the reason. Raised is
    what concerns all of them, a `StoreError`. With an `executor` they are side by side in it; `stopping` true: no
    further one is begun.
    """

    def __init__(self, verbs: Verbs, found: Callable[[], Iterator[Instance]]) -> None:
        """`found` gives them anew each time."""
        self._verbs = verbs
        self._found = found

    def __iter__(self) -> Iterator[Instance]:
        """Them, page by page: memory does not grow with their number."""
        return self._found()

    def stop(
        self,
        *,
        force: bool = False,
        timeout: float | None = None,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Stop each, as `Orchestrator.stop` does; one that is STOPPED already is UNCHANGED."""
        verb = partial(self._verbs.stop, force=force, timeout=timeout)
        return self._each(verb, on_event, executor, stopping)

    def start(
        self,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Start each, as `Orchestrator.start` does; one that is ACTIVE already is UNCHANGED."""
        return self._each(self._verbs.start, on_event, executor, stopping)

    def reboot(
        self,
        *,
        force: bool = False,
        timeout: float | None = None,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Reboot each, as `Orchestrator.reboot` does."""
        verb = partial(self._verbs.reboot, force=force, timeout=timeout)
        return self._each(verb, on_event, executor, stopping)

    def change(
        self,
        change: Callable[..., Instance],
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Change each by a verb of `Orchestrator.changes`, which is given its id."""
        return self._each(change, on_event, executor, stopping)

    def pause(
        self,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Pause each, as `Orchestrator.pause` does; one that is PAUSED already is UNCHANGED."""
        return self._each(self._verbs.pause, on_event, executor, stopping)

    def unpause(
        self,
        *,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Have each go on, as `Orchestrator.unpause` does; one that is ACTIVE already is UNCHANGED."""
        return self._each(self._verbs.unpause, on_event, executor, stopping)

    def delete(
        self,
        *,
        timeout: float | None = None,
        on_event: Listener = lambda _event: None,
        executor: Executor | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> tuple[Ended, ...]:
        """Delete each, as `Orchestrator.delete` does; what could not be taken back is `stuck` of one that FAILED."""
        return self._each(partial(self._verbs.delete, timeout=timeout), on_event, executor, stopping)

    def _each(
        self,
        verb: Callable[..., Instance],
        on_event: Listener,
        executor: Executor | None,
        stopping: Callable[[], bool],
    ) -> tuple[Ended, ...]:
        found = {instance.id: instance for instance in self}
        told = _Told(on_event)

        def one(instance_id: str) -> Ended:
            return self._one(found[instance_id], verb, told, stopping)

        # What is not begun any more is said by `one`, which knows its name.
        return run_in_order(dict.fromkeys(found, ()), one, executor=executor, stopping=lambda: False)

    def _one(
        self, instance: Instance, verb: Callable[..., Instance], told: _Told, stopping: Callable[[], bool]
    ) -> Ended:
        if stopping():
            return Ended(instance.name, Status.INTERRUPTED, message="not begun")
        began = time.monotonic()
        try:
            changed = verb(instance.id, on_event=told)
        except errors.InstanceBusy as busy:
            return Ended(instance.name, Status.BUSY, self._now(instance), str(busy))
        except (errors.BuildInterrupted, errors.NotFinished) as stopped:
            return Ended(instance.name, Status.INTERRUPTED, self._now(instance), str(stopped))
        except errors.StoreError:
            raise
        except errors.SlipwayError as refused:
            return Ended(instance.name, Status.REFUSED, self._now(instance), str(refused), error=type(refused).__name__)
        seconds = time.monotonic() - began
        if changed.vm_state == VmState.DELETED:
            return Ended(changed.name, Status.DELETED, changed, seconds=seconds)
        if changed.fault or changed.vm_state == VmState.ERROR:
            stuck = self._stuck(changed) if changed.vm_state == VmState.ERROR else ()
            return Ended(changed.name, Status.FAILED, changed, stuck=stuck, seconds=seconds)
        status = Status.DONE if told.of(changed.id) else Status.UNCHANGED
        return Ended(changed.name, status, changed, seconds=seconds)

    def _stuck(self, instance: Instance) -> tuple[Effect, ...]:
        return tuple(e for e in self._verbs.show(instance.id).effects if e.state is EffectState.STUCK)

    def _now(self, instance: Instance) -> Instance:
        return self._verbs.show(instance.id).instance


class _Told:
    """Passes events on, and remembers of which instances there were any: those to which something was done."""

    def __init__(self, on_event: Listener) -> None:
        self._on_event = on_event
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._ids.add(event.instance_id)
        self._on_event(event)

    def of(self, instance_id: str) -> bool:
        with self._lock:
            return instance_id in self._ids


def read(
    store: Store, selection: Selection, order: Order = BY_NAME, *, after: str | None = None, page: int = PAGE
) -> Iterator[Instance]:
    """The instances that are meant, from the one beyond the id `after` on; a transaction a page, none between.

    By project and name at most a page of them is in memory, in other orders the ids of all as well. What comes to be on
    record meanwhile may be among them or not. Raises `InstanceNotFound` where `after` is not in the list.
    """
    if order.key is None and not order.descending:
        yield from _by_place(store, selection, after, page)
        return
    with store.read() as tx:
        ids = selecting.ids_in_order(tx, selection, order)
    begin = 0
    if after is not None:
        if after not in ids:
            raise errors.InstanceNotFound(f"no instance {after} is in the list, after which it could go on")
        begin = ids.index(after) + 1
    for number in range(begin, len(ids), page):
        with store.read() as tx:
            found = selecting.by_ids(tx, ids[number : number + page], selection)
        yield from found


def _by_place(store: Store, selection: Selection, after: str | None, page: int) -> Iterator[Instance]:
    while after != "":
        with store.read() as tx:
            found, after = selecting.page(tx, selection, after=after, limit=page)
        yield from found


def fixed(verbs: Verbs, found: Sequence[Instance]) -> Several:
    """Just these, whatever comes to be on record meanwhile."""
    return Several(verbs, lambda: iter(found))

"""A worker: takes jobs from a board, brings to rest what they are about, and hands on what is another host's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol

from msgspec.structs import replace

from slipway import errors
from slipway.drivers.board import Beat, Board, Job, Posted
from slipway.flows.runs.holding import may_be_gone_on_with
from slipway.flows.tasks.base import Tools
from slipway.model.record import Event
from slipway.model.worker import WorkerRecord
from slipway.operations.lifecycle import Builder
from slipway.operations.runs import Runs
from slipway.operations.taking import may_be_taken, orphaned
from slipway.states import instances, runs, workers
from slipway.states.machines import State
from slipway.states.store import Transaction

log = logging.getLogger(__name__)

MOST_RUNS = 32
"""Runs of workflows that a worker has in hand besides: they wait for instances for the most part."""
_AGAIN = 1.0
"""Seconds after which what could not be taken is looked at again."""
_MOST_POSTED = 200
"""Jobs that are posted again in one go."""


class Pool(Protocol):
    """Has calls made in threads, and waits for them at its end."""

    def submit(self, call: Callable[[Posted], None], posted: Posted, /) -> object:
        """Have it called in a thread."""


class Work:
    """What one worker does, within `with`, until it is told to stop.

    It has a thread for each job in hand, and one that says that it is alive.
    """

    def __init__(
        self,
        board: Board,
        builder: Builder,
        all_runs: Runs,
        tools: Tools,
        record: WorkerRecord,
        *,
        ttl: int,
        tell: Callable[[str], None],
        notify: Callable[[Event], None],
    ) -> None:
        """`record`: what it takes; its times are set here. Others take over what a worker has in hand when it was not
        heard of for `ttl` seconds. `tell` is told what it does, in lines for a person; `notify` what happens."""
        self._board = board
        self._builder = builder
        self._runs = all_runs
        self._tools = tools
        self._record = record
        self._ttl = ttl
        self._tell = tell
        self._notify = notify
        self._held: dict[str, tuple[Posted, str]] = {}
        """What is in hand by the job's text, with what it is called."""
        self._not_before: dict[str, float] = {}
        self._orphans: frozenset[str] = frozenset()
        self._looked_at = 0.0
        self._drains = threading.Event()
        self.pool: Callable[[int], AbstractContextManager[Pool]] = ThreadPoolExecutor
        self.beat: Callable[[Callable[[], None], float], AbstractContextManager[object]] = Beat
        """What makes its threads: a simulation has its own."""
        self._heard_at = tools.monotonic()

    def __enter__(self) -> Work:
        """Be on record. Raises `WorkerExists`, and a `StoreError`."""
        try:
            with self._tools.store.write() as tx:
                at = workers.now(tx, self._tools.clock)
                self._record = replace(self._record, since=at, until=at + self._patience)
                workers.enter(tx, self._record, at)
        except BaseException:
            self._board.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave the record and the board; what is left on the board is others'."""
        self._quietly(self._leave)
        self._board.close()

    def until(self, stopping: Callable[[], bool]) -> None:
        """Take work until it is to stop; then begin no further step, and wait for those under way."""
        posted_at = 0.0
        with self.pool(2 * self._record.concurrency + MOST_RUNS) as pool, self.beat(self._beat, self._ttl / 3):
            while not stopping():
                if self._record.anything and self._tools.monotonic() - posted_at >= self._ttl:
                    self._quietly(self._post_again)
                    posted_at = self._tools.monotonic()
                self._quietly(lambda: self._take(pool))
                self._tools.sleep(min(self._tools.settings.poll_interval, 0.2))
            self._drains.set()
            self._quietly(self._renew)
            for _, name in list(self._held.values()):
                self._tell(f"waits for the step of {name} that is under way")

    @property
    def name(self) -> str:
        """What it is called."""
        return self._record.name

    @property
    def is_ready(self) -> bool:
        """Whether it has reached board and record of late, and takes work."""
        return not self._drains.is_set() and self._tools.monotonic() - self._heard_at < 2 * self._ttl

    # --- what it takes --------------------------------------------------------------------------------------------

    def _take(self, pool: Pool) -> None:
        """Claim as much as there is room for: first what a worker that is gone had in hand, for which there is as much
        room again; then what is for one host, for it was begun; then the oldest."""
        room = {"instance": self._record.concurrency, "run": MOST_RUNS}
        for posted, _ in list(self._held.values()):
            room[posted.job.what] -= 1
        orphans = self._orphaned()
        if not orphans and not any(left > 0 for left in room.values()):
            return
        found = [one for one in self._board.posted() if self._is_ours(one.job)]
        now = self._tools.monotonic()
        for text, at in list(self._not_before.items()):
            if at <= now:
                del self._not_before[text]
        for posted in sorted(found, key=lambda one: (one.job.id not in orphans, one.job.host is None)):
            text, least = str(posted.job), -self._record.concurrency if posted.job.id in orphans else 0
            if room[posted.job.what] <= least or text in self._held or self._not_before.get(text, now) > now:
                continue
            if self._board.claim(posted):
                room[posted.job.what] -= 1
                self._held[text] = posted, posted.job.id
                pool.submit(self._carry, posted)
            else:
                # Somebody else's: it need not be asked for each time.
                self._not_before[text] = now + _AGAIN

    def _orphaned(self) -> frozenset[str]:
        """The instances whose worker is gone, as they were at the last look."""
        if (now := self._tools.monotonic()) - self._looked_at >= self._ttl / 3:
            with self._tools.store.read() as tx:
                self._orphans = orphaned(tx, self._tools)
            self._looked_at = now
        return self._orphans

    def _is_ours(self, job: Job) -> bool:
        return self._record.anything if job.host is None else job.host in self._record.hosts

    def _carry(self, posted: Posted) -> None:
        """Do what a job asks for, and take it off the board; what could not be done is left to others there."""
        text = str(posted.job)
        try:
            done = self._instance(posted) if posted.job.what == "instance" else self._run(posted)
        except (Exception, errors.BuildInterrupted):
            log.exception("%s", text)
            done = False
        if not done:
            self._not_before[text] = self._tools.monotonic() + _AGAIN
        self._quietly(lambda: self._board.consume(posted) if done else self._board.abandon(posted))
        del self._held[text]

    def _instance(self, posted: Posted) -> bool:
        try:
            taken = self._builder.take(posted.job.id)
        except errors.InstanceNotFound:
            return True
        if taken is None:
            with self._tools.store.read() as tx:
                found = instances.get(tx, posted.job.id)
            return State(found.vm_state, found.task_state).at_rest
        self._held[str(posted.job)] = posted, taken.name
        self._tell(f"takes {taken.name}: {State(taken.vm_state, taken.task_state)}")
        try:
            how: dict[str, Any] = {"shutdown": posted.job.shutdown} if posted.job.shutdown else {}
            rested = self._builder.bring_to_rest(taken, self._notify, self._drains.is_set, **how)
        except errors.NotFinished as stop:
            return self._hand_on(taken.name, posted.job, stop.__cause__)
        self._tell(f"{rested.name} is {State(rested.vm_state, rested.task_state)}")
        return True

    def _run(self, posted: Posted) -> bool:
        try:
            run = self._runs.go_on(posted.job.id, on_event=self._notify, stopping=self._drains.is_set)
        except errors.RunNotFound:
            return True
        except errors.BuildInterrupted as stop:
            return self._hand_on(posted.job.id, posted.job, stop)
        if run is None:
            with self._tools.store.read() as tx:
                return not may_be_gone_on_with(tx, runs.get(tx, posted.job.id), self._tools)
        self._tell(f"run {run.name} {run.id} is {run.state}")
        return True

    def _hand_on(self, name: str, job: Job, stop: BaseException | None) -> bool:
        """Whether what stopped is on its way to the worker of the host that it goes on at."""
        if not isinstance(stop, errors.GoesOnElsewhere):
            self._tell(f"lets go of {name}: {stop}")
            return False
        self._tell(f"hands {name} on to {stop.host}")
        self._board.post(replace(job, host=stop.host))
        return True

    # --- what others are to know ----------------------------------------------------------------------------------

    def _beat(self) -> None:
        self._quietly(self._renew)
        for posted, _ in list(self._held.values()):
            self._quietly(lambda posted=posted: self._board.renew(posted))  # type: ignore[misc]

    def _renew(self) -> None:
        at_work = tuple(sorted(f"{posted.job.what} {name}" for posted, name in list(self._held.values())))
        with self._tools.store.write() as tx:
            until = workers.now(tx, self._tools.clock) + self._patience
            self._record = replace(self._record, until=until, at_work=at_work, draining=self._drains.is_set())
            workers.renew(tx, self._record)
        self._heard_at = self._tools.monotonic()

    def _leave(self) -> None:
        with self._tools.store.write() as tx:
            workers.leave(tx, self._record)

    def _post_again(self) -> None:
        """Have on the board what the record says is unfinished and nobody is at: the board may have lost it, or who
        was to post it died before."""
        there = {(one.job.what, one.job.id) for one in self._board.posted()}
        with self._tools.store.read() as tx:
            missing = [job for job in waiting(tx, self._tools) if (job.what, job.id) not in there]
        for job in missing[:_MOST_POSTED]:
            self._board.post(job)

    @property
    def _patience(self) -> timedelta:
        return timedelta(seconds=self._ttl)

    def _quietly(self, call: Callable[[], object]) -> None:
        """A board or a database that does not answer is asked again: what is to be done stands on record."""
        try:
            call()
        except (errors.BoardUnavailable, errors.StoreError) as error:
            log.warning("%s", error)


def waiting(tx: Transaction, tools: Tools) -> Sequence[Job]:
    """What is unfinished and nobody is at, oldest first: of runs those whose time has come."""
    found = [Job("instance", one.id) for one in instances.unfinished(tx) if may_be_taken(tx, one, tools)]
    whole = (run for run in runs.listed(tx, unfinished=True) if run.parent_id is None and run.instance_id is None)
    return [*found, *(Job("run", run.id) for run in whole if may_be_gone_on_with(tx, run, tools))]

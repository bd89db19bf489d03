"""Who takes work from a job board, and what waits for somebody who does not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from slipway.flows.tasks.base import Tools
from slipway.model.worker import WorkerRecord
from slipway.operations.taking import may_be_taken
from slipway.states import instances, workers
from slipway.states.store import Transaction


class SeenWorker(Struct, frozen=True):
    """A worker: `working`, `idle`, `draining`, or `silent`, when it was not heard of in time."""

    name: str
    process: str
    hosts: tuple[str, ...]
    anything: bool
    concurrency: int
    state: str
    at_work: tuple[str, ...]
    since: datetime
    until: datetime


class Waiting(Struct, frozen=True):
    """An instance with something going on that nobody is at, and that no worker who is heard of takes: its `host`'s
    is not there, or, where that is None, none that takes what is for no host."""

    id: str
    name: str
    project: str
    host: str | None


class Workers(Struct, frozen=True):
    """All that are known, by name; what waits for none of them; how many jobs hang on the board, where that was
    asked."""

    workers: tuple[SeenWorker, ...]
    waiting: tuple[Waiting, ...]
    posted: int | None = None


def seen(tools: Tools) -> Workers:
    """As it is on record; those that are silent are there for an hour."""
    with tools.store.read() as tx:
        now, all_known = workers.now(tx, tools.clock), workers.all_of(tx)
        waits = _waiting(tx, tools, [one for one in all_known if one.is_heard(now) and not one.draining])
    return Workers(tuple(_seen(one, now) for one in all_known), waits)


def _seen(one: WorkerRecord, now: datetime) -> SeenWorker:
    state = "draining" if one.draining else "working" if one.at_work else "idle"
    return SeenWorker(
        name=one.name,
        process=str(workers.process_of(one)),
        hosts=one.hosts,
        anything=one.anything,
        concurrency=one.concurrency,
        state=state if one.is_heard(now) else "silent",
        at_work=one.at_work,
        since=one.since,
        until=one.until,
    )


def _waiting(tx: Transaction, tools: Tools, heard: Sequence[WorkerRecord]) -> tuple[Waiting, ...]:
    served = {host for one in heard for host in one.hosts}
    takes_anything = any(one.anything for one in heard)
    return tuple(
        Waiting(one.id, one.name, one.project, one.host)
        for one in instances.unfinished(tx)
        if not (one.host in served if one.host else takes_anything) and may_be_taken(tx, one, tools)
    )

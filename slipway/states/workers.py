"""Who takes work from a job board: on record by name, and heard of for some seconds each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from slipway.errors import WorkerExists
from slipway.model.worker import WorkerRecord
from slipway.states import codec
from slipway.states.schema import workers
from slipway.states.store import Transaction
from slipway.states.worker import Worker, is_gone

_KEPT = timedelta(hours=1)
"""How long one that is silent stays on record: for what it left to be told from what somebody is at."""

_OF_PROCESS = workers.c.process == sa.bindparam("b_process")
_SERVED = sa.select(workers.c.hosts).where(workers.c.until >= sa.bindparam("b_at"), ~workers.c.draining)
_ITS = sa.and_(_OF_PROCESS, workers.c.name == sa.bindparam("b_name"))


def now(tx: Transaction, clock: Callable[[], datetime]) -> datetime:
    """The time by a clock that all who use the record share: the server's, and of SQLite this machine's."""
    shared: Callable[[], datetime] | None = tx.info.get(CLOCK)
    if shared is None and tx.dialect.name == "postgresql":
        return datetime.fromtimestamp(float(tx.scalar(_SERVERS_CLOCK) or 0), UTC)
    return (shared or clock)()


CLOCK = "clock"
"""Where a transaction has the clock that stands for a server's."""


_SERVERS_CLOCK = sa.text("SELECT EXTRACT(EPOCH FROM clock_timestamp())")


def text_of(worker: Worker) -> str:
    """By what a process stands on record."""
    return msgspec.json.encode(worker).decode()


def enter(tx: Transaction, record: WorkerRecord, at: datetime) -> None:
    """Put a worker on record. Raises `WorkerExists` where another one of its name is heard of and runs."""
    tx.execute(workers.delete().where(workers.c.until < sa.bindparam("b_until")), {"b_until": at - _KEPT})
    for other in _read(tx, sa.select(workers).where(workers.c.name == record.name)):
        if other.is_heard(at) and not is_gone(process_of(other)):
            raise WorkerExists(
                f"worker {record.name} runs already, as {process_of(other)}: name this one otherwise (--name)"
            )
    tx.execute(workers.insert(), _row(record))


def renew(tx: Transaction, record: WorkerRecord) -> None:
    """Have it as it is by now; one that was taken off the record is on it again."""
    row = _row(record)
    if tx.execute(workers.update().where(_ITS), {**_key(record), **row}).rowcount != 1:
        tx.execute(workers.insert(), row)


def leave(tx: Transaction, record: WorkerRecord) -> None:
    """Take it off the record."""
    tx.execute(workers.delete().where(_ITS), _key(record))


def all_of(tx: Transaction) -> Sequence[WorkerRecord]:
    """All that are on record, by name, the silent ones as well."""
    return _read(tx, sa.select(workers).order_by(workers.c.name, workers.c.since))


def _read(tx: Transaction, query: sa.Select[Any]) -> Sequence[WorkerRecord]:
    return [
        WorkerRecord(
            **{
                **row._mapping,
                "hosts": codec.decode(row.hosts, tuple[str, ...]),
                "at_work": codec.decode(row.at_work, tuple[str, ...]),
            }
        )
        for row in tx.execute(query)
    ]


def served(tx: Transaction, at: datetime) -> frozenset[str]:
    """The hosts that somebody serves who is heard of, and takes new work."""
    # Each build asks: of hundreds of workers no more is read than that.
    texts = tx.scalars(_SERVED, {"b_at": at})
    return frozenset(host for text in texts for host in codec.decode(text, tuple[str, ...]))


def silent_hosts(tx: Transaction, clock: Callable[[], datetime]) -> tuple[str, ...]:
    """The hosts of which nobody is heard any more who served them within the hour, by name: their guests may run or
    not."""
    known = all_of(tx)
    at = now(tx, clock) if known else None
    heard = {host for one in known if at is not None and one.is_heard(at) for host in one.hosts}
    return tuple(sorted({host for one in known for host in one.hosts} - heard))


def is_silent(tx: Transaction, worker: Worker, clock: Callable[[], datetime]) -> bool:
    """Whether it takes work from a board and has not been heard of for longer than it is given."""
    until = tx.scalar(sa.select(sa.func.max(workers.c.until)).where(_OF_PROCESS), {"b_process": text_of(worker)})
    return until is not None and until < now(tx, clock)


def process_of(record: WorkerRecord) -> Worker:
    """The process that it is."""
    return msgspec.json.decode(record.process, type=Worker)


def _key(record: WorkerRecord) -> dict[str, object]:
    return {"b_process": record.process, "b_name": record.name}


def _row(record: WorkerRecord) -> dict[str, object]:
    return {
        **msgspec.structs.asdict(record),
        "hosts": codec.encode(record.hosts),
        "at_work": codec.encode(record.at_work),
    }

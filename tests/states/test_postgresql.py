"""The record on PostgreSQL: a build goes forward and back there, and no event is passed over."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway import Orchestrator, RecordedEvent
from slipway.runfile import loads
from slipway.states import outbox
from slipway.states.store import Store
from tests.postgresql import PostgreSQL, missing
from tests.states.test_outbox import FILE, steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of an empty one."""
    if reason := missing():
        pytest.skip(reason)
    # In a short path, for its socket is in it.
    with tempfile.TemporaryDirectory(prefix="slipway-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        server = PostgreSQL(Path(directory) / "pg")
        yield server.url
        server.close()


def test_a_build_goes_back_and_forward_and_each_step_is_told(database: str, tmp_path: Path) -> None:
    file = loads(FILE.format(simulate="fail: [spawn]"), "events.yaml")
    with Orchestrator(tmp_path, db=database, settings=file.settings) as slipway:
        (ended,) = slipway.run(file).ended
        assert ended.instance is not None
        assert (ended.instance.vm_state, ended.instance.host) == ("ACTIVE", "node-2")
        events = list(slipway.events())
        assert slipway.audit() == ()
        slipway.delete("web")
        gone = list(slipway.events(after=events[-1].seq))
    assert steps(events, "spawn") == ["intended/0", "error/None", "undone/0", "intended/0", "done/0"]
    assert [e.detail for e in events if e.type == "instance.reschedule"] == ["attempt 2"]
    assert {e.type for e in gone} == {"instance.delete", "step.undone", "instance.deleted"}


def test_an_event_that_is_committed_after_a_later_one_is_not_passed_over(database: str, tmp_path: Path) -> None:
    store = Store(database)
    with store.read() as tx:
        begin = outbox.last(tx)
    first, later, heard = threading.Event(), threading.Event(), list[RecordedEvent]()

    def write(name: str, told: threading.Event, until: threading.Event) -> None:
        with store.write() as tx:
            outbox.tell(tx, name, NOW)
            told.set()
            until.wait(60)

    def read() -> None:
        with store.read() as tx:
            heard.extend(outbox.after(tx, begin, limit=9))

    slow = threading.Thread(target=write, args=("first", first, later))
    slow.start()
    assert first.wait(60)
    done = threading.Event()
    done.set()
    write("second", threading.Event(), done)
    reader = threading.Thread(target=read)
    reader.start()
    reader.join(0.5)
    assert heard == [], "the second has its number and is committed, the first has a smaller one and is not"
    later.set()
    slow.join(60)
    reader.join(60)
    store.close()
    assert [event.type for event in heard] == ["first", "second"]

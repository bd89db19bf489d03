"""The record on PostgreSQL: a build goes forward and back there, and no event is passed over."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from slipway import Instance, Orchestrator, RecordedEvent, RunRecord, errors
from slipway.runfile import loads
from slipway.states import outbox
from slipway.states.store import Store
from tests.states.test_outbox import FILE, steps

NOW = datetime(2026, 1, 1, tzinfo=UTC)


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


def test_who_comes_second_is_busy_or_has_nothing_to_do(database: str, tmp_path: Path) -> None:
    file = loads(FILE.format(simulate="").replace("node-", "one-"), "seconds.yaml")
    with Orchestrator(tmp_path, db=database, settings=file.settings) as slipway:
        slipway.run(file)

        def change(verb: Callable[[str], Instance]) -> str:
            try:
                return verb("web").vm_state
            except errors.InstanceBusy:
                return "busy"

        with ThreadPoolExecutor(8) as pool:
            for verb, goal in ((slipway.stop, "STOPPED"), (slipway.start, "ACTIVE")) * 4:
                ends = Counter(pool.map(change, [verb] * 8))
                assert ends[goal] >= 1
                assert ends.keys() <= {goal, "busy"}
        runs = Counter(run.name for run in slipway.runs.list() if run.instance == "web")
        assert (runs["stop"], runs["start"]) == (4, 4), "each was done once"
        assert [one for one in slipway.audit() if one.host == "one-1"] == []
        slipway.delete("web")


def test_a_word_for_a_run_and_a_retry_count_once(database: str, tmp_path: Path) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(
        "schema: 1\nname: flow\ninputs: {good: {type: boolean, default: false}}\nsteps:\n"
        "  - {id: ask, uses: pause, with: {message: go on?}}\n"
        "  - {id: check, uses: assert, with: {that: '${{ inputs.good }}', message: no}}\n"
    )
    with Orchestrator(tmp_path / "state", db=database) as slipway, ThreadPoolExecutor(8) as pool:

        def said(word: Callable[[], RunRecord]) -> str:
            try:
                return word().state
            except errors.RunRefused:
                return "refused"

        for _ in range(4):
            run = slipway.runs.run(str(flow))
            words = Counter(pool.map(said, [partial(slipway.runs.approve, run.id)] * 8))
            assert words == {"FAILED": 1, "refused": 7}
            again = [partial(slipway.runs.retry, run.id, {"good": True})] * 8
            ends = Counter(pool.map(said, again))
            assert sum(ends.values()) - ends["refused"] == 1
        assert {one.attempt for one in slipway.runs.list() if one.name == "flow"} == {2}


class Writer:
    """Another process's transaction that writes one event, and commits when it is told to."""

    def __init__(self, database: str, name: str, run_id: str | None = None) -> None:
        self._store = Store(database)
        self._write = self._store.write()
        outbox.tell(self._write.__enter__(), name, NOW, run_id=run_id)

    def commit(self) -> None:
        self._write.__exit__(None, None, None)
        self._store.close()


def types(events: Iterable[RecordedEvent]) -> list[str]:
    return [event.type for event in events]


def test_an_event_that_is_committed_after_a_later_one_is_not_passed_over(database: str, tmp_path: Path) -> None:
    with Orchestrator(tmp_path, db=database) as slipway, ThreadPoolExecutor(2) as pool:
        begin = slipway.last_event()
        first, second = Writer(database, "first"), Writer(database, "second")
        second.commit()
        heard = pool.submit(lambda: types(slipway.events(after=begin)))
        last = pool.submit(slipway.last_event)
        with pytest.raises(TimeoutError):
            heard.result(0.5)
        # Nobody who writes waits for a reader who does.
        began = time.monotonic()
        for _ in range(20):
            Writer(database, "third").commit()
        assert time.monotonic() - began < 10
        assert not heard.done()
        later = Writer(database, "later")
        first.commit()
        assert heard.result(60) == ["first", "second"], "nor does the reader wait for who comes after it"
        assert last.result(60) >= begin + 2
        later.commit()
        assert types(slipway.events(after=begin)) == ["first", "second", *["third"] * 20, "later"]


def test_a_writer_that_does_not_end_is_told_to_who_reads(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Orchestrator(tmp_path, db=database) as slipway:
        writer = Writer(database, "never")
        monkeypatch.setattr("slipway.states.store.BUSY_TIMEOUT", 0.3)
        with pytest.raises(errors.DatabaseLocked, match=r"^postgresql://.*: another connection has written events"):
            list(slipway.events())
        writer.commit()
        assert types(slipway.events()) == ["never"]


def test_a_reader_who_polls_hears_all_in_order_whatever_is_committed_or_rolled_back_meanwhile(
    database: str, tmp_path: Path
) -> None:
    """By several writers that commit in any order, of which every third thinks better of it."""
    ended = threading.Event()

    def write(seed: int) -> None:
        rng = random.Random(seed)
        with closing(Store(database)) as store:
            for number in range(40):
                with suppress(ZeroDivisionError), store.write() as tx:
                    for _ in range(rng.randint(1, 3)):
                        outbox.tell(tx, f"{seed}/{number}", NOW)
                        time.sleep(rng.random() / 500)
                    assert 1 / (number % 3)

    def read() -> list[int]:
        with Orchestrator(tmp_path, db=database, sleep=lambda _seconds: None) as slipway:
            return [event.seq for event in slipway.events(follow=True, stopping=ended.is_set)]

    with Orchestrator(tmp_path, db=database) as slipway, ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(write, seed) for seed in range(4)]
        for writer in writers:
            writer.result(120)
        every = [event.seq for event in slipway.events()]
        ended.set()
        assert [reader.result(60) for reader in readers] == [every, every]
    assert len({*every}) == len(every) > 100


def test_who_looks_at_a_run_s_events_hears_them_in_order_too(database: str, tmp_path: Path) -> None:
    """Their reader asks for the run first, which is no reason to see an older moment."""
    (tmp_path / "flow.yaml").write_text(
        "schema: 1\nname: flow\nsteps:\n  - {id: check, uses: assert, with: {that: true, message: no}}\n"
    )
    with Orchestrator(tmp_path / "state", db=database) as slipway, ThreadPoolExecutor(1) as pool:
        run = slipway.runs.run(str(tmp_path / "flow.yaml"))
        begin = slipway.last_event()
        first, second = (Writer(database, name, run.id) for name in ("first", "second"))
        second.commit()
        heard = pool.submit(slipway.runs.events, run.id, after=begin)
        with pytest.raises(TimeoutError):
            heard.result(0.3)
        first.commit()
        assert types(heard.result(60)) == ["first", "second"]

"""The record on PostgreSQL: a build goes forward and back there, and no event is passed over."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

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

"""PostgreSQL's connections cut, or the server restarted, while something is built: it goes on, nothing is doubled."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from slipway import Event, Orchestrator, RecordedEvent, errors
from slipway.runfile import loads
from tests.postgresql import PostgreSQL, name_of, started
from tests.states.test_outbox import FILE
from tests.waiting import until

CUT = "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s AND pid != pg_backend_pid()"


def cut(server: PostgreSQL, url: str, patience: float = 0) -> None:
    """`patience`: seconds in which they must have ended."""
    server.execute(CUT, round(patience * 1000), name_of(url))


def check(slipway: Orchestrator, state: Path, events: list[RecordedEvent]) -> None:
    """It is there once, by the record and by the world."""
    assert [(one.name, one.vm_state) for one in slipway.list()] == [("web", "ACTIVE")]
    assert slipway.audit() == ()
    done = Counter((e.step, e.slot) for e in events if e.type == "step.done")
    assert done == Counter({*done}), "\n".join(str((e.type, e.step, e.attempt, e.host, e.detail)) for e in events)
    assert len(list((state / "world").glob("*/domains/*.json"))) == 1
    slipway.delete("web")
    assert slipway.audit() == ()


def test_a_connection_that_was_cut_while_nothing_was_going_on_is_made_anew(
    postgresql: PostgreSQL, database: str, tmp_path: Path
) -> None:
    with Orchestrator(tmp_path, db=database) as slipway:
        for _ in range(3):
            cut(postgresql, database, patience=10)
            assert slipway.list() == []


@pytest.mark.parametrize("nth", range(1, 24, 4))
def test_a_build_goes_on_whose_connections_are_cut_at_any_statement(
    nth: int, postgresql: PostgreSQL, database: str, tmp_path: Path
) -> None:
    file = loads(FILE.format(simulate=""), "cut.yaml")
    with Orchestrator(tmp_path, db=database, settings=file.settings) as slipway:
        numbers = count()
        # In the midst of the next transaction, or of this one: whichever is quicker.
        cutter = threading.Timer(0.001 * (nth % 4), cut, (postgresql, database), {"patience": 10})

        def cut_once(event: Event) -> None:
            if next(numbers) == nth:
                cutter.start()

        assert [one.status for one in slipway.run(file, on_event=cut_once).ended] == ["built"]
        cutter.join()
        check(slipway, tmp_path, list(slipway.events()))


def test_a_build_and_a_run_go_on_while_the_server_restarts(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        "schema: 1\nname: flow\nsteps:\n"
        "  - {id: first, uses: assert, with: {that: true, message: no}}\n"
        "  - {id: a-while, uses: sleep, with: {for: 1500ms}}\n"
        "  - {id: last, uses: assert, with: {that: true, message: no}, needs: [a-while]}\n"
    )
    file = loads(FILE.format(simulate="delay: 200ms"), "cut.yaml")
    with started() as server:
        url = server.empty()
        with Orchestrator(tmp_path / "state", db=url, settings=file.settings) as slipway:
            ended: dict[str, object] = {}

            def keep(name: str, call: Callable[[], object]) -> threading.Thread:
                thread = threading.Thread(target=lambda: ended.update({name: call()}))
                thread.start()
                return thread

            threads = [
                keep("build", lambda: [one.status for one in slipway.run(file).ended]),
                keep("run", lambda: slipway.runs.run(str(tmp_path / "flow.yaml")).state),
            ]
            until(lambda: len([one for one in slipway.runs.list() if one.ended_at is None]) == 2, "both are begun")
            server.stop()
            time.sleep(1)
            server.start()
            for thread in threads:
                thread.join(60)
            assert ended == {"build": ["built"], "run": "SUCCEEDED"}
            check(slipway, tmp_path / "state", [e for e in slipway.events() if e.instance_id])


def test_a_server_that_is_gone_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.states.store.BUSY_TIMEOUT", 0.3)
    with started() as server, Orchestrator(tmp_path, db=server.empty()) as slipway:
        server.stop()
        with pytest.raises(
            errors.DatabaseUnavailable, match=r"^postgresql://.*: connection to server .* failed: [^\n]*$"
        ):
            slipway.list()

"""Runs that go on beside their caller."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway import errors
from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from tests.runs.conftest import Workflow
from tests.runs.test_runs import files, make


def test_a_run_goes_on_beside_its_caller_and_is_waited_for(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    slow = "  - {id: slow, uses: command, with: {argv: [sleep, '0.5']}}\n"
    with ThreadPoolExecutor(1) as pool:
        handle = slipway.runs.start(workflow(slow + make(tmp_path, "one")), executor=pool)
        assert handle.status.state == "RUNNING"
        with pytest.raises(errors.RunBusy, match=r"has not ended in 0\.05 s"):
            handle.wait(0.05)
        assert handle.wait(30).state == "SUCCEEDED"
        events = handle.events()
        assert [(e.type, e.step) for e in events if e.type == "step.done"] == [
            ("step.done", "slow"),
            ("step.done", "one"),
        ]
        assert handle.events(after=events[-2].seq) == events[-1:]
    assert files(tmp_path) == {"one"}


def test_a_run_that_goes_on_is_cancelled_and_undone(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    begun = threading.Event()

    def heard(event: Event) -> None:
        if (event.type, event.step) == ("step.start", "wait"):
            begun.set()

    wait = f"  - {{id: wait, uses: wait-for, with: {{file: '{tmp_path}/never'}}}}\n"
    with ThreadPoolExecutor(1) as pool:
        handle = slipway.runs.start(workflow(make(tmp_path, "one") + wait), executor=pool, on_event=heard)
        assert begun.wait(30)
        asked = time.monotonic()
        handle.cancel()
        run = handle.wait(30)
    assert (run.state, run.fault) == ("CANCELLED", None)
    assert time.monotonic() - asked < 10
    assert files(tmp_path) == set()
    with pytest.raises(errors.RunRefused, match="has ended: there is nothing to cancel"):
        handle.cancel()


def test_what_is_wrong_is_raised_at_once(slipway: Orchestrator, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(errors.InvalidFile, match=r"nowhere\.yaml"):
        slipway.runs.start(str(tmp_path / "nowhere.yaml"), executor=pool)

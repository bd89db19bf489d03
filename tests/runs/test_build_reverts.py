"""What a build does beside the instance is taken back by the step that its workflow gives as the inverse."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import AbortBuild
from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.settings import Settings
from slipway.testing import COMMIT, Fault, Faults, Mode, crashed
from tests.examples.services import Services, served
from tests.record import opened
from tests.runs.buildflow import ADDRESS, flow_of, record, run_file
from tests.told import wrong_with


@pytest.fixture
def dns() -> Iterator[Services]:
    with served() as services:
        yield services


@pytest.fixture(params=[ADDRESS, "${{ result.json.a }}"], ids=["by an output", "by its result"])
def flow(tmp_path: Path, dns: Services, request: pytest.FixtureRequest) -> Path:
    return flow_of(tmp_path / "mine.yaml", dns.url, record(request.param))


def standing(slipway: Orchestrator) -> dict[str, dict[str, str]]:
    """What the service is to have: of the instances that run."""
    there = [instance for instance in slipway.list() if instance.vm_state == "ACTIVE"]
    return {f"/records/{one.name}/{one.addresses[0]}": {"a": one.addresses[0]} for one in there}


def undone(event: Event, told: list[str]) -> None:
    told.extend([event.step] if event.type == "step.undo" else [])


def test_a_record_goes_with_its_instance(tmp_path: Path, dns: Services, flow: Path) -> None:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        assert len(dns.resources) == 1
        assert dns.resources == standing(slipway)
        slipway.stop("web")
        flow.unlink()
        told: list[str] = []
        slipway.delete("web", on_event=partial(undone, told=told))
        assert dns.resources == {}
        assert told.index("spawn") < told.index("record") < told.index("ports")
        assert slipway.audit() == ()
    assert wrong_with(tmp_path / "state" / "slipway.db") == []


def test_a_build_that_fails_takes_it_back_before_what_it_stands_on(tmp_path: Path, dns: Services, flow: Path) -> None:
    faults = Faults(Fault("spawn", Mode.ERROR, raises=lambda: AbortBuild("no")))
    told: list[str] = []
    with faults.orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow), on_event=partial(undone, told=told))
        assert told.index("record") < told.index("bindings") < told.index("ports") < told.index("claim")
        assert [one.split(" ")[0] for one in dns.asked] == ["PUT", "DELETE"]
        assert dns.resources == {}
        (run,) = slipway.runs.list()
        (effect,) = [one for one in slipway.runs.effects(run.id) if one.step == "record"]
        assert (run.state, effect.state) == ("FAILED", "undone")


def test_it_stays_where_the_next_host_is_tried(tmp_path: Path, dns: Services, flow: Path) -> None:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow, "fail: [spawn]"))
        assert slipway.show("web").instance.attempt == 2
        assert [one.split(" ")[0] for one in dns.asked] == ["PUT"]
        slipway.delete("web")
        assert dns.resources == {}


def test_what_the_service_keeps_is_stuck_until_it_gives_it_back(tmp_path: Path, dns: Services, flow: Path) -> None:
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        dns.refused.append("DELETE .*")
        assert slipway.delete("web").vm_state == "ERROR"
        (stuck,) = [one for one in slipway.show("web").effects if one.state == "stuck"]
        assert stuck.step == "record"
        assert "answered 409" in str(stuck.error)
        dns.refused.clear()
        slipway.delete("web")
        assert (dns.resources, slipway.list(), slipway.audit()) == ({}, [], ())


def test_a_service_that_takes_its_time_is_waited_for(tmp_path: Path, dns: Services, flow: Path) -> None:
    """While all is undone, too, where another step has failed, and where the instance is being deleted."""
    answer = dns.answer

    def slowly(method: str, url: str, body: bytes) -> tuple[int, Any]:
        time.sleep(0.2)
        return answer(method, url, body)

    dns.answer = slowly  # type: ignore[method-assign]
    settings = Settings(poll_interval=0.01)
    faults = Faults(Fault("spawn", Mode.ERROR, 0, last=0, raises=lambda: AbortBuild("no")))
    with faults.orchestrator(tmp_path / "state", settings=settings) as slipway:
        slipway.run(run_file(flow))
        assert [one.state for one in slipway.show("web").effects if one.step == "record"] == ["undone"]
        slipway.run(run_file(flow), replace_failed=True, yes=True)
        assert len(dns.resources) == 1
        assert slipway.delete("web").vm_state == "DELETED"
        assert dns.resources == {}


def test_a_text_that_nobody_can_read_any_more_keeps_nothing_else(tmp_path: Path, dns: Services, flow: Path) -> None:
    """What stands by it is listed as stuck; the instance's own parts go."""
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
    with closing(opened(tmp_path / "state" / "slipway.db")) as db, db:
        db.execute("UPDATE workflow_texts SET texts = '{}' WHERE digest <> '-'")
    flow.unlink()
    with Orchestrator(tmp_path / "state") as slipway:
        assert slipway.delete("web").vm_state == "ERROR"
        left = [(one.step, one.state) for one in slipway.show("web").effects if one.state in ("done", "stuck")]
        assert [one for one in left if one[1] == "stuck"] == [("record", "stuck")]
        assert slipway.show("web").instance.fault is not None


@pytest.mark.parametrize("mode", [Mode.CRASH_BEFORE, Mode.CRASH_AFTER])
@pytest.mark.parametrize(
    ("fail", "every"),
    [
        pytest.param("", 3, id="some"),
        pytest.param("", 1, id="every", marks=pytest.mark.slow),
        pytest.param("fail: [spawn]", 1, id="every of two hosts", marks=pytest.mark.slow),
    ],
)
def test_it_survives_a_kill_at_its_commits(
    tmp_path: Path, dns: Services, flow: Path, fail: str, mode: Mode, *, every: int
) -> None:
    """Of a build, on one host and on the next, and of its delete."""
    state, nth = tmp_path / "state", int(every > 1 and mode is Mode.CRASH_AFTER)
    while crashed(partial(_build_and_delete, state, flow, fail, Fault(COMMIT, mode, nth))):
        assert wrong_with(state / "slipway.db") == [], nth
        with Orchestrator(state) as slipway:
            slipway.resume()
            assert dns.resources == standing(slipway), nth
            slipway.run(run_file(flow, fail))
            assert slipway.show("web").instance.vm_state == "ACTIVE"
            assert dns.resources == standing(slipway)
            slipway.delete("web")
            assert dns.resources == {}, nth
        shutil.rmtree(state)
        nth += every
    assert nth > 20


def _build_and_delete(state: Path, flow: Path, fail: str, fault: Fault) -> None:
    with Orchestrator(state, store=Faults(fault).store) as slipway:
        slipway.run(run_file(flow, fail))
        slipway.delete("web")

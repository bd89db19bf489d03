"""What the workflow of a build may have as that of any run: errors that are passed over, a last word, outputs."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.errors import AbortBuild, InvalidFile
from slipway.flows.loader import find_definition
from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.testing import COMMIT, Fault, Faults, Mode, crashed
from tests.examples.services import Services, served
from tests.runs.buildflow import ADDRESS, URL, flow_of, record, run_file
from tests.told import wrong_with

OUTPUTS = {
    "address": ADDRESS,
    "all": "${{ steps.finish.outputs }}",
    "name": "${{ inputs.instance.name }} of ${{ run.name }}",
}
LAST: dict[str, Any] = {
    "id": "last",
    "uses": "http",
    "with": {
        "method": "PUT",
        "url": "${{ inputs.dns }}/last/${{ inputs.instance.name }}",
        "json": {"spawned": "${{ steps.spawn.status }}", "tried": "${{ steps.tried.status }}"},
    },
}
"""A last word: how it ended."""


@pytest.fixture
def services() -> Iterator[Services]:
    with served() as services:
        yield services


def tried(**more: Any) -> dict[str, Any]:
    """A step that may fail: what it asks for is not there."""
    return {"id": "tried", "uses": "http", "with": {"url": "${{ inputs.dns }}/nothing"}, "on_error": "continue", **more}


# --- outputs --------------------------------------------------------------------------------------------------------


def test_the_outputs_of_the_whole_are_kept_on_its_run(tmp_path: Path, services: Services) -> None:
    flow = flow_of(tmp_path / "mine.yaml", services.url, outputs=OUTPUTS)
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        (run,) = slipway.runs.list()
        address = slipway.show("web").instance.addresses[0]
        expected = {"address": address, "all": [address], "name": "web of mine"}
        assert (run.state, json.loads(run.outputs or b"")) == ("SUCCEEDED", expected)


def test_outputs_that_stand_for_nothing_fail_the_build(tmp_path: Path, services: Services) -> None:
    outputs = {"x": "${{ steps.ports.outputs[7].port.id }}"}
    flow = flow_of(tmp_path / "mine.yaml", services.url, outputs=outputs)
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        (run,) = slipway.runs.list()
        assert (run.state, run.outputs, run.fault and run.fault.type) == ("FAILED", None, "ExpressionFailed")
        assert [one.state for one in slipway.show("web").effects if one.step == "spawn"] == ["undone"]
        assert slipway.audit() == ()


def test_outputs_of_a_step_take_the_place_of_its_result(tmp_path: Path, services: Services) -> None:
    services.resources["/thing"] = {"a": 1}
    step = {
        "id": "got",
        "uses": "http",
        "with": {"url": "${{ inputs.dns }}/thing"},
        "outputs": {"a": "${{ result.json.a }}"},
    }
    flow = flow_of(tmp_path / "mine.yaml", services.url, step, outputs={"a": "${{ steps.got.outputs.a }}"})
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        assert json.loads(slipway.runs.list()[0].outputs or b"") == {"a": 1}


# --- on_error -------------------------------------------------------------------------------------------------------


def test_a_step_that_may_fail_is_passed_over(tmp_path: Path, services: Services) -> None:
    said = {"tried": "${{ steps.tried.status }}", "gave": "${{ steps.tried.outputs }}"}
    told: list[Event] = []
    flow = flow_of(tmp_path / "mine.yaml", services.url, tried(), record(), outputs=said)
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow), on_event=told.append)
        (run,) = slipway.runs.list()
        assert (run.state, json.loads(run.outputs or b"")) == ("SUCCEEDED", {"tried": "failed", "gave": None})
        assert slipway.show("web").instance.vm_state == "ACTIVE"
        (error,) = [event for event in told if event.type == "step.error"]
        assert (error.step, "404" in error.message) == ("tried", True)
        assert [one.detail for one in slipway.runs.events(run.id) if one.type == "step.error"] == [error.message]
        slipway.delete("web")
        assert (services.resources, slipway.audit()) == ({}, ())


def test_what_it_did_before_it_failed_is_taken_back_first(tmp_path: Path, services: Services) -> None:
    """Of a `for_each` that fails at its second item."""
    services.refused.append("PUT .*/two")
    each = {"method": "PUT", "url": URL + "${{ item }}", "json": {}}
    back = {"uses": "http", "with": {"method": "DELETE", "url": URL + "${{ item }}", "expect": [204, 404]}}
    step = tried(for_each=["one", "two", "three"], **{"with": each}, revert=back)
    flow = flow_of(tmp_path / "mine.yaml", services.url, step, outputs={"tried": "${{ steps.tried.status }}"})
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        assert (slipway.show("web").instance.vm_state, services.resources) == ("ACTIVE", {})
        asked = [one.split("/")[-1] for one in services.asked]
        assert asked == ["one", "two", "two", "one"]


def test_on_the_next_host_it_is_tried_again(tmp_path: Path, services: Services) -> None:
    flow = flow_of(tmp_path / "mine.yaml", services.url, tried(), outputs={"tried": "${{ steps.tried.status }}"})

    def found(event: Event) -> None:
        if event.type == "reschedule":
            services.resources["/nothing"] = {}

    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow, "fail: [spawn]"), on_event=found)
        (run,) = slipway.runs.list()
        assert json.loads(run.outputs or b"") == {"tried": "succeeded"}
        slipway.delete("web")
        assert slipway.audit() == ()


def test_an_error_by_which_the_build_ends_is_never_passed_over(tmp_path: Path, services: Services) -> None:
    """A delete comes while it waits to try again."""
    step = tried(retry={"max_attempts": 3, "delay": "1ms", "errors": ["UnexpectedAnswer"]})
    flow = flow_of(tmp_path / "mine.yaml", services.url, record(), step)
    with Orchestrator(tmp_path / "state") as slipway:

        def delete(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "tried"):
                slipway.delete("web")

        slipway.run(run_file(flow), on_event=delete)
        assert [run.state for run in slipway.runs.list()] == ["CANCELLED", "SUCCEEDED"]
        assert (services.resources, slipway.list(), slipway.audit()) == ({}, [], ())


# --- finally --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_word_is_had_however_it_ends(tmp_path: Path, services: Services, *, fails: bool) -> None:
    faults = Faults(*([Fault("spawn", Mode.ERROR, raises=lambda: AbortBuild("no"))] if fails else []))
    flow = flow_of(tmp_path / "mine.yaml", services.url, record(), tried(), last=LAST)
    with faults.orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow))
        (run,) = slipway.runs.list()
        assert run.state == ("FAILED" if fails else "SUCCEEDED")
        (said,) = [found for url, found in services.resources.items() if url.startswith("/last")]
        assert said == {"spawned": "skipped" if fails else "succeeded", "tried": "failed"}
        methods = [one.split(" ")[0] for one in services.asked]
        assert methods == (["PUT", "GET", "DELETE", "PUT"] if fails else ["PUT", "GET", "PUT"])
        slipway.delete("web")
        assert len(services.asked) == 4, "a delete of what was built is no end of the build"
        assert slipway.audit() == ()


def test_a_build_that_is_deleted_meanwhile_has_it_too(tmp_path: Path, services: Services) -> None:
    flow = flow_of(tmp_path / "mine.yaml", services.url, record(), last={**LAST, "with": {**LAST["with"], "json": {}}})
    with Orchestrator(tmp_path / "state") as slipway:

        def delete(event: Event) -> None:
            if (event.type, event.step) == ("step.end", "record"):
                slipway.delete("web")

        slipway.run(run_file(flow), on_event=delete)
        assert [run.state for run in slipway.runs.list()] == ["CANCELLED", "SUCCEEDED"]
        assert [one.split(" ")[0] for one in services.asked] == ["PUT", "DELETE", "PUT"]
        assert list(services.resources) == ["/last/web"]


def test_a_last_word_that_fails_changes_nothing_else(tmp_path: Path, services: Services) -> None:
    services.refused.append("PUT .*/last")
    told: list[str] = []
    more = {"id": "more", "uses": "http", "with": {"method": "PUT", "url": "${{ inputs.dns }}/more", "json": {}}}
    last = {**LAST, "with": {**LAST["with"], "json": {}}}
    flow = flow_of(tmp_path / "mine.yaml", services.url, last=[last, {**more, "needs": []}])
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(run_file(flow), on_event=lambda e: told.extend([e.step] if e.type == "step.error" else []))
        assert (slipway.show("web").instance.vm_state, told, list(services.resources)) == (
            "ACTIVE",
            ["last"],
            ["/more"],
        )


# --- parallel -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_items_are_done_side_by_side_where_an_executor_is_given(
    tmp_path: Path, services: Services, *, fails: bool
) -> None:
    together = threading.Barrier(3, timeout=20)
    answer = services.answer

    def meeting(method: str, url: str, body: bytes) -> tuple[int, Any]:
        if method == "PUT":
            together.wait()
        return (409, {}) if fails and method == "PUT" and url.endswith("two") else answer(method, url, body)

    services.answer = meeting  # type: ignore[method-assign]
    each = {"method": "PUT", "url": URL + "${{ item }}", "json": {}}
    back = {"uses": "http", "with": {"method": "DELETE", "url": URL + "${{ item }}", "expect": [204, 404]}}
    step = {
        "id": "each",
        "uses": "http",
        "for_each": ["one", "two", "three"],
        "parallel": 3,
        "with": each,
        "revert": back,
    }
    flow = flow_of(tmp_path / "mine.yaml", services.url, step)
    with ThreadPoolExecutor(4) as pool, Orchestrator(tmp_path / "state", executor=pool) as slipway:
        slipway.run(run_file(flow))
        assert slipway.show("web").instance.vm_state == ("ERROR" if fails else "ACTIVE")
        assert len(services.resources) == (0 if fails else 3)
        slipway.delete("web")
        assert (services.resources, slipway.audit()) == ({}, ())


# --- kills ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.CRASH_BEFORE, Mode.CRASH_AFTER])
@pytest.mark.parametrize(
    ("fails", "every"),
    [
        pytest.param(False, 4, id="some"),
        pytest.param(True, 4, id="some of one that fails"),
        pytest.param(False, 1, id="every", marks=pytest.mark.slow),
        pytest.param(True, 1, id="every of one that fails", marks=pytest.mark.slow),
    ],
)
def test_all_of_it_survives_a_kill_at_its_commits(
    tmp_path: Path, services: Services, mode: Mode, *, fails: bool, every: int
) -> None:
    state, nth = tmp_path / "state", int(every > 1 and mode is Mode.CRASH_AFTER)
    wrong = {"id": "wrong", "uses": "assert", "with": {"that": not fails, "message": "no"}}
    said = {"tried": "${{ steps.tried.status }}", "address": ADDRESS}
    flow = flow_of(
        tmp_path / "mine.yaml",
        services.url,
        tried(),
        record(),
        wrong,
        before="wait",
        outputs=said,
        last=LAST,
    )
    while crashed(partial(_build, state, flow, Fault(COMMIT, mode, nth))):
        assert wrong_with(state / "slipway.db") == [], nth
        # By now it would work: what was passed over stays so.
        with Orchestrator(state) as slipway:
            passed = any(
                one.kind == "failed-step" for run in slipway.runs.list() for one in slipway.runs.effects(run.id)
            )
            if passed:
                services.resources["/nothing"] = {}
            slipway.resume()
            slipway.run(run_file(flow))
            services.resources.pop("/nothing", None)
            (instance,) = slipway.list()
            (run,) = slipway.runs.list()
            assert instance.vm_state == ("ERROR" if fails else "ACTIVE"), nth
            assert services.resources.pop("/last/web") == {"spawned": "succeeded", "tried": "failed"}, nth
            names = [] if fails else [f"/records/web/{instance.addresses[0]}"]
            assert list(services.resources) == names, nth
            kept = None if fails else {"tried": "failed", "address": instance.addresses[0]}
            assert (json.loads(run.outputs) if run.outputs else None) == kept, nth
            slipway.delete("web")
            assert services.resources == {}, nth
        shutil.rmtree(state)
        nth += every
    assert nth > 15


def _build(state: Path, flow: Path, fault: Fault) -> None:
    with Orchestrator(state, store=Faults(fault).store) as slipway:
        slipway.run(run_file(flow))


def test_what_a_build_cannot_have_is_said(tmp_path: Path, services: Services) -> None:
    flow = flow_of(tmp_path / "mine.yaml", services.url, tried(on_error="pause"))
    with Orchestrator(tmp_path / "state") as slipway, pytest.raises(InvalidFile, match="which cannot be paused"):
        slipway.run(run_file(flow))


@pytest.mark.parametrize("threads", [0, 4])
def test_what_stands_below_the_last_step_is_done_before_it(tmp_path: Path, services: Services, threads: int) -> None:
    """After it the instance is at rest, and nobody would take it back or go on with it."""
    flow = tmp_path / "mine.yaml"
    text = yaml.safe_load(find_definition("build-instance").read_text())
    text["inputs"]["dns"] = {"type": "string", "default": services.url}
    flow.write_text(yaml.safe_dump({**text, "steps": [*text["steps"], record()]}, sort_keys=False))
    told: list[str] = []
    with (
        ThreadPoolExecutor(threads or 1) as pool,
        Orchestrator(tmp_path / "state", executor=pool if threads else None) as slipway,
    ):
        slipway.run(run_file(flow), on_event=lambda e: told.extend([e.step] if e.type == "step.end" else []))
        assert told[-2:] == ["record", "finish"]
        slipway.delete("web")
        assert services.resources == {}

"""What a change looks like afterwards: its run, its picture, its time, and who did it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway import NetworkRequest, Orchestrator
from slipway.cli.runtext import described, run_json
from slipway.errors import RunRefused
from tests.repair.conftest import Site


@pytest.fixture
def run(make_site: Callable[..., Site]) -> tuple[Site, Any]:
    site = make_site()
    with site.open() as orchestrator:
        orchestrator.changes.attach_interface("web-1", NetworkRequest(network="a"))
        *_, last = orchestrator.runs.list()
    return site, last


def test_its_run_says_in_words_what_it_was(run: tuple[Site, Any]) -> None:
    _, found = run
    assert (found.name, found.state, found.instance) == ("attach-interface", "SUCCEEDED", "web-1")
    assert run_json(found)["inputs"] == {"what": "a NIC on network a"}
    assert ("inputs", "what=a NIC on network a") in described(found)


def test_its_workflow_can_be_drawn_and_it_is_taken_back_by_no_word(run: tuple[Site, Any]) -> None:
    site, found = run
    with site.open() as orchestrator:
        assert [step.id for step in orchestrator.runs.definition(found.id).steps][-1] == "reshape"
        for word in (orchestrator.runs.cancel, orchestrator.runs.undo, orchestrator.runs.retry):
            with pytest.raises(RunRefused, match="the instance has verbs of its own"):
                word(found.id)


def test_it_is_a_deed_of_its_instance(run: tuple[Site, Any]) -> None:
    site, _ = run
    with site.open() as orchestrator:
        assert [deed.what for deed in orchestrator.history("web-1")] == ["build", "attach-interface"]
        told = [event.step for event in orchestrator.events() if event.type == "step.done" and event.step]
        assert told[-3:] == ["new-definition", "rewrite", "reshape"]


def test_a_change_is_refused_where_something_goes_on(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open() as orchestrator:
        refused: list[str] = []

        def listen(_event: object) -> None:
            if not refused:
                refused.append("")
                with pytest.raises(Exception, match="another worker is at it") as error:
                    _attach(orchestrator)
                refused.append(type(error.value).__name__)

        orchestrator.reboot("web-1", force=True, on_event=listen)
        assert refused == ["", "InstanceBusy"]


def _attach(orchestrator: Orchestrator) -> None:
    orchestrator.changes.attach_interface("web-1", NetworkRequest(network="a"))

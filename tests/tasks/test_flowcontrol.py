"""The tasks that wait for somebody or for a time, check, say, and name a value."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.errors import AbortBuild, ConditionFailed, InvalidArguments, RunWaits
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.flows.tasks.catalog import CATALOG
from slipway.flows.tasks.flowcontrol import Assert, Log, Pause, Set, Sleep
from slipway.states.intent import Durability
from slipway.testing.contracts.task import Given, NoUndoContract
from tests.tasks.conftest import Do

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class TestPause(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return Pause()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"message": "look at it"}

    @pytest.fixture
    def given(self, task: Task, work: Work, arguments: Mapping[str, Any]) -> Given:
        return Given(task, replace(work, approved=True), arguments)


class TestSleep(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return Sleep()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"for": "2h"}

    @pytest.fixture
    def given(self, task: Task, work: Work, arguments: Mapping[str, Any]) -> Given:
        begun = work.tools.clock() - timedelta(hours=3)
        return Given(task, replace(work, effect=replace(work.effect, started_at=begun)), arguments)


class TestAssert(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return Assert()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"that": True, "message": "so it is"}


class TestLog(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return Log()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"message": "here we are"}


class TestSet(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return Set()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"value": {"a": [1, 2.5, None, "x"]}}


def test_a_pause_waits_for_approval(do: Do) -> None:
    with pytest.raises(RunWaits) as caught:
        do(Pause(), {"message": "is it well?"})
    assert (str(caught.value), caught.value.until) == ("is it well?", None)
    assert do(Pause(), {"message": "is it well?"}, approved=True) is None


def test_a_sleep_counts_from_when_it_first_began(do: Do, tools: Tools) -> None:
    """Whoever goes on with the run: what is on record counts, and not when this process came to it."""
    now = [AT]
    watched = replace(tools, clock=lambda: now[0])
    given = {"for": "90s"}
    effect = replace(_effect(do, tools), started_at=AT)
    for seconds in (0, 30, 89.9):
        now[0] = AT + timedelta(seconds=seconds)
        with pytest.raises(RunWaits) as caught:
            do(Sleep(), given, tools=watched, effect=effect)
        assert caught.value.until == AT + timedelta(seconds=90)
        assert "2026-01-02T03:05:35" in str(caught.value)
    now[0] = AT + timedelta(seconds=90)
    assert do(Sleep(), given, tools=watched, effect=effect) is None


def _effect(do: Do, tools: Tools) -> Any:
    seen = []

    class Look(Log):
        def do(self, work: Work, message: str) -> None:
            seen.append(work.effect)

    do(Look(), {"message": ""})
    return seen[0]


def test_what_waits_is_on_record_before_it_waits(tools: Tools) -> None:
    for task in (Pause(), Sleep()):
        assert task.durability(tools, None) is Durability.FOREIGN


@pytest.mark.parametrize("wrong", ["soon", "", "-1s", -1, "1", "1 h", float("inf"), float("nan"), "99999999h"])
def test_a_time_that_is_none_is_refused(do: Do, wrong: Any) -> None:
    with pytest.raises(InvalidArguments, match=r"^sleep: for must be a time such as 30s, 2m or 500ms, or seconds$"):
        do(Sleep(), {"for": wrong})


@pytest.mark.parametrize("seconds", [0, 0.0, "0s"])
def test_no_time_is_over_at_once(do: Do, seconds: Any) -> None:
    do(Sleep(), {"for": seconds})


def test_what_does_not_hold_ends_the_run_with_its_message(do: Do) -> None:
    do(Assert(), {"that": True, "message": "no"})
    with pytest.raises(ConditionFailed, match=r"^there are 3 of them$") as caught:
        do(Assert(), {"that": False, "message": "there are 3 of them"})
    assert isinstance(caught.value, AbortBuild)


@pytest.mark.parametrize("wrong", [1, "true", "", None, [True]])
def test_what_is_neither_true_nor_false_is_no_condition(do: Do, wrong: Any) -> None:
    with pytest.raises(InvalidArguments, match="that must be true or false"):
        do(Assert(), {"that": wrong, "message": ""})


def test_what_is_logged_is_told_and_logged(do: Do, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    with caplog.at_level(logging.INFO, logger="slipway"):
        do(Log(), {"message": "at 50 %s"}, tell=told.append)
    assert told == ["at 50 %s"]
    assert "at 50 %s" in caplog.text


@pytest.mark.parametrize("value", [None, 1, 1.5, "x", True, [1, [2]], {"a": {"b": []}}])
def test_a_value_is_given_back(do: Do, value: Any) -> None:
    assert do(Set(), {"value": value}) == value


@pytest.mark.parametrize("name", ["pause", "sleep", "assert", "log", "set", "http", "command", "wait-for"])
def test_it_is_in_the_catalog_and_not_for_builds_alone(name: str) -> None:
    assert CATALOG[name].in_build_only is False

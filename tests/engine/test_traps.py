"""What goes wrong in TaskFlow's serial engine, seen there, and not in ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from taskflow import exceptions
from taskflow.patterns import graph_flow, linear_flow, unordered_flow
from taskflow.retry import REVERT, Times

from tests.engine.tasks import Controller, Notes, Noting, load, states

OURS, THEIRS = "slipway", "serial"


def run(flow: Any, engine: str, **options: Any) -> tuple[Any, Exception | None]:
    """The engine after a run, and what the run raised."""
    made = load(flow, engine, **options)
    try:
        made.run()
    except Exception as error:  # noqa: BLE001 - it is what is looked at
        return made, error
    return made, None


def no(history: Any) -> bool:
    return False


# --- a task that never ran is not reverted ----------------------------------------------------------------------


def reverted_unrun(engine: str) -> bool:
    """Whether a task is reverted that was to come after a sibling of one that failed."""
    notes: Notes = []
    line = linear_flow.Flow("line").add(Noting("before", notes), Noting("after", notes))
    run(unordered_flow.Flow("flow").add(Noting("bad", notes, fails=1), line), engine)
    return "-after" in notes and "after" not in notes


def test_a_task_that_never_ran_is_not_reverted() -> None:
    assert any(reverted_unrun(THEIRS) for _ in range(60))
    assert not any(reverted_unrun(OURS) for _ in range(60))


# --- what precedes an ignored retry is reverted -----------------------------------------------------------------


def ignored_retry(engine: str) -> tuple[Any, Exception | None]:
    notes: Notes = []
    first, ignored = Noting("first", notes), linear_flow.Flow("ignored", Times(1)).add(Noting("under it", notes))
    deciding = graph_flow.Flow("deciding").add(first, ignored).link(first, ignored, decider=no, decider_depth="flow")
    return run(linear_flow.Flow("flow").add(deciding, Noting("bad", notes, fails=1)), engine, defer_reverts=True)


def test_what_precedes_an_ignored_retry_is_reverted() -> None:
    engine, error = ignored_retry(THEIRS)
    assert (engine.storage.get_atom_state("first"), type(error)) == ("SUCCESS", exceptions.InvalidState)
    engine, error = ignored_retry(OURS)
    assert (engine.storage.get_atom_state("first"), str(error)) == ("REVERTED", "bad failed")
    assert engine.storage.get_flow_state() == "REVERTED"


# --- a flow that is REVERTED is reverted wholly -----------------------------------------------------------------


def test_a_reverted_flow_has_nothing_left_done() -> None:
    def flow() -> Any:
        inner = linear_flow.Flow("inner", Controller("retry", REVERT)).add(Noting("bad", [], fails=1))
        return linear_flow.Flow("flow").add(Noting("first", []), inner)

    engine, _ = run(flow(), THEIRS)
    assert (engine.storage.get_flow_state(), engine.storage.get_atom_state("first")) == ("REVERTED", "SUCCESS")
    engine, _ = run(flow(), OURS)
    assert (engine.storage.get_flow_state(), set(states(engine).values())) == ("REVERTED", {"REVERTED"})
    engine, _ = run(flow(), OURS, defer_reverts=False)
    assert engine.storage.get_atom_state("first") == "SUCCESS"  # who asks for it has it as TaskFlow does


# --- a reset forgets failures -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("engine", "second"), [(THEIRS, exceptions.WrappedFailure), (OURS, RuntimeError)])
def test_a_reset_forgets_the_failures(engine: str, second: type[Exception]) -> None:
    flow = linear_flow.Flow("flow").add(Noting("a", [], fails=1), Noting("b", [], fails=1))
    made, first = run(flow, engine)
    assert str(first) == "a failed"
    made.reset()
    with pytest.raises(second):
        made.run()
    assert set(made.storage.get_failures()) == ({"a", "b"} if engine == THEIRS else {"b"})


def test_what_failed_before_a_retry_is_no_failure_of_the_flow() -> None:
    def flow() -> Any:
        tried = linear_flow.Flow("tried", Times(2, "retry")).add(Noting("a", [], fails=1))
        return linear_flow.Flow("flow").add(tried, Noting("b", [], fails=1))

    _, error = run(flow(), THEIRS)
    assert isinstance(error, exceptions.WrappedFailure)
    engine, error = run(flow(), OURS)
    assert (str(error), set(engine.storage.get_failures())) == ("b failed", {"b"})


# --- whatever fails is reverted ---------------------------------------------------------------------------------


def decider_fails() -> Any:
    def bad(history: Any) -> bool:
        raise RuntimeError("no decision")

    first, second = Noting("first", []), Noting("second", [])
    return graph_flow.Flow("flow").add(first, second).link(first, second, decider=bad)


def controller_fails() -> Any:
    retry = Controller("retry", RuntimeError("no decision"))
    return linear_flow.Flow("flow", retry).add(Noting("first", []), Noting("second", [], fails=1))


class Short(Noting):
    def execute(self, **_given: Any) -> Any:
        return ("only one",)


def nothing_provided() -> Any:
    return linear_flow.Flow("flow").add(Short("first", [], provides=("a", "b")), Noting("second", [], requires=["b"]))


@pytest.mark.parametrize("flow", [decider_fails, controller_fails, nothing_provided])
def test_what_keeps_an_atom_from_being_begun_has_the_rest_reverted(flow: Callable[[], Any]) -> None:
    engine, error = run(flow(), THEIRS)
    assert error is not None
    assert (engine.storage.get_flow_state(), engine.storage.get_atom_state("first")) == ("FAILURE", "SUCCESS")
    engine, error = run(flow(), OURS)
    assert error is not None
    assert (engine.storage.get_flow_state(), engine.storage.get_atom_state("first")) == ("REVERTED", "REVERTED")
    assert engine.storage.get_atom_state("second") == ("REVERTED" if flow is controller_fails else "PENDING")


def test_a_decider_that_fails_in_passing_is_asked_again_where_there_is_a_retry() -> None:
    answers: list[Any] = [RuntimeError("not now"), True]

    def decider(history: Any) -> bool:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return bool(answer)

    notes: Notes = []
    first, second = Noting("first", notes), Noting("second", notes)
    flow = graph_flow.Flow("flow", Times(2, "retry")).add(first, second).link(first, second, decider=decider)
    engine, error = run(flow, OURS)
    assert (error, engine.storage.get_flow_state()) == (None, "SUCCESS")
    assert notes == ["first", "-first", "first", "second"]


class Opens(Noting):
    """Provides what its own revert may take, where somebody else provides it."""

    default_provides = "ticket"

    def revert(self, ticket: str | None = None, **_given: Any) -> None:
        super().revert()


def test_an_optional_argument_that_nothing_before_provides_is_left_out() -> None:
    def flow() -> Any:
        return linear_flow.Flow("flow").add(Opens("first", []), Noting("bad", [], fails=1))

    engine, error = run(flow(), THEIRS)
    assert (type(error), engine.storage.get_flow_state()) == (exceptions.NotFound, "FAILURE")
    engine, error = run(flow(), OURS)
    assert (str(error), engine.storage.get_flow_state()) == ("bad failed", "REVERTED")


# --- never_resolve ----------------------------------------------------------------------------------------------


def test_a_flow_that_is_not_to_be_resolved_stays_failed_and_can_be_reset() -> None:
    def ran_twice(engine: str) -> Any:
        made, _ = run(
            linear_flow.Flow("flow").add(Noting("a", []), Noting("b", [], fails=1)), engine, never_resolve=True
        )
        assert made.storage.get_flow_state() == "FAILURE"
        with pytest.raises(RuntimeError, match="b failed"):
            made.run()
        return made

    theirs = ran_twice(THEIRS)
    assert (theirs.storage.get_flow_state(), theirs.storage.get_atom_state("a")) == ("REVERTED", "SUCCESS")
    ours = ran_twice(OURS)
    assert ours.storage.get_flow_state() == "FAILURE"
    ours.reset()
    ours.run()
    assert ours.storage.get_flow_state() == "SUCCESS"


def test_a_suspended_flow_can_be_reset() -> None:
    def suspended(engine: str) -> Any:
        made = load(linear_flow.Flow("flow").add(Noting("a", []), Noting("b", [])), engine)
        states_seen = made.run_iter()
        next(states_seen)
        states_seen.close()
        assert made.storage.get_flow_state() == "SUSPENDED"
        return made

    with pytest.raises(exceptions.InvalidState):
        suspended(THEIRS).reset()
    engine = suspended(OURS)
    engine.reset()
    assert engine.storage.get_flow_state() == "PENDING"


# --- a retry that was ignored governs nothing -------------------------------------------------------------------


def test_the_failure_of_a_task_under_an_ignored_retry_is_an_ordinary_one() -> None:
    def flow() -> Any:
        first = Noting("first", [])
        inner = linear_flow.Flow("inner", Times(2, "retry")).add(Noting("bad", [], fails=1))
        return graph_flow.Flow("flow").add(first, inner).link(first, inner, decider=no, decider_depth="atom")

    _, error = run(flow(), THEIRS)
    assert isinstance(error, exceptions.StorageFailure)
    engine, error = run(flow(), OURS)
    assert str(error) == "bad failed"
    assert states(engine) == {"first": "REVERTED", "retry": "IGNORE", "bad": "REVERTED"}


# --- a revert that fails stops no other -------------------------------------------------------------------------


def test_a_revert_that_fails_keeps_no_other_one_from_its_turn_and_the_flow_failed_for_good() -> None:
    def flow(notes: Notes) -> Any:
        lines = [
            linear_flow.Flow(f"line {name}").add(
                Noting(name, notes), Noting(f"{name}2", notes, revert_fails=name == "a")
            )
            for name in "abc"
        ]
        return linear_flow.Flow("flow").add(unordered_flow.Flow("lines").add(*lines), Noting("bad", notes, fails=1))

    notes: Notes = []
    engine, error = run(flow(notes), OURS)
    assert isinstance(error, ValueError)
    assert {"-a2", "-b2", "-b", "-c2", "-c"} <= set(notes)
    assert "-a" not in notes  # what it uses stays
    with pytest.raises(ValueError, match="a2 stays"):
        engine.run()
    assert engine.storage.get_flow_state() == "FAILURE"

    engine, _ = run(flow([]), THEIRS)
    assert "SUCCESS" in states(engine).values()
    with pytest.raises(Exception, match=r"bad failed|a2 stays"):
        engine.run()
    assert engine.storage.get_flow_state() == "REVERTED"

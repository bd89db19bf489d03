"""Tasks that are plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from slipway.flows.tasks.base import BuildWork, Task, Work
from slipway.flows.tasks.checks import faults_of
from slipway.flows.tasks.decorator import task, task_of
from slipway.states.intent import Durability
from slipway.testing.contracts.task import IrreversibleContract, NoUndoContract, TaskContract
from tests.tasks.conftest import Do


class Record(Struct, frozen=True):
    name: str
    file: str


def remove(zone: str, result: Record | None, name: str, ttl: int, marks: list[str]) -> None:
    """Take the record out of its zone."""
    assert (ttl, marks) == (300, []), "what was left out is what it was when it was done"
    Path(zone, name).unlink(missing_ok=True)


@task(revert=remove)
def dns_record(work: Work, zone: str, name: str, ttl: int = 300, marks: list[str] = []) -> Record:  # noqa: B006
    """Put a name into a zone.

    And say for how long.
    """
    file = Path(zone, name)
    file.write_text(f"{work.effect.key} {ttl}")
    return Record(name, str(file))


@task(name="shout", kind="said-loudly", durability=Durability.PURE)
def louder(text: str, *, marks: int = 1) -> str:
    """Say it louder. Needs no undo: it has no effect."""
    return text.upper() + "!" * marks


@task()
def tell_all(file: str, text: str) -> None:
    """Tell everybody. Has no undo of its own: what was told is known."""
    Path(file).write_text(text)


class TestDnsRecord(TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return task_of(dns_record)()

    @pytest.fixture
    def arguments(self, tmp_path: Path) -> Mapping[str, Any]:
        (tmp_path / "zone").mkdir()
        return {"zone": str(tmp_path / "zone"), "name": "web"}

    @pytest.fixture
    def holdings(self, tmp_path: Path) -> Callable[[], Mapping[str, str]]:
        return lambda: {path.name: path.read_text() for path in (tmp_path / "zone").iterdir()}


class TestLouder(NoUndoContract):
    @pytest.fixture
    def task(self) -> Task:
        return task_of(louder)()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"text": "oh", "marks": 3}


class TestTellAll(IrreversibleContract):
    @pytest.fixture
    def task(self) -> Task:
        return task_of(tell_all)()

    @pytest.fixture
    def arguments(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"file": str(tmp_path / "told"), "text": "it"}

    @pytest.fixture
    def holdings(self, tmp_path: Path) -> Callable[[], Mapping[str, str]]:
        return lambda: {path.name: path.read_text() for path in tmp_path.glob("told")}


def test_the_function_stays_a_function() -> None:
    assert louder("oh", marks=2) == "OH!!"


def test_name_and_kind_are_the_functions_where_nothing_else_is_said() -> None:
    kind = task_of(dns_record)
    assert (kind.name, kind.kind, kind.irreversible, kind.in_build_only) == ("dns-record", "dns-record", False, False)
    assert (task_of(louder).name, task_of(louder).kind) == ("shout", "said-loudly")
    assert (kind.__module__, kind.__doc__) == (__name__, dns_record.__doc__)
    assert task_of(tell_all).irreversible
    assert task_of(dns_record) is kind, "a function is one task, however often it is asked for"


def test_what_it_takes_and_gives_is_what_its_annotations_say() -> None:
    signature = task_of(dns_record)().signature
    assert signature.inputs == frozenset({"zone", "name"})
    assert signature.optional == frozenset({"ttl", "marks"})
    assert (signature.types["ttl"], signature.result) == (int, Record)


def test_arguments_and_result_pass_through(do: Do) -> None:
    assert do(task_of(louder)(), {"text": "oh", "marks": 2}) == "OH!!"
    assert do(task_of(louder)(), {"text": "oh"}) == "OH!"


def test_a_function_that_takes_a_builds_work_is_for_builds_alone() -> None:
    @task(durability=Durability.PURE)
    def look(work: BuildWork) -> str:
        """Needs no undo."""
        return work.instance.name

    assert task_of(look).in_build_only


def no_work(name: str) -> None: ...


def wrong_names(nobody: str) -> None: ...


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            lambda: task(revert=wrong_names)(_made("def f(a: str) -> str: ...")),
            "wrong_names() takes nobody, which f() does not take",
        ),
        (lambda: task()(_made("def f(a): ...")), "f() does not say what it gives"),
        (lambda: task()(_made("def f(a) -> str: ...")), "f() does not say what a is"),
        (lambda: task()(_made("def f(*a: str) -> str: ...")), "takes `*` or `**`"),
        (lambda: task()(_made("def f(**a: str) -> str: ...")), "takes `*` or `**`"),
        (lambda: task()(_made("def f(a: str, /) -> str: ...")), "takes `*` or `**`"),
        (lambda: task()(_made("def f(a: Nowhere) -> str: ...")), "name Nowhere, which its module does not have"),
        (lambda: task()(_made("def f(a: str) -> Path: ...")), "says with Path what it gives"),
        (lambda: task()(_made("def f(a: str = 3) -> str: ...")), "the default of a is not what it says"),
        (lambda: task()(_made("async def f(a: str) -> str: ...")), "is a coroutine"),
        (lambda: task(durability=Durability.LOCAL)(_made("def f(a: str) -> str: ...")), "LOCAL"),
        (
            lambda: task(durability=Durability.PURE, revert=no_work)(_made("def f(name: str) -> str: ...")),
            "has a revert and no effect",
        ),
    ],
)
def test_what_cannot_be_a_task_says_why(wrong: Callable[[], Any], text: str) -> None:
    assert text in "; ".join(faults_of(wrong()))


def _made(text: str) -> Any:
    space: dict[str, Any] = {"__name__": __name__, "Path": Path}
    exec(f"from __future__ import annotations\n{text}", space)
    return space["f"]


def test_a_function_that_is_no_task_is_none() -> None:
    assert list(faults_of(no_work)) == [
        "it is no subclass of slipway.flows.tasks.base.Task, and no function with @task before it"
    ]

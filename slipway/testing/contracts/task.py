"""What every task guarantees, as `slipway.flows.tasks.base` says it.

A task with an undo is put to the test by `TaskContract`, one that needs none by `NoUndoContract`, and one whose effect
only another step takes back, which is `irreversible`, by `IrreversibleContract`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from slipway.flows.tasks.base import BuildWork, RunInfo, Task, Tools, Work
from slipway.flows.tasks.checks import faults_of
from slipway.model.record import Effect, EffectState, Instance, Scope
from slipway.model.request import Host
from slipway.orchestrator import default_drivers
from slipway.settings import Settings
from slipway.states import codec, hosts, instances
from slipway.states.instance_owner import InstanceOwner
from slipway.states.instance_runs import Begun
from slipway.states.intent import Durability, Intent
from slipway.states.lease import Lease
from slipway.states.ledger import Ledger
from slipway.states.sqlitefile import make_state
from slipway.states.store import Store
from slipway.states.urls import sqlite_url
from slipway.testing.contracts.samples import HOST, make_instance

Holdings = Callable[[], Mapping[str, str]]


class _DiedError(Exception):
    """The end of a process that is none."""


class Given(Struct, frozen=True):
    """A task with what it is done with."""

    task: Task
    work: Work
    arguments: Mapping[str, Any]

    @property
    def durability(self) -> Durability:
        """As the task says for this host, or without one."""
        host = self.work.host if isinstance(self.work, BuildWork) else None
        return self.task.durability(self.work.tools, host)

    @property
    def accepted(self) -> Mapping[str, Any]:
        """The arguments as `do` takes them. Those of a build's step are records of earlier steps already."""
        return self.arguments if self.task.in_build_only else self.task.accept(self.arguments)

    def do(self) -> Any:
        """Do it, as the ledger would."""
        return self._call(lambda work: self.task.do(work, **self.accepted))

    def do_and_die(self) -> Any:
        """Do it in a process that dies before that is on record; the rows of a task that is local go as well."""
        if self.durability is not Durability.LOCAL:
            return self.do()
        with suppress(_DiedError), self.work.tools.store.write() as tx:
            result = self.task.do(replace(self.work, tx=tx), **self.accepted)
            raise _DiedError
        return result

    def undo(self, result: Any) -> None:
        """Undo it, as the ledger would: by what is on record of the arguments."""
        undo = self.task.undo
        assert undo is not None
        recorded = self.task.arguments_of(self.work.effect)
        kept = {name: getattr(recorded, name) for name in recorded.__struct_fields__}
        self._call(lambda work: undo(work, result, **kept))

    def _call(self, call: Callable[[Work], Any]) -> Any:
        if self.durability is not Durability.LOCAL:
            return call(self.work)
        with self.work.tools.store.write() as tx:
            return call(replace(self.work, tx=tx))


class AnyTaskContract:
    """What holds of all kinds of task. A subclass overrides the fixtures `task` and, where it takes any, `arguments`.

    By default a task of a build is done for an instance that is on record and is being built on a simulated host, and
    another one in a run of a workflow; whoever needs more overrides `tools`, `instance`, `host`, or `work` as a whole.
    """

    @pytest.fixture
    def task(self) -> Task:
        """The task."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture task")

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        """What a workflow would pass to the task, by name."""
        return {}

    @pytest.fixture
    def tools(self, tmp_path: Path) -> Iterator[Tools]:
        """A fresh record, and the drivers that are installed."""
        state = tmp_path / "slipway"
        make_state(state)
        store = Store(sqlite_url(state / "slipway.db"))
        settings = Settings()
        drivers = default_drivers(store, settings, state)
        yield Tools(store, drivers, settings, lambda: datetime.now(UTC), time.monotonic, time.sleep)
        store.close()

    @pytest.fixture
    def host(self, tools: Tools) -> Host:
        """The host that was chosen; it is on record."""
        with tools.store.write() as tx:
            hosts.save(tx, HOST)
        return HOST

    @pytest.fixture
    def instance(self, tools: Tools) -> Instance:
        """An instance that is being built; it is on record."""
        sample = make_instance()
        lease = Lease.begun(3600, clock=tools.clock, monotonic=tools.monotonic)
        with tools.store.write() as tx:
            run = Begun("7c9e6679-7425-40de-944b-e07fc1f90ae7", "build", "mine")
            return instances.create(tx, sample.id, sample.request, run=run, worker=lease.text(), at=sample.created_at)

    @pytest.fixture
    def work(self, request: pytest.FixtureRequest, tools: Tools, task: Task, arguments: Mapping[str, Any]) -> Work:
        """The effect that is done, and what the task may use for it."""
        deadline = tools.monotonic() + 3600
        if not task.in_build_only:
            run = RunInfo("7c9e6679-7425-40de-944b-e07fc1f90ae7", "mine", "demo")
            return Work(effect_of_run(task, arguments, run, at=tools.clock()), run, tools, deadline)
        instance: Instance = request.getfixturevalue("instance")
        host: Host = request.getfixturevalue("host")
        effect = effect_of(task, arguments, instance, host, tools)
        run = RunInfo(instance.id, instance.workflow, instance.project)
        return BuildWork(effect, run, tools, deadline, instance=instance, host=host)

    @pytest.fixture
    def given(self, task: Task, work: Work, arguments: Mapping[str, Any]) -> Given:
        """All of it."""
        return Given(task, work, arguments)

    def test_it_can_be_a_task(self, task: Task) -> None:
        """It has its names, and annotations that say what goes on record."""
        assert list(faults_of(type(task))) == []

    def test_what_it_gives_survives_the_record(self, given: Given) -> None:
        result = given.do()
        assert codec.decode(codec.encode(result), given.task.result_type) == result

    def test_the_arguments_of_undo_survive_the_record(self, given: Given) -> None:
        kept = given.task.arguments_of(given.work.effect)
        names = kept.__struct_fields__
        assert {name: getattr(kept, name) for name in names if name in given.accepted} == {
            name: given.accepted[name] for name in names if name in given.accepted
        }

    def test_its_key_is_the_same_whenever_it_is_asked_for(self, given: Given) -> None:
        """Before it is done and afterwards: its scope and host follow from its arguments."""
        before, work = given.work.effect, given.work
        given.do()
        if not isinstance(work, BuildWork):
            assert given.task.scope_of(given.accepted) is before.scope
            return
        assert work.host is not None
        assert effect_of(given.task, given.arguments, work.instance, work.host, work.tools, like=before) == before


class NoUndoContract(AnyTaskContract):
    """A task that needs no undo, since it has no effect or one that goes with something else."""

    def test_it_says_that_and_why_it_needs_no_undo(self, task: Task) -> None:
        assert task.undo is None
        assert not task.irreversible
        assert "needs no undo" in _words(task)

    def test_doing_it_again_gives_the_same(self, given: Given) -> None:
        assert given.do() == given.do()


class IrreversibleContract(AnyTaskContract):
    """A task with an effect and no undo: another step takes it back. A subclass overrides `holdings` as well."""

    @pytest.fixture
    def holdings(self) -> Holdings:
        """As in `TaskContract`."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture holdings")

    def test_it_says_that_it_has_no_undo(self, given: Given) -> None:
        assert given.task.undo is None
        assert given.task.irreversible
        assert "no undo" in _words(given.task)
        assert given.durability is Durability.FOREIGN

    def test_doing_it_twice_is_doing_it_once(self, given: Given, holdings: Holdings) -> None:
        """As after a crash, or when an answer was lost."""
        before = holdings()
        first = given.do()
        left = holdings()
        assert left != before, "the task had no effect that the fixture holdings tells of"
        assert given.do() == first
        assert holdings() == left


class TaskContract(AnyTaskContract):
    """A task with an effect and an undo. A subclass overrides `holdings` as well."""

    @pytest.fixture
    def holdings(self) -> Holdings:
        """Tells what there is of the kind of things that the task makes: their names, and their contents."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture holdings")

    def test_it_has_an_effect_and_an_undo(self, given: Given, holdings: Holdings) -> None:
        assert given.task.undo is not None, f"a task with an effect and no undo is one for {NoUndoContract.__name__}"
        assert given.durability in (Durability.LOCAL, Durability.FOREIGN)
        before = holdings()
        given.do()
        assert holdings() != before, "the task had no effect that the fixture holdings tells of"

    def test_doing_it_twice_is_doing_it_once(self, given: Given, holdings: Holdings) -> None:
        """As after a crash. What is local went with its transaction; what is not is found, and given once more."""
        before = holdings()
        first = given.do_and_die()
        left = holdings()
        again = given.do()
        if given.durability is Durability.LOCAL:
            assert left == before
        else:
            assert again == first
            assert holdings() == left

    def test_undoing_it_leaves_nothing(self, given: Given, holdings: Holdings) -> None:
        """Nor does undoing it twice do any more."""
        before = holdings()
        result = given.do()
        for _ in range(2):
            given.undo(result)
            assert holdings() == before

    def test_it_is_undone_without_its_result(self, given: Given, holdings: Holdings) -> None:
        """It was done, and the process died before that was on record."""
        before = holdings()
        given.do()
        given.undo(None)
        assert holdings() == before

    def test_what_never_happened_is_undone(self, given: Given, holdings: Holdings) -> None:
        """The process died before it was done."""
        before = holdings()
        given.undo(None)
        assert holdings() == before

    def test_what_was_undone_can_be_done_again(self, given: Given, holdings: Holdings) -> None:
        """As on a second attempt, or by whoever takes over."""
        before = holdings()
        given.undo(given.do())
        result = given.do()
        assert holdings() != before
        given.undo(result)
        assert holdings() == before


def effect_of(
    task: Task,
    arguments: Mapping[str, Any],
    instance: Instance,
    host: Host,
    tools: Tools,
    *,
    like: Effect | None = None,
) -> Effect:
    """The row of the ledger with which the task is done; the step and slot are those of `like`."""
    scope = task.scope_of(arguments)
    kept = task.recorded(arguments)
    step, slot = (like.step, like.slot) if like else (task.name, 0)
    on = host.name if scope is Scope.HOST else None
    ledger = Ledger(tools.store, InstanceOwner(instance), clock=tools.clock, monotonic=tools.monotonic)
    key = ledger.key(Intent(step, slot, task.kind, scope, on, kept, 60.0))
    return Effect(key, instance.id, ledger.attempt, step, slot, task.kind, scope, on, EffectState.INTENDED, kept)


def effect_of_run(task: Task, arguments: Mapping[str, Any], run: RunInfo, *, at: datetime) -> Effect:
    """The row of the ledger with which a run does the task, begun `at`."""
    accepted = task.accept(arguments)
    kept = task.recorded(accepted)
    key, scope = f"{run.id}/{task.name}/0", task.scope_of(accepted)
    return Effect(
        *(key, "", 1, task.name, 0, task.kind, scope, None, EffectState.INTENDED, kept), started_at=at, run_id=run.id
    )


def _words(task: Task) -> str:
    return " ".join((type(task).__doc__ or "").lower().split())

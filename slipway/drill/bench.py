"""Where the runs of one process happen: one directory, one warm orchestrator on it, and a trace of what it does."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from slipway.drill.copies import copy
from slipway.drill.records import record_of
from slipway.drill.simulated import simulated_drivers
from slipway.drill.things import Things, look
from slipway.drill.trace import Paper, Trace
from slipway.drill.verb import Verb
from slipway.drivers.registry import Drivers
from slipway.flows.instance_workflow import definition_now
from slipway.flows.tasks.base import Task
from slipway.model.record import Instance
from slipway.model.request import InjectedFile, InstanceRequest
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.testing import Clock, Fault, Faults, FaultyDrivers, FaultyStore
from slipway.testing.tasks import faulty_tasks
from slipway.texts import masked_url

NEIGHBOUR = "drill-neighbour"


@dataclass(frozen=True)
class Plan:
    """What is drilled: the file, whether its network counts as a service elsewhere, and what draws all chance."""

    file: RunFile
    seed: int = 0
    remote_network: bool = False
    verb: Verb | None = None
    """What is drilled in place of the file's builds."""
    database: str | None = None
    """The URL of a database of PostgreSQL's: on its server each bench has its record, in a database of its own."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def options(self) -> Sequence[str]:
        """The words of a command line that say the same, besides the file and the seed."""
        remote = ("--remote-network",) if self.remote_network else ()
        record = ("--db", masked_url(self.database)) if self.database else ()
        return (*remote, *(self.verb.words if self.verb else ()), *record)

    @property
    def secret(self) -> str:
        """What stands in the user data and a file of every drilled instance, and may stand nowhere else."""
        return f"drill-secret-{self.seed:08x}"

    @property
    def marked(self) -> RunFile:
        """The file, with user data and a file injected that can be told from everything else.

        Of a verb's only where there is some already: without it much can be done to an instance that cannot with it.
        """
        text = f"#cloud-config\n# {self.secret}\n"
        files = (InjectedFile("/etc/secret", text, "0600"),)
        every = self.verb is None

        def marked(request: InstanceRequest) -> InstanceRequest:
            said = text if every or request.user_data else None
            return replace(request, user_data=said, files=files if every or request.files else ())

        entries = tuple(replace(one, request=marked(one.request)) for one in self.file.instances)
        return replace(self.file, instances=entries)


class Unguarded(Orchestrator):
    """Builds beside what a step has leaked: what leaks is what a drill is to find."""

    def _check_world(self, file: RunFile) -> None:
        """Nothing: the world is a drill's own."""


class Wrapping(Unguarded):
    """Its tasks are fault points, those that are wrapped."""

    wrap: Callable[[Mapping[str, Task]], Mapping[str, Task]]

    @property
    def _tasks(self) -> Mapping[str, Task]:
        return self.wrap(super()._tasks)


class Bench:
    """A state directory that is filled from a template before each run, and the orchestrator that works in it.

    It stays open from run to run, since SQLAlchemy compiles its statements anew for each engine.
    """

    def __init__(self, plan: Plan, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.plan, self.file = plan, plan.marked
        self.state = directory / "state"
        self.record = record_of(plan.database, self.state)
        self._papers = trace, self.log = Paper(directory / "trace"), Paper(directory / "log")
        self.trace = Trace(trace)
        self._handler = logging.StreamHandler(self.log)
        self._handler.setFormatter(logging.Formatter("%(name)s %(message)s %(detail)s", defaults={"detail": ""}))
        self._rng = random.Random(plan.seed)
        self._others = Faults(
            drivers=simulated_drivers(random.Random(plan.seed + 1), self._sleep, remote_network=plan.remote_network)
        )
        self._stores: list[FaultyStore] = []
        self._all_drivers: list[FaultyDrivers] = []
        self.faults = Faults(
            drivers=simulated_drivers(self._rng, self._sleep, remote_network=plan.remote_network),
            on_call=self.trace.call,
            on_fault=self._on_fault,
        )
        # A server would have one clock for all.
        self._others.clock = self.faults.clock
        self.orchestrator = self._make()
        # Drivers are made when they are first asked for: now, so that no run pays for it.
        assert self.orchestrator.network is not None

    def _make(self) -> Orchestrator:
        """What is put to the test."""
        made = Wrapping(self.state, workflow=self.plan.file.workflow, **self._parts(self.faults, self._rng))
        made.wrap = self._with_faults
        return made

    def _with_faults(self, tasks: Mapping[str, Task]) -> Mapping[str, Task]:
        """What a build does beside the instance, where each call is a fault point; in the rest those of drivers are."""
        beside = {name: task for name, task in tasks.items() if not task.in_build_only}
        whole = self.plan.file.workflow
        return {**tasks, **faulty_tasks(beside, self.faults, whole=whole, within=False)}

    def _parts(self, faults: Faults, rng: random.Random) -> dict[str, Any]:
        """What an orchestrator on this state directory is made of."""
        return {
            "db": self.record.url,
            "store": partial(self._make_store, faults),
            "drivers": partial(self._make_drivers, faults),
            "settings": self.plan.file.settings,
            "clock": self._now,
            "monotonic": self._monotonic,
            "sleep": self._sleep,
            "rng": rng,
        }

    def _make_store(self, faults: Faults, url: str) -> Store:
        self._stores.append(faults.store(url))
        return self._stores[-1]

    def _make_drivers(self, faults: Faults, store: Store, settings: Settings, state: Path) -> Drivers:
        self._all_drivers.append(faults.drivers(store, settings, state))
        return self._all_drivers[-1]

    @cached_property
    def another(self) -> Orchestrator:
        """Somebody else's on the same state directory, in which nothing goes wrong."""
        parts = self._parts(self._others, random.Random(self.plan.seed + 2))
        return Unguarded(self.state, project=self.plan.file.project, **parts)

    def _now(self) -> datetime:
        return self.faults.clock()

    def _monotonic(self) -> float:
        return self.faults.clock.monotonic()

    def _sleep(self, seconds: float) -> None:
        self.faults.clock.sleep(seconds)

    def _on_fault(self, fault: Fault) -> None:
        self.trace.fault(fault)
        self.keep()

    def keep(self) -> None:
        """Have all that was written where other processes see it, and where it outlives this one."""
        for paper in self._papers:
            paper.keep()

    def rest(self) -> None:
        """Have no file open and nothing unwritten, so that files may be copied and the process forked.

        Connections to PostgreSQL stay: to make them takes long, and a store has its own in a forked process.
        """
        if self.record.url is None:
            self._close()
        self.keep()

    def copy(self, target: Path) -> Path:
        """Copy the state directory, with the record as it is committed."""
        self.record.keep()
        return copy(self.state, target)

    def replace(self, source: Path) -> None:
        """Have the state directory, and the record, as in a copy; nothing of them is open."""
        shutil.rmtree(self.state)
        copy(source, self.state)
        self.record.put()

    def look(self) -> Things:
        """Everything that exists."""
        self.record.keep()
        return look(self.state)

    @property
    def written(self) -> str:
        """All that was written, in the log and in the trace."""
        return b"".join(paper.read() for paper in self._papers).decode()

    def load(self, template: Path | None) -> None:
        """Begin anew from a template; everything that the last run left is gone, and its chance and clock as well."""
        self.rest()
        if template is not None:
            self.replace(template)
        self.trace.clear()
        self.log.clear()
        self.reseed(template.name if template else "")
        self.faults.clock = Clock()
        self.faults.arm()
        self.forget()

    def reseed(self, part: str) -> None:
        """Draw ids and MACs anew in this part of a run: not those that were drawn by another process before it."""
        self._rng.seed(f"{self.plan.seed} {part}")

    def forget(self) -> None:
        """Take up no memory of a world that was put in another's place."""
        for store in self._stores:
            store.forget()
        for drivers in self._all_drivers:
            drivers.forget()

    def save(self, template: Path) -> None:
        """Keep what is there as a template."""
        self.rest()
        self.copy(template)

    def arm(self, *faults: Fault) -> None:
        """Count from nought again, and let these go off."""
        self.faults.arm(*faults)

    # --- what is done -------------------------------------------------------------------------------------------

    @cached_property
    def inverted(self) -> frozenset[str]:
        """The steps that the workflow of the file itself takes back."""
        steps = definition_now(self.plan.file.workflow).steps
        return frozenset(step.id for step in steps if step.revert is not None)

    @cached_property
    def finals(self) -> frozenset[str]:
        """The steps at its end, which nothing takes back where a build has failed."""
        return frozenset(step.id for step in definition_now(self.plan.file.workflow).finals)

    @property
    def names(self) -> Sequence[str]:
        """The drilled instances."""
        return [entry.request.name for entry in self.file.instances]

    @property
    def drilled(self) -> Sequence[Instance]:
        """All that is there but the neighbour."""
        there = self.orchestrator.list(project=self.file.project)
        return [instance for instance in there if instance.name != NEIGHBOUR]

    def run(self) -> None:
        """Bring the file about."""
        self.orchestrator.run(self.file, on_event=self.trace.event)

    @property
    def verb(self) -> Verb:
        """What is drilled in place of the file's builds."""
        assert self.plan.verb is not None
        return self.plan.verb

    def do(self) -> None:
        """Do what is drilled."""
        self.verb.do(self.orchestrator, self.trace.event)

    def mend(self) -> None:
        """Have what is stuck tried again, and all else that differs mended."""
        self.orchestrator.repair(on_event=self.trace.event)

    def resume(self) -> None:
        """Go on with what was left."""
        self.orchestrator.resume(on_event=self.trace.event)

    def delete(self) -> None:
        """Delete what is there of the drilled instances, the last of the file first."""
        last_first = list(reversed(self.names))
        for one in sorted(self.drilled, key=lambda one: last_first.index(one.name) if one.name in last_first else -1):
            self.orchestrator.delete(one.id, on_event=self.trace.event)

    def destroy(self) -> None:
        """Take back all that the file brought about."""
        self.orchestrator.destroy(self.file, on_event=self.trace.event)

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Keep everything that is logged meanwhile, as it would be written."""
        logger = logging.getLogger("slipway")
        level, propagate = logger.level, logger.propagate
        logger.addHandler(self._handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(self._handler)
            logger.setLevel(level)
            logger.propagate = propagate

    def _close(self) -> None:
        self.orchestrator.close()
        if "another" in vars(self):
            self.another.close()

    def close(self) -> None:
        """Close the database and the files."""
        self._close()
        self.record.close()
        for paper in self._papers:
            paper.close()

"""Where the runs of one process happen: one directory, one warm orchestrator on it, and a trace of what it does."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from slipway.drill.simulated import simulated_drivers
from slipway.drivers.registry import Drivers
from slipway.model import Event, InjectedFile
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.testing import Call, Clock, Fault, Faults, FaultyDrivers

Line = tuple[float, str, str]
"""Of a trace: milliseconds since its start, what kind of thing happened, and what."""


@dataclass(frozen=True)
class Plan:
    """What is drilled: the file, whether its network counts as a service elsewhere, and what draws all chance."""

    file: RunFile
    seed: int = 0
    remote_network: bool = False

    @property
    def secret(self) -> str:
        """What stands in the user data and a file of every drilled instance, and may stand nowhere else."""
        return f"drill-secret-{self.seed:08x}"

    @property
    def marked(self) -> RunFile:
        """The file, with user data and a file injected that can be told from everything else."""
        text = f"#cloud-config\n# {self.secret}\n"
        files = (InjectedFile("/etc/secret", text, "0600"),)
        entries = tuple(
            replace(one, request=replace(one.request, user_data=text, files=files)) for one in self.file.instances
        )
        return replace(self.file, instances=entries)


class Bench:
    """A state directory that is filled from a template before each run, and the orchestrator that works in it.

    It stays open from run to run, since SQLAlchemy compiles its statements anew for each engine.
    """

    def __init__(self, plan: Plan, directory: Path) -> None:
        directory.mkdir(parents=True)
        self.plan, self.file = plan, plan.marked
        self.state = directory / "state"
        self.trace = Trace(directory / "trace")
        self.log = directory / "log"
        self._rng = random.Random(plan.seed)
        self._drivers: FaultyDrivers | None = None
        self.faults = Faults(
            drivers=simulated_drivers(self._rng, self._sleep, remote_network=plan.remote_network),
            on_call=self.trace.call,
            on_fault=self.trace.fault,
        )
        self.orchestrator = Orchestrator(
            self.state,
            store=self.faults.store,
            drivers=self._make_drivers,
            settings=plan.file.settings,
            workflow=plan.file.workflow,
            clock=self._now,
            sleep=self._sleep,
            rng=self._rng,
        )

    def _make_drivers(self, store: Store, settings: Settings, state: Path) -> Drivers:
        self._drivers = self.faults.drivers(store, settings, state)
        return self._drivers

    def _now(self) -> datetime:
        return self.faults.clock()

    def _sleep(self, seconds: float) -> None:
        self.faults.clock.sleep(seconds)

    def load(self, template: Path | None) -> None:
        """Begin anew from a template; everything that the last run left is gone, and its chance and clock as well."""
        self.orchestrator.close()
        if template is not None:
            shutil.rmtree(self.state)
            shutil.copytree(template, self.state)
        self.trace.clear()
        self.log.write_bytes(b"")
        self.reseed(template.name if template else "")
        self.faults.clock = Clock()
        self.faults.arm()
        self.forget()

    def reseed(self, part: str) -> None:
        """Draw ids and MACs anew in this part of a run: not those that were drawn by another process before it."""
        self._rng.seed(f"{self.plan.seed} {part}")

    def forget(self) -> None:
        """Take up no memory of a world that was put in another's place."""
        assert self._drivers is not None
        self._drivers.forget()

    def save(self, template: Path) -> None:
        """Keep what is there as a template."""
        self.orchestrator.close()
        shutil.copytree(self.state, template)

    def arm(self, *faults: Fault) -> None:
        """Count from nought again, and let these go off."""
        self.faults.arm(*faults)

    # --- what is done -------------------------------------------------------------------------------------------

    @property
    def names(self) -> Sequence[str]:
        """The drilled instances."""
        return [entry.request.name for entry in self.file.instances]

    def run(self) -> None:
        """Bring the file about."""
        self.orchestrator.run(self.file, on_event=self.trace.event)

    def resume(self) -> None:
        """Go on with what was left."""
        self.orchestrator.resume(on_event=self.trace.event)

    def delete(self) -> None:
        """Delete what is there of the file's instances."""
        there = {instance.name for instance in self.orchestrator.list(project=self.file.project)}
        for name in reversed(self.names):
            if name in there:
                self.orchestrator.delete(name, project=self.file.project, on_event=self.trace.event)

    @contextmanager
    def logged(self) -> Iterator[None]:
        """Keep everything that is logged meanwhile, as it would be written."""
        logger = logging.getLogger("slipway")
        handler = logging.FileHandler(self.log)
        handler.setFormatter(logging.Formatter("%(name)s %(message)s %(detail)s", defaults={"detail": ""}))
        level, propagate = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
            handler.close()

    def close(self) -> None:
        """Close the database and the trace."""
        self.orchestrator.close()
        self.trace.close()


class Trace:
    """What happened in a run, in a file that outlives a killed process; all processes of the run write into it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        os.ftruncate(self._fd, 0)
        self._began = time.monotonic()
        self._read, self._lines = 0, list[Line]()

    def write(self, kind: str, text: str) -> None:
        """Add a line, in one write."""
        line = json.dumps((round((time.monotonic() - self._began) * 1000, 2), kind, text))
        os.write(self._fd, f"{line}\n".encode())

    def call(self, call: Call) -> None:
        """A fault point was reached."""
        self.write(
            "commit" if not call.family else "call", f"{call.name}:{call.nth}:{call.family}:{call.in_transaction:d}"
        )

    def fault(self, fault: Fault) -> None:
        """A fault goes off."""
        self.write("fault", str(fault))

    def event(self, event: Event) -> None:
        """Something was announced."""
        where = f" {event.step}[{event.slot}]" if event.step else ""
        host = f" on {event.host}" if event.host else ""
        more = f": {event.message}" if event.message else ""
        self.write("event", f"{event.type}{where} {event.name}{host}{more}")

    @property
    def lines(self) -> list[Line]:
        """All of it."""
        more = os.pread(self._fd, os.fstat(self._fd).st_size, self._read)
        self._read += len(more)
        self._lines += (tuple(json.loads(line)) for line in more.splitlines())
        return self._lines.copy()

    @property
    def text(self) -> str:
        """All of it, as it stands in the file."""
        return os.pread(self._fd, os.fstat(self._fd).st_size, 0).decode()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

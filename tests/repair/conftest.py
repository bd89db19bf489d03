"""A world in which everything can be lost: simulated hosts with taps, filters and DHCP entries, a network service that
is elsewhere. All of it is files and rows that a test takes away past us."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator
from slipway.drill.simulated import simulated_drivers
from slipway.model.record import Instance
from slipway.runfile import RunFile, loads
from slipway.testing import Fault, Faults
from tests import record

TEXT = """
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
  node-2: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {{a: {{subnets: {{a4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.0.0.77}}}}}}}}
security_groups: {{strict: {{rules: [{{direction: ingress, protocol: icmp}}]}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  web-1: {{flavor: small, image: tiny, networks: [{networks}], host: node-1{more}}}
"""


def run_file(*, networks: str = "a", more: str = "") -> RunFile:
    """One instance, and what else it is to have."""
    return loads(TEXT.format(networks=networks, more=more), "repair.yaml")


@dataclass
class Site:
    """A state directory with one instance in it, and how to damage it."""

    state: Path
    remote: bool = True

    def drivers(self) -> Any:
        return simulated_drivers(random.Random(1), lambda _seconds: None, remote_network=self.remote)

    def faults(self, *faults: Fault) -> Faults:
        return Faults(*faults, drivers=self.drivers())

    @contextmanager
    def open(self, *faults: Fault) -> Iterator[Orchestrator]:
        with self.faults(*faults).orchestrator(self.state) as orchestrator:
            yield orchestrator

    def instance(self) -> Instance:
        with self.open() as orchestrator:
            (found,) = orchestrator.list()
        return found

    def things(self, kind: str, host: str = "node-1") -> Sequence[Path]:
        return sorted((self.state / "world" / host / kind).glob("*.json"))

    def thing(self, kind: str) -> Path:
        return self.things(kind)[0]

    def change(self, kind: str, **values: Any) -> None:
        path = self.thing(kind)
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    def copy(self, kind: str, file: str, **values: Any) -> None:
        """Another thing of the kind, on the same host."""
        path = self.thing(kind)
        path.with_name(f"{file}.json").write_text(json.dumps({**json.loads(path.read_text()), **values}))

    def sql(self, statement: str, *values: Any) -> None:
        with closing(record.opened(self.state / "slipway.db")) as db, db:
            if not record.on_postgresql():
                db.execute("PRAGMA foreign_keys = ON")
            assert db.execute(statement, values).rowcount > 0, statement

    def asked(self, query: str, *values: Any) -> list[Any]:
        with closing(record.opened(self.state / "slipway.db")) as db:
            return db.execute(query, values).fetchall()

    def definition(self) -> Path:
        (path,) = (self.state / "instances").rglob("*.xml")
        return path


@pytest.fixture
def make_site(tmp_path: Path) -> Callable[..., Site]:
    def make(*, remote: bool = True, **says: str) -> Site:
        site = Site(tmp_path / "state", remote)
        with site.open() as orchestrator:
            (ended,) = orchestrator.run(run_file(**says)).ended
            assert ended.status.value == "built", ended
            assert orchestrator.audit() == ()
        return site

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many differences were provoked, found and mended: three numbers that are equal."""
    tested = [r for reports in terminalreporter.stats.values() for r in reports if isinstance(r, pytest.TestReport)]
    noted = [one for report in tested if report.when == "call" for one in report.user_properties]
    counted = [value for name, value in noted if name == "damages" and isinstance(value, tuple | list)]
    if counted:
        provoked, found, mended = (sum(numbers) for numbers in zip(*counted, strict=True))
        terminalreporter.write_line(
            f"Differences in {len(counted)} damages: {provoked} provoked, {found} found, {mended} mended"
        )

"""kill -9 before and after every effect and at every commit, forward and back; then resume, then look at reality.

One point of four is tried every time, another one in each scenario; `-m slow` tries all.
What is there is read from the simulator's files and from the database by SQL, not through the code under test.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator, RunFile
from slipway.runfile import loads
from slipway.states.store import Store
from slipway.testing import Fault, Faults, Mode, crashed
from tests import record
from tests.told import wrong_with

TEXT = """
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim{broken}}}
  {second}
networks:
  a: {{subnets: {{a4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.0.0.77}}}}}}
  b:
    subnets:
      b4: {{cidr: 10.1.0.0/24}}
      b6: {{cidr: "2001:db8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  web-1:
    flavor: small
    image: tiny
    networks: [{{port: mine}}, b]
    disks: [1GiB, {{volume: data.raw, format: raw}}]
    user_data: "#cloud-config"
"""


@dataclass(frozen=True)
class Scenario:
    name: str
    broken: str
    second: str
    ends: str

    @property
    def file(self) -> RunFile:
        return loads(TEXT.format(broken=self.broken, second=self.second), f"{self.name}.yaml")


FAILING = ", simulate: {fail: [spawn]}"
SCENARIOS = (
    Scenario("forward", "", "", "ACTIVE"),
    Scenario("back", FAILING, "", "ERROR"),
    Scenario("reschedule", FAILING, "node-2: {vcpus: 8, memory: 4GiB, disk: 100GiB, compute: sim}", "ACTIVE"),
)


@dataclass(frozen=True)
class Reality:
    """What lies in the world and in the database, counted."""

    domains: int
    disks: int
    definitions: int
    ports: tuple[tuple[bool, bool], ...]
    claims: int
    used: int
    addresses: int
    unsettled: int

    @classmethod
    def of(cls, state: Path) -> Reality:
        world = [path for path in (state / "world").rglob("*.json") if path.parent.name in ("domains", "disks")]
        assert all(json.loads(path.read_text()) for path in world)
        with record.opened(state / "slipway.db") as db:
            (claims,) = db.execute("SELECT count(*) FROM claims").fetchone()
            (used,) = db.execute("SELECT sum(vcpus_used) FROM hosts").fetchone()
            (addresses,) = db.execute("SELECT count(*) FROM allocations").fetchone()
            ports = db.execute("SELECT device_id, binding_host_id FROM ports ORDER BY name DESC").fetchall()
            unsettled = "SELECT count(*) FROM effects WHERE state IN ('intended', 'stuck')"
            (left,) = db.execute(unsettled).fetchone()
        db.close()
        return cls(
            domains=sum(path.parent.name == "domains" for path in world),
            disks=sum(path.parent.name == "disks" for path in world),
            definitions=len(list((state / "instances").rglob("*.xml"))),
            ports=tuple((bool(device), bool(host)) for device, host in ports),
            claims=claims,
            used=used,
            addresses=addresses,
            unsettled=left,
        )


THERE = Reality(1, 4, 1, ((True, True), (True, True)), 1, 1, 3, 0)
GONE = Reality(0, 0, 0, ((False, False),), 0, 0, 1, 0)


class Site:
    """A record and its world in one place, begun anew for each point.

    Its store is one for all points: SQLAlchemy compiles its statements anew for each, which takes as long as a build.
    """

    def __init__(self, scenario: Scenario, directory: Path) -> None:
        self.scenario = scenario
        self.state = directory / "state"
        self._empty = directory / "empty"
        self._faults = Faults()
        self._store: Store | None = None
        self._open().close()
        record.copy(self.state, self._empty)
        self._run()
        both = (Mode.CRASH_BEFORE, Mode.CRASH_AFTER)
        self.points = [f for m in both for c in (False, True) for f in self._faults.possible(m, commits=c)]
        """Every call and every commit of the run, before and after."""

    def _same_store(self, url: str) -> Store:
        self._store = self._store or self._faults.store(url)
        return self._store

    def _open(self, **more: Any) -> Orchestrator:
        return Orchestrator(self.state, settings=self.scenario.file.settings, store=self._same_store, **more)

    def _run(self, *faults: Fault) -> None:
        self._faults.arm(*faults)
        with self._open(drivers=self._faults.drivers, **self._time()) as orchestrator:
            orchestrator.run(self.scenario.file)

    def _time(self) -> dict[str, Any]:
        clock = self._faults.clock
        return {"clock": clock, "monotonic": clock.monotonic, "sleep": clock.sleep}

    def killed(self, fault: Fault) -> bool:
        """Run in a process that is killed at this point; whether it was."""
        self._faults.arm()
        shutil.rmtree(self.state)
        record.copy(self._empty, self.state)
        return crashed(partial(self._run, fault))

    def recovered(self) -> Orchestrator:
        """What a new process finds."""
        return self._open()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is a file system for it: a file survives kill -9 there as well, and waits for no disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path, prefix="slipway-") as made:
        yield Path(made)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "every"])
def test_nothing_leaks_and_nothing_is_lost(
    scenario: Scenario, every: int, directory: Path, record_property: Callable[[str, object], None]
) -> None:
    wrong: dict[str, object] = {}
    ends: Counter[str] = Counter()
    site = Site(scenario, directory)
    assert Reality.of(site.state) == (THERE if scenario.ends == "ACTIVE" else GONE)
    points = site.points[SCENARIOS.index(scenario) % every :: every]
    for fault in points:
        if not site.killed(fault):
            wrong[str(fault)] = "did not fire"
        problems: list[object] = [*wrong_with(site.state / "slipway.db")]
        problems += _recover(site, ends)
        if problems:
            wrong[str(fault)] = problems
    record_property("points", len(points))
    print(f"\n{scenario.name}: {len(points)} points killed, {len(wrong)} wrong, ends {dict(ends)}")
    assert not wrong


def _recover(site: Site, ends: Counter[str]) -> list[object]:
    """Resume, audit, run again; then all is as if nothing had happened. Gives what is wrong."""
    scenario = site.scenario
    problems: list[object] = []
    with site.recovered() as orchestrator:
        orchestrator.resume()
        problems += orchestrator.audit()
        problems += [f"{i.name} is left {i.vm_state}/{i.task_state}" for i in orchestrator.list() if i.task_state]
        (ended,) = orchestrator.run(scenario.file).ended
        problems += orchestrator.audit()
    problems += wrong_with(site.state / "slipway.db")
    assert ended.instance is not None
    ends[ended.instance.vm_state] += 1
    if ended.instance.vm_state != scenario.ends:
        problems.append(f"ended {ended.instance.vm_state}")
    fault = ended.instance.fault
    if scenario.ends == "ERROR" and (fault is None or (fault.type, fault.step) != ("ComputeError", "spawn")):
        problems.append(f"the first cause is lost: {fault}")
    reality = Reality.of(site.state)
    if reality != (THERE if scenario.ends == "ACTIVE" else GONE):
        problems.append(reality)
    return problems

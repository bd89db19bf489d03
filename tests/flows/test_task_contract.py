"""The contract of tasks, over all of ours: each is done after the steps that the build has before it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from slipway.drill.simulated import simulated_drivers
from slipway.drill.things import look
from slipway.flows.effect_task import Seat, model
from slipway.flows.loader import find_definition, load_definition
from slipway.flows.run import Run
from slipway.flows.tasks.base import BuildWork, Task, Tools
from slipway.flows.tasks.catalog import CATALOG, SIGNATURES
from slipway.flows.values import Scope, resolve, resolve_all
from slipway.model.record import Instance
from slipway.runfile import loads
from slipway.settings import Settings
from slipway.stacks.apply import bring_about
from slipway.stacks.plan import Wish
from slipway.stacks.planning import make_plan
from slipway.states import instances
from slipway.states.instance_owner import InstanceOwner
from slipway.states.instance_runs import Begun
from slipway.states.lease import Lease
from slipway.states.ledger import Ledger
from slipway.states.store import Store
from slipway.testing.contracts.task import AnyTaskContract, Holdings, NoUndoContract, TaskContract, effect_of

FILE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [a], user_data: "#cloud-config"}}
""",
    "contract.yaml",
)
DEFINITION = load_definition(
    find_definition("build-instance"), {name: task.signature for name, task in CATALOG.items()}
)
CLONES = {name for name in CATALOG if type(CATALOG[name]).__module__ == "slipway.flows.tasks.clones"}
"""What clones alone are built with has its effects at another instance: those are the tests of clones to go through."""
OURS = {
    name: task
    for name, task in CATALOG.items()
    if type(task).__module__.startswith("slipway.") and task.in_build_only and name not in CLONES
}
VOLATILE = {"status"}
"""Of a port, which tells of the instance and of the network's DHCP server, and goes with the port."""


class OfABuild(AnyTaskContract):
    """The task as the build's step, for a build that has come so far."""

    @pytest.fixture
    def tools(self, tmp_path: Path) -> Iterator[Tools]:
        store = Store(f"sqlite:///{tmp_path / 'slipway.db'}", synchronous="OFF")
        drivers = simulated_drivers(random.Random(1), time.sleep)(store, Settings(), tmp_path)
        tools = Tools(store, drivers, Settings(), lambda: datetime.now(UTC), time.monotonic, time.sleep)
        definition = load_definition(find_definition("build-instance"), SIGNATURES)
        bring_about(make_plan(FILE, Wish(), tools, lambda: definition), store, drivers)
        yield tools
        store.close()

    @pytest.fixture
    def instance(self, tools: Tools) -> Instance:
        (entry,) = FILE.instances
        lease = Lease.begun(3600, clock=tools.clock, monotonic=tools.monotonic)
        with tools.store.write() as tx:
            return instances.create(
                tx, "0f0f0f0f-0000-4000-8000-000000000000", entry.request,
                run=Begun("run-1", "build", "build-instance"), worker=lease.text(), at=tools.clock(),
            )  # fmt: skip

    @pytest.fixture
    def run(self, tools: Tools, instance: Instance, task: Task) -> Run:
        ledger = Ledger(tools.store, InstanceOwner(instance), clock=tools.clock, monotonic=tools.monotonic)
        run = Run(instance, ledger, tools, notify=lambda _event: None, stopping=lambda: False)
        seat = Seat(None)
        seat.run, run.definition = run, DEFINITION
        for step in DEFINITION.steps:
            if step.uses == task.name:
                return run
            model().of(step, seat).execute()
        raise LookupError(task.name)

    @pytest.fixture
    def arguments(self, run: Run, task: Task) -> Mapping[str, Any]:
        step = next(step for step in DEFINITION.steps if step.uses == task.name)
        scope = Scope(run.outputs, instance=run.instance)
        item = resolve(step.for_each, scope)[0] if step.for_each else None
        return resolve_all(step.arguments, replace(scope, item=item))

    @pytest.fixture
    def work(self, run: Run, task: Task, arguments: Mapping[str, Any]) -> BuildWork:
        host = run.host or FILE.hosts[0]
        return replace(run.work(effect_of(task, arguments, run.instance, host, run.tools), 120.0), host=host)


class TestThoseWithAnUndo(OfABuild, TaskContract):
    @pytest.fixture(params=[name for name, task in OURS.items() if task.undo is not None])
    def task(self, request: pytest.FixtureRequest) -> Task:
        return OURS[request.param]

    @pytest.fixture
    def holdings(self, tmp_path: Path) -> Holdings:
        def there() -> Mapping[str, str]:
            return {name: _lasting(content) for name, content in look(tmp_path).by_name.items()}

        return there


class TestThoseWithout(OfABuild, NoUndoContract):
    @pytest.fixture(params=[name for name, task in OURS.items() if task.undo is None])
    def task(self, request: pytest.FixtureRequest) -> Task:
        return OURS[request.param]


def _lasting(content: str) -> str:
    """A row without what is no effect of its own; a file as it is."""
    try:
        row = msgspec.json.decode(content)
    except msgspec.MsgspecError:
        return content
    return str({name: value for name, value in row.items() if name not in VOLATILE} if isinstance(row, dict) else row)

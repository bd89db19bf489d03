"""The tasks that build, delete, stop and start instances, on simulated hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, errors
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.flows.tasks.instances import BuildInstance, BuiltInstance, DeleteInstance, StartInstance, StopInstance
from slipway.flows.tasks.waiting import WaitFor
from slipway.model.machine import PowerState
from slipway.model.record import Instance
from slipway.runfile import loads
from slipway.states import instances
from slipway.testing.contracts.task import IrreversibleContract, TaskContract
from tests.tasks.conftest import RUN, Do

FILE = """
schema: 1
project: demo
hosts:
  node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {kernel: /vmlinux}}
instances: {web-1: {flavor: small, image: tiny, networks: [net]}}
"""

DB = {
    "name": "db-1",
    "flavor": {"vcpus": 1, "memory": "512MiB", "disk": "2GiB"},
    "image": {"kernel": "/vmlinux"},
    "networks": ["net"],
}


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    """With the instance web-1, which runs."""
    file = loads(FILE, "instances.yaml")
    with Orchestrator(tmp_path / "state", settings=replace(file.settings, poll_interval=0.05)) as slipway:
        slipway.run(file)
        yield slipway


@pytest.fixture
def tools(slipway: Orchestrator) -> Tools:
    return slipway._tools


def there(slipway: Orchestrator) -> Mapping[str, str]:
    """What each instance is, by the record and by its hypervisor, which agree with each other."""
    assert slipway.audit() == ()
    return {instance.name: f"{instance.vm_state} {power(slipway, instance)}" for instance in slipway.list()}


def power(slipway: Orchestrator, instance: Instance) -> PowerState:
    (usage,) = slipway.hosts()
    return slipway._drivers.on(usage.host).compute.power_state(instance.id)


class OfInstances:
    @pytest.fixture
    def tools(self, tools: Tools) -> Tools:
        return tools

    @pytest.fixture
    def holdings(self, slipway: Orchestrator) -> Callable[[], Mapping[str, str]]:
        return lambda: there(slipway)


class TestBuildInstance(OfInstances, TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return BuildInstance()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return DB


class TestStop(OfInstances, TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return StopInstance()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"instance": "web-1"}


class TestStart(OfInstances, TaskContract):
    @pytest.fixture
    def task(self) -> Task:
        return StartInstance()

    @pytest.fixture
    def arguments(self, slipway: Orchestrator) -> Mapping[str, Any]:
        slipway.stop("web-1")
        return {"instance": "web-1"}


class TestDelete(OfInstances, IrreversibleContract):
    @pytest.fixture
    def task(self) -> Task:
        return DeleteInstance()

    @pytest.fixture
    def arguments(self) -> Mapping[str, Any]:
        return {"instance": "web-1"}


def test_what_was_built_is_the_result(do: Do, slipway: Orchestrator) -> None:
    built = do(
        BuildInstance(), {**DB, "metadata": {"path": "relative/one"}, "disks": [1 << 30], "wait_for": {"ping": 9}}
    )
    instance = slipway.show("db-1").instance
    assert built == BuiltInstance(instance.id, "db-1", "node-1", ("10.0.0.3",))
    request = instance.request
    assert (request.project, request.flavor.name, request.disks) == ("demo", "flavor", (1 << 30,))
    assert request.idempotency_key == f"{RUN.id}/build-instance/0"
    assert request.wait_for[0].within == 9


def test_sizes_may_be_bytes_and_records_have_names(do: Do, slipway: Orchestrator) -> None:
    flavor = {"name": "big", "vcpus": 2, "memory": 1 << 30, "disk": 0}
    do(BuildInstance(), {**DB, "flavor": flavor, "image": {"name": "linux", "kernel": "/vmlinux", "min_memory": 5}})
    request = slipway.show("db-1").instance.request
    assert (request.flavor.name, request.flavor.memory, request.flavor.disk) == ("big", 1 << 30, 0)
    assert (request.image.name, request.image.min_memory) == ("linux", 5)


@pytest.mark.parametrize(
    ("wrong", "texts"),
    [
        ({"flavor": {"vcpus": 0, "memory": "512MiB"}}, ["vcpus must be at least 1, not 0", "flavor needs disk"]),
        ({"flavor": {"vcpu": 1, "memory": 5, "disk": 0}}, ['unknown key "vcpu", did you mean "vcpus"?']),
        ({"image": {"kernel": "./vmlinux"}}, ['kernel must be an absolute path, not "./vmlinux"']),
        ({"image": {}}, ['"image" needs path or kernel']),
        ({"name": "no name"}, ['"no name" is not a name']),
        ({"networks": [{"fixed_ip": "10.0.0.900"}]}, ["fixed_ip must be an IP address"]),
        ({"user_data": {"file": "x"}}, ['file must be an absolute path, not "x"']),
        ({"disks": [{"volume": "x", "format": "raw"}]}, ['volume must be an absolute path, not "x"']),
        ({"ssh_keys": ["hello"]}, ["no public key"]),
        ({"group": {"name": "a", "policy": "together"}}, ["policy must be one of"]),
        ({"group": {"policy": "affinity"}}, ["group needs name"]),
    ],
)
def test_what_is_no_instance_is_refused_before_anything_is_done(
    do: Do, slipway: Orchestrator, wrong: dict[str, Any], texts: list[str]
) -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        do(BuildInstance(), {**DB, **wrong})
    for text in texts:
        assert text in str(caught.value)
    assert ":1:1" not in str(caught.value)
    assert [instance.name for instance in slipway.list()] == ["web-1"]


def test_a_name_that_another_one_has_is_refused_and_the_other_one_stays(do: Do, slipway: Orchestrator) -> None:
    with pytest.raises(errors.InstanceExists):
        do(BuildInstance(), {**DB, "name": "web-1"})
    assert there(slipway) == {"web-1": "ACTIVE running"}


def test_a_build_that_fails_is_a_failure_with_its_cause_and_one_that_is_tried_again_is_a_new_one(
    do: Do, slipway: Orchestrator
) -> None:
    flavor = {"vcpus": 1, "memory": "512GiB", "disk": 0}
    with pytest.raises(errors.InstanceFailed, match=r"^building instance db-1 failed: NoValidHost: "):
        do(BuildInstance(), {**DB, "flavor": flavor})
    assert slipway.show("db-1").instance.vm_state == "ERROR"
    do(BuildInstance(), DB)
    assert there(slipway)["db-1"] == "ACTIVE running"


class Stopped(BaseException):
    """As what passes through all tasks when a worker is to stop."""


def test_what_ends_the_run_ends_the_build_and_undoing_it_leaves_nothing(
    do: Do, slipway: Orchestrator, tools: Tools
) -> None:
    checks: list[int] = []

    def check() -> None:
        checks.append(1)
        if len(checks) > 6:
            raise Stopped

    with pytest.raises(Stopped):
        do(BuildInstance(), DB, check=check)
    half = slipway.show("db-1").instance
    assert half.vm_state == "BUILDING"
    began = tools.monotonic()
    verbs = tools.instances
    assert verbs is not None
    verbs.take_back(project="demo", key=f"{RUN.id}/build-instance/0", timeout=30)
    assert tools.monotonic() - began < 20, "nobody waits for the lease of a worker that has stopped here"
    assert there(slipway) == {"web-1": "ACTIVE running"}


def test_half_a_build_is_gone_on_with(do: Do, slipway: Orchestrator) -> None:
    checks: list[int] = []

    def check() -> None:
        checks.append(1)
        if len(checks) > 6:
            raise Stopped

    with pytest.raises(Stopped):
        do(BuildInstance(), DB, check=check)
    half = slipway.show("db-1").instance
    assert do(BuildInstance(), DB).id == half.id


def test_another_projects_instances_are_none(do: Do, slipway: Orchestrator) -> None:
    other = replace(RUN, project="other")
    for task in (StopInstance(), StartInstance(), DeleteInstance()):
        with pytest.raises(errors.InstanceNotFound, match="no instance web-1 in project other"):
            do(task, {"instance": "web-1"}, run=other)
    assert there(slipway) == {"web-1": "ACTIVE running"}


def test_what_was_stopped_before_is_not_started_by_the_undo(do: Do, slipway: Orchestrator, tools: Tools) -> None:
    slipway.stop("web-1")
    seen: list[Work] = []
    result = do(Kept(StopInstance(), seen), {"instance": "web-1"})
    assert result.changed is False
    for known in (result, None):
        StopInstance().undo(seen[0], known, "web-1")
        assert there(slipway) == {"web-1": "STOPPED shutdown"}


class Kept(StopInstance):
    """The task, keeping what it is given."""

    def __init__(self, task: StopInstance, seen: list[Work]) -> None:
        self._seen = seen

    def do(self, work: Work, instance: str, force: bool = False, patience: str | float | None = None) -> Any:
        self._seen.append(work)
        return super().do(work, instance, force, patience)


def test_the_undo_of_what_is_gone_does_nothing(do: Do, slipway: Orchestrator) -> None:
    seen: list[Work] = []
    result = do(Kept(StopInstance(), seen), {"instance": "web-1"})
    slipway.delete("web-1")
    for known in (result, None):
        StopInstance().undo(seen[0], known, "web-1")
    assert there(slipway) == {}


def test_one_that_was_made_since_by_that_name_is_another_one(do: Do, slipway: Orchestrator, tools: Tools) -> None:
    """A step that is done again after a crash does not delete what was built meanwhile."""
    begun = tools.clock()
    first = do(DeleteInstance(), {"instance": "web-1"})
    slipway.run(loads(FILE, "instances.yaml"))
    seen: list[Work] = []

    class Again(DeleteInstance):
        def do(self, work: Work, instance: str) -> str:
            seen.append(work)
            earlier = replace(work, effect=replace(work.effect, started_at=begun + timedelta(microseconds=1)))
            return super().do(earlier, instance)

    assert do(Again(), {"instance": "web-1"}) == first
    assert there(slipway) == {"web-1": "ACTIVE running"}


def test_a_lease_that_does_not_come(do: Do) -> None:
    """No DHCP server is on a simulated host."""
    with pytest.raises(errors.StepTimeout, match=r"^wait-for lease web-1: not seen in time$"):
        do(WaitFor(), {"lease": "web-1", "interval": "50ms"}, seconds=0.2)
    with pytest.raises(errors.InstanceNotFound):
        do(WaitFor(), {"lease": "web-2"})


def test_what_never_was_cannot_be_deleted(do: Do) -> None:
    with pytest.raises(errors.InstanceNotFound, match="no instance web-2 in project demo"):
        do(DeleteInstance(), {"instance": "web-2"})


def test_a_stop_that_fails_is_a_failure(do: Do, slipway: Orchestrator, tmp_path: Path) -> None:
    (usage,) = slipway.hosts()
    slipway.add_host(replace(usage.host, simulate=replace(usage.host.simulate, fail=("stop",))))
    with (
        Orchestrator(tmp_path / "state") as anew,
        pytest.raises(errors.InstanceFailed, match="is ACTIVE and not STOPPED"),
    ):
        do(StopInstance(), {"instance": "web-1", "force": True}, tools=anew._tools)


def test_what_was_made_while_the_clock_was_set_back_is_found_and_known_to_be_the_last(
    do: Do, slipway: Orchestrator, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the order of the events: a time of day decides nothing."""
    old = slipway.delete("web-1", project="demo")
    back = replace(tools, clock=lambda: tools.clock() - timedelta(hours=1))
    for owner in (slipway, slipway._builder, slipway._builder._conductor):
        monkeypatch.setattr(owner, "_tools" if hasattr(owner, "_tools") else "tools", back)
    slipway.run(loads(FILE, "instances.yaml"))
    (new,) = slipway.list()
    assert new.created_at < old.created_at
    with tools.store.read() as tx:
        found = instances.find_of_then(tx, "web-1", "demo", None)
    assert found is not None
    assert found.id == new.id

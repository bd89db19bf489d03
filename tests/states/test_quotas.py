"""How many instances a project may have: the last place is one's, whoever asks at the same time, and is free once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from slipway import Flavor, GiB, Host, Image, Instance, InstanceRequest, InstanceUse, MiB, Orchestrator, errors, loads
from slipway.states.schema import instance_quotas, instances
from slipway.states.store import Store

REQUEST = InstanceRequest(
    name="web",
    flavor=Flavor("small", 2, 512 * MiB, 2 * GiB),
    image=Image("tiny", kernel="/vmlinux"),
    networks=(),
    disks=(GiB,),
)
ONE = InstanceUse(1, 2, 512 * MiB, 3 * GiB)


def _named(name: str) -> InstanceRequest:
    return replace(REQUEST, name=name)


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Orchestrator]]:
    """Opens an orchestrator on one database of one of the two kinds."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("database")
    made: list[Orchestrator] = []

    def open_() -> Orchestrator:
        made.append(Orchestrator(tmp_path / "state", db=url))
        return made[-1]

    open_().add_host(Host("node-1", vcpus=64, memory=64 * GiB, disk=640 * GiB))
    yield open_
    for one in made:
        one.close()


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    with Orchestrator(tmp_path / "state") as made:
        made.add_host(Host("node-1", vcpus=64, memory=64 * GiB, disk=640 * GiB))
        yield made


def test_an_instance_counts_from_its_first_row_until_it_is_deleted(opened: Callable[[], Orchestrator]) -> None:
    slipway = opened()
    assert slipway.quotas.show().used == InstanceUse()
    slipway.create(REQUEST)
    assert slipway.quotas.show().used == ONE
    with pytest.raises(errors.InstanceExists):
        slipway.create(REQUEST)
    slipway.stop("web")
    assert slipway.quotas.show().used == ONE
    gone = slipway.delete("web")
    assert slipway.quotas.show().used == InstanceUse()
    with pytest.raises(errors.InstanceNotFound):
        slipway.delete("web")
    assert gone.vm_state == "DELETED"
    assert slipway.quotas.show().used == InstanceUse()
    assert slipway.audit() == ()


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"instances": 1}, "1 more of instances wanted, 1 of 1 used"),
        ({"vcpus": 3}, "2 more of vcpus wanted, 2 of 3 used"),
        ({"memory": GiB - 1}, f"512MiB more of memory wanted, 512MiB of {GiB - 1}B used"),
        ({"disk": 5 * GiB, "instances": 9}, "3GiB more of disk wanted, 3GiB of 5GiB used"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_and_nothing_is_on_record(
    limits: dict[str, int], text: str, opened: Callable[[], Orchestrator]
) -> None:
    slipway = opened()
    slipway.quotas.set(**limits)  # type: ignore[arg-type]
    slipway.create(REQUEST)
    with pytest.raises(errors.QuotaExceeded, match=f"^project default: quota exceeded: {text}; delete instances"):
        slipway.create(_named("more"))
    assert [one.name for one in slipway.list()] == ["web"]
    assert slipway.create(replace(REQUEST, name="theirs", project="other")).vm_state == "ACTIVE"
    slipway.delete("web")
    assert slipway.create(_named("more")).vm_state == "ACTIVE"
    slipway.quotas.clear()
    assert slipway.create(_named("even-more")).vm_state == "ACTIVE"


def test_the_last_places_are_given_once_to_threads(opened: Callable[[], Orchestrator]) -> None:
    slipway = opened()
    slipway.quotas.set(vcpus=7)

    def one(number: int) -> bool:
        try:
            slipway.create(_named(f"web-{number}"))
        except errors.QuotaExceeded:
            return False
        return True

    def gone(instance: Instance) -> None:
        # Of two deletes one may come too late.
        with suppress(errors.InstanceNotFound):
            slipway.delete(instance.id)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(12))) == 3
    assert slipway.quotas.show().used.instances == 3
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(gone, [*slipway.list(), *slipway.list()]))
    assert slipway.quotas.show().used == InstanceUse()
    assert slipway.audit() == ()


_PROCESS = """
import sys
from slipway import Flavor, GiB, Image, InstanceRequest, MiB, Orchestrator, errors
built = 0
with Orchestrator(sys.argv[1]) as slipway:
    for number in range(4):
        try:
            name = f"{sys.argv[2]}-{number}"
            image = Image("tiny", kernel="/k")
            slipway.create(InstanceRequest(name, Flavor("small", 2, 512 * MiB, 2 * GiB), image, networks=()))
            built += 1
        except errors.QuotaExceeded:
            pass
print(built)
"""


def test_the_last_places_are_given_once_to_processes(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.quotas.set(instances=5)
    command = [sys.executable, "-c", _PROCESS, str(tmp_path / "state")]
    processes = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in "abc"
    ]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [error for _, error in ended] == ["", "", ""]
    assert sum(int(output) for output, _ in ended) == 5
    assert slipway.quotas.show().used.instances == 5


def test_what_failed_counts_until_it_is_deleted(slipway: Orchestrator) -> None:
    slipway.quotas.set(instances=1)
    with pytest.raises(Exception, match="building web failed"):
        slipway.create(replace(REQUEST, host="nowhere"))
    with pytest.raises(errors.QuotaExceeded):
        slipway.create(_named("more"))
    slipway.delete("web")
    assert slipway.create(_named("more")).vm_state == "ACTIVE"


def test_a_limit_below_what_there_is_needs_force(slipway: Orchestrator) -> None:
    slipway.create(REQUEST)
    with pytest.raises(errors.InvalidRequest, match="vcpus: 1 is less than the 2 that project default has"):
        slipway.quotas.set(instances=9, vcpus=1)
    assert slipway.quotas.show().instances == -1, "nothing is half done"
    assert slipway.quotas.set(vcpus=1, force=True).vcpus == 1
    with pytest.raises(errors.QuotaExceeded, match="2 more of vcpus wanted, 2 of 1 used"):
        slipway.create(_named("more"))
    for wrong in (-2, True, 2**63, 1.5):
        with pytest.raises(errors.InvalidRequest, match="is no limit"):
            slipway.quotas.set(vcpus=wrong)  # type: ignore[arg-type]


def test_counters_that_are_wrong_are_found_and_mended(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.create(REQUEST)
    store = Store(f"sqlite:///{tmp_path}/state/slipway.db")
    with store.write() as tx:
        tx.execute(instance_quotas.update().values(vcpus_used=9, instances_used=0))
    store.close()
    found = slipway.audit()
    assert [(one.kind, one.name) for one in found] == [("quota", "default/instances"), ("quota", "default/vcpus")]
    assert found[1].detail == "9 of vcpus are counted as the project's, its instances have 2"
    slipway.repair()
    assert slipway.audit() == ()
    assert slipway.quotas.show().used == ONE


def test_a_run_file_builds_what_there_is_room_for(slipway: Orchestrator) -> None:
    slipway.quotas.set("demo", instances=2)
    text = """
schema: 1
hosts: {node-1: {vcpus: 64, memory: 64GiB, disk: 640GiB, compute: sim}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {kernel: ./vmlinux, initrd: ./initrd.gz}}
instances: {web: {flavor: small, image: tiny, networks: [], count: 3}}
project: demo
"""
    ended = slipway.run(loads(text, "/demo.yaml")).ended
    assert [(one.status, one.error) for one in ended] == [("built", ""), ("built", ""), ("refused", "QuotaExceeded")]


def test_sizes_are_on_record(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.create(REQUEST)
    store = Store(f"sqlite:///{tmp_path}/state/slipway.db")
    with store.read() as tx:
        row = tx.execute(sa.select(instances.c.vcpus, instances.c.memory, instances.c.disk)).one()
    store.close()
    assert InstanceUse(1, *row) == ONE

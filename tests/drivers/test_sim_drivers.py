"""What the simulated drivers do beyond the contract: limits, delays, failures, and the files of their world."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.disk.sim import SimDisk
from slipway.errors import ComputeError, DiskError, SlipwayError, WorldTooNew
from slipway.model.machine import DiskRequest, DiskRole, Domain, PowerState, Seed, Vif
from slipway.model.network import DhcpOption
from slipway.model.request import Host, Image, Simulation

MIB = 1 << 20
HOST = Host("node-1", vcpus=8, memory=2048 * MIB, disk=1 << 40)
SEED = DiskRequest("one", 1, DiskRole.SEED, 0, seed=Seed("#cloud-config\npassword: secret-word\n", "{}", "{}"))


def domain_file(state: Path, domain: Domain, host: Host = HOST) -> Path:
    return state / "world" / host.name / "domains" / f"{domain.instance_id}.json"


# --- the files ------------------------------------------------------------------------------------------------------


def test_the_file_of_a_domain(tmp_path: Path, make_domain: Callable[..., Domain], make_vif: Callable[..., Vif]) -> None:
    vif = make_vif(7)
    domain = make_domain(vifs=(vif,))
    SimCompute(HOST, tmp_path).spawn(domain)
    found = json.loads(domain_file(tmp_path, domain).read_text())
    details = found.pop("details")
    assert (details["its name"], details[f"the tap of its NIC {vif.mac_address}"]) == (domain.name, vif.devname)
    assert found == {
        "instance_id": domain.instance_id,
        "name": domain.name,
        "owner": "slipway",
        "state": "running",
        "vcpus": 1,
        "memory": 512 * MIB,
        "generation": 3,
        "macs": [vif.mac_address],
        "taps": [vif.devname],
        "disks": [],
        "gone": False,
        "lacks": [],
        "brought": [],
    }
    assert json.loads((tmp_path / "world" / "version.json").read_text()) == {"version": 1}


def test_the_file_of_a_disk_bears_no_secret(tmp_path: Path) -> None:
    disks = SimDisk(HOST, tmp_path)
    disks.create_disk(DiskRequest("one", 0, DiskRole.ROOT, 5, image=Image("tiny")))
    disks.create_disk(SEED)
    root, seed = (
        json.loads((tmp_path / "world" / "node-1" / "disks" / f"one-{slot}.json").read_text()) for slot in (0, 1)
    )
    assert root == {
        "instance_id": "one",
        "slot": 0,
        "owner": "slipway",
        "role": "root",
        "size": 5,
        "image": "tiny",
        "user_data_sha256": None,
        "volume": None,
    }
    assert seed["user_data_sha256"] == hashlib.sha256(b"#cloud-config\npassword: secret-word\n").hexdigest()
    assert not any(b"secret-word" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_the_world_is_what_its_files_say(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    """A domain that is changed or deleted behind the driver's back is changed or gone at once."""
    first, second = make_domain("web-1", memory=1024 * MIB), make_domain("web-2", memory=2048 * MIB)
    compute = SimCompute(HOST, tmp_path)
    compute.spawn(first)
    path = domain_file(tmp_path, first)
    path.write_text(path.read_text().replace("running", "crashed"))
    assert compute.power_state(first.instance_id) is PowerState.CRASHED
    compute.spawn(first)
    assert compute.power_state(first.instance_id) is PowerState.RUNNING
    path.unlink()
    compute.spawn(second)
    assert [info.name for info in compute.list_domains()] == [second.name]


def test_several_hosts_share_one_world(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    one, two = SimCompute(HOST, tmp_path), SimCompute(replace(HOST, name="../node 2"), tmp_path)
    one.spawn(domain)
    two.spawn(domain)
    one.destroy(domain.instance_id)
    assert list(one.list_domains()) == []
    assert len(two.list_domains()) == 1
    assert {path.name for path in (tmp_path / "world").iterdir() if path.is_dir()} == {"node-1", "%2E.%2Fnode%202"}


@pytest.mark.parametrize("call", ["list", "spawn"])
def test_a_newer_world_is_refused(tmp_path: Path, make_domain: Callable[..., Domain], call: str) -> None:
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "version.json").write_text('{"version": 2, "more": {"of": "it"}}')
    compute = SimCompute(HOST, tmp_path)
    with pytest.raises(WorldTooNew, match=r"newer Slipway \(world 2, this one knows 1\); upgrade Slipway"):
        compute.list_domains() if call == "list" else compute.spawn(make_domain())
    assert not (tmp_path / "world" / "node-1").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"instance_id": "x"}', "\0"])
def test_a_damaged_file_is_an_error_and_never_absent(
    tmp_path: Path, make_domain: Callable[..., Domain], content: str
) -> None:
    domain = make_domain()
    compute = SimCompute(HOST, tmp_path)
    compute.spawn(domain)
    domain_file(tmp_path, domain).write_text(content)
    for call in (
        compute.list_domains,
        lambda: compute.spawn(domain),
        lambda: SimCompute(HOST, tmp_path).spawn(make_domain("web-2")),
        lambda: compute.destroy(domain.instance_id),
        lambda: compute.power_state(domain.instance_id),
    ):
        with pytest.raises(ComputeError, match="is damaged"):
            call()


def test_a_world_that_cannot_be_used_is_an_error_and_never_empty(
    tmp_path: Path, make_domain: Callable[..., Domain]
) -> None:
    (tmp_path / "world").write_text("a file where a directory should be")
    (tmp_path / "instances").write_text("likewise")
    compute, disks = SimCompute(HOST, tmp_path), SimDisk(HOST, tmp_path)
    calls: list[tuple[Callable[[], object], type[SlipwayError]]] = [
        (compute.list_domains, ComputeError),
        (lambda: compute.power_state("one"), ComputeError),
        (lambda: compute.spawn(make_domain()), ComputeError),
        (compute.list_definitions, ComputeError),
        (lambda: compute.write_definition("one", "<domain/>"), ComputeError),
        (lambda: compute.delete_definition("one"), ComputeError),
        (disks.list_disks, DiskError),
        (lambda: disks.create_disk(SEED), DiskError),
        (lambda: disks.delete_disk("one", 1), DiskError),
    ]
    for call, error in calls:
        with pytest.raises(error, match=r"node-1: .* cannot be used") as caught:
            call()
        assert type(caught.value) is error


# --- what a host can be told ----------------------------------------------------------------------------------------


def test_a_full_host_refuses(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    first, second, third = (make_domain(f"web-{number}", memory=1024 * MIB) for number in range(3))
    compute = SimCompute(HOST, tmp_path)
    compute.spawn(first)
    compute.spawn(second)
    with pytest.raises(ComputeError, match="node-1: no memory for domain 'web-2-"):
        compute.spawn(third)
    compute.destroy(first.instance_id)
    compute.spawn(third)


def test_a_ratio_gives_memory_out_more_than_once(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    compute = SimCompute(replace(HOST, memory_ratio=1.5), tmp_path)
    for number in range(3):
        compute.spawn(make_domain(f"web-{number}", memory=1024 * MIB))
    with pytest.raises(ComputeError, match="no memory"):
        compute.spawn(make_domain("web-3", memory=1024 * MIB))


def test_another_processes_domains_count(tmp_path: Path, make_domain: Callable[..., Domain]) -> None:
    """Each driver has seen a part of the world; none overlooks the rest."""
    one, two = SimCompute(HOST, tmp_path), SimCompute(HOST, tmp_path)
    domains = [make_domain(f"web-{number}", memory=512 * MIB) for number in range(5)]
    for number, domain in enumerate(domains[:4]):
        (one, two)[number % 2].spawn(domain)
    for driver in (one, two):
        with pytest.raises(ComputeError, match="no memory"):
            driver.spawn(domains[4])


CALLS: dict[str, Callable[[SimCompute, SimDisk, Domain], object]] = {
    "spawn": lambda compute, disks, domain: compute.spawn(domain),
    "destroy": lambda compute, disks, domain: compute.destroy(domain.instance_id),
    "power_state": lambda compute, disks, domain: compute.power_state(domain.instance_id),
    "list_domains": lambda compute, disks, domain: compute.list_domains(),
    "platform_for_instance": lambda compute, disks, domain: compute.platform_for_instance(domain.instance_id),
    "write_definition": lambda compute, disks, domain: compute.write_definition(domain.instance_id, domain.xml),
    "read_definition": lambda compute, disks, domain: compute.read_definition(domain.instance_id),
    "delete_definition": lambda compute, disks, domain: compute.delete_definition(domain.instance_id),
    "list_definitions": lambda compute, disks, domain: compute.list_definitions(),
    "macs_for_instance": lambda compute, disks, domain: compute.macs_for_instance(domain.instance_id),
    "dhcp_options_for_instance": lambda compute, disks, domain: compute.dhcp_options_for_instance(domain.instance_id),
    "create_disk": lambda compute, disks, domain: disks.create_disk(SEED),
    "delete_disk": lambda compute, disks, domain: disks.delete_disk("one", 1),
    "list_disks": lambda compute, disks, domain: disks.list_disks(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_fails_when_it_was_told_to(tmp_path: Path, make_domain: Callable[..., Domain], call: str) -> None:
    host = replace(HOST, simulate=Simulation(fail=(call,)))
    error, what = (DiskError, "disk store") if "disk" in call else (ComputeError, "hypervisor")
    with pytest.raises(error, match=f"^node-1: the simulated {what} was told to fail in {call}$"):
        CALLS[call](SimCompute(host, tmp_path), SimDisk(host, tmp_path), make_domain())
    assert not (tmp_path / "world").exists()
    assert not (tmp_path / "instances").exists()


@pytest.mark.parametrize("call", CALLS)
def test_each_call_takes_as_long_as_it_was_told_to(
    tmp_path: Path, make_domain: Callable[..., Domain], call: str
) -> None:
    domain = make_domain()
    SimCompute(HOST, tmp_path).spawn(domain)
    host, slept = replace(HOST, simulate=Simulation(delay=0.25)), list[float]()
    CALLS[call](SimCompute(host, tmp_path, sleep=slept.append), SimDisk(host, tmp_path, sleep=slept.append), domain)
    assert slept == [0.25]


def test_a_host_may_dictate_macs_and_dhcp_options(tmp_path: Path) -> None:
    """N1."""
    simulate = Simulation(macs=("fa:16:3e:00:00:01", "fa:16:3e:00:00:02"), dhcp_options=(("bootfile-name", "pxe.0"),))
    compute = SimCompute(replace(HOST, simulate=simulate), tmp_path)
    assert compute.macs_for_instance("one") == frozenset(simulate.macs or ())
    assert compute.dhcp_options_for_instance("one") == (DhcpOption("bootfile-name", "pxe.0"),)


def test_no_macs_at_all_is_not_the_same_as_any(tmp_path: Path) -> None:
    compute = SimCompute(replace(HOST, simulate=Simulation(macs=())), tmp_path)
    assert compute.macs_for_instance(str(uuid.uuid4())) == frozenset()

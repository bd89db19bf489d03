"""The checklist's rows L1, L2, L4 and L5: disks, the domain and its XML, the wait until it runs, a failing spawn."""

from __future__ import annotations

import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from slipway import errors
from slipway.model.machine import Disk
from slipway.model.record import Event, Instance
from slipway.model.request import Flavor, InjectedFile
from slipway.orchestrator import Orchestrator
from slipway.states import codec
from slipway.testing import Fault, Mode

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

GIB = 1 << 30
SECRET = "#cloud-config\npassword: hunter2\n"


@pytest.fixture
def world(make_world: Maker) -> World:
    return make_world(hosts=3)


def the_file(world: World, pattern: str) -> Path:
    (found,) = world.state.glob(pattern)
    return found


def domain(world: World) -> Any:
    """The simulated hypervisor's domain."""
    return json.loads(the_file(world, "world/*/domains/*.json").read_text())


def definition(world: World) -> Any:
    return etree.fromstring(the_file(world, "instances/*/*.xml").read_bytes())


def disks(orchestrator: Orchestrator, instance: Instance) -> list[Disk]:
    effects = orchestrator.show(instance.id).effects
    return [
        codec.decode(effect.result, Disk) for effect in effects if effect.kind in ("disk", "seed") and effect.result
    ]


# --- L1: disks ----------------------------------------------------------------------------------------------------


def test_l1_root_then_data_then_the_seed(world: World) -> None:
    request = world.request("web-1", disks=(3 * GIB, 4 * GIB), user_data=SECRET)
    with world.open() as orchestrator:
        made = disks(orchestrator, orchestrator.create(request))
    assert [(disk.slot, disk.role.value, disk.size, disk.format) for disk in made] == [
        (0, "root", 2 * GIB, "qcow2"),
        (1, "data", 3 * GIB, "qcow2"),
        (2, "data", 4 * GIB, "qcow2"),
        (3, "seed", 0, "raw"),
    ]
    lying = [json.loads(Path(disk.path).read_text()) for disk in made]
    assert [disk["image"] for disk in lying] == ["tiny", None, None, None]
    assert lying[3]["user_data_sha256"] == hashlib.sha256(SECRET.encode()).hexdigest()
    assert definition(world).xpath("devices/disk/source/@file") == [disk.path for disk in made]
    assert definition(world).xpath("devices/disk/target/@dev") == [disk.device for disk in made]


def test_l1_a_flavor_without_a_disk_boots_without_one(world: World) -> None:
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request(flavor=Flavor("diskless", 1, GIB, 0)))
        assert disks(orchestrator, instance) == []
    assert instance.vm_state == "ACTIVE"


def test_l1_a_disk_of_no_size_is_refused(world: World) -> None:
    with world.open() as orchestrator:
        with pytest.raises(errors.InvalidRequest, match=r"disks\[0\]: must be at least 1, not 0"):
            orchestrator.create(world.request(disks=(0,)))
        assert orchestrator.list() == []


# --- L2: the domain and its XML -----------------------------------------------------------------------------------


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
def test_l2_the_xml_on_disk_is_the_domains_and_has_its_ports_and_taps(remote: bool, make_world: Maker) -> None:
    world = make_world(hosts=1, remote=remote)
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", "net", "net"))
        ports = sorted(world.ports(instance), key=lambda port: instance.addresses.index(port.fixed_ips[0].ip_address))
    xml, runs = definition(world), domain(world)
    assert xml.findtext("uuid") == runs["instance_id"] == instance.id
    assert xml.findtext("name") == runs["name"]
    assert xml.xpath("devices/interface/mac/@address") == runs["macs"] == [port.mac_address for port in ports]
    taps = [f"tap{port.id}"[:14] for port in ports]
    assert xml.xpath("devices/interface/target/@dev") == runs["taps"] == taps
    assert xml.xpath("devices/interface/source/@bridge") == [f"brq{port.network_id}"[:14] for port in ports]
    assert (runs["vcpus"], runs["memory"], runs["state"]) == (1, GIB, "running")
    if remote:
        assert sorted(file.name for file in (world.state / "world" / "h1" / "taps").glob("*.json")) == sorted(
            f"{tap}.json" for tap in taps
        )


def test_l2_the_xml_is_for_its_owner_only(world: World) -> None:
    with world.open() as orchestrator:
        orchestrator.create(world.request())
    assert the_file(world, "instances/*/*.xml").stat().st_mode & 0o777 == 0o600


# --- L4: the wait until it runs -----------------------------------------------------------------------------------


class Guest:
    """A guest that is slow to run: it is in `state` until it was looked at `looks` times. Time is what was slept."""

    def __init__(self, world: World, state: str, looks: int) -> None:
        self.world, self.state, self.looks = world, state, looks
        self.slept: list[float] = []

    def clock(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=sum(self.slept))

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self.looks:
            self.become("running")

    def listen(self, event: Event) -> None:
        if (event.type, event.step, event.attempt) == ("step.start", "wait", 1):
            self.become(self.state)

    def become(self, state: str) -> None:
        file = the_file(self.world, "world/*/domains/*.json")
        file.write_text(json.dumps(json.loads(file.read_text()) | {"state": state}))


def test_l4_the_state_is_looked_at_every_half_second(world: World) -> None:
    guest = Guest(world, "paused", looks=3)
    faults = world.faults()
    with world.open(faults, clock=guest.clock, monotonic=guest.monotonic, sleep=guest.sleep) as orchestrator:
        instance = orchestrator.create(world.request(), on_event=guest.listen)
    assert (instance.vm_state, instance.attempt) == ("ACTIVE", 1)
    assert guest.slept == [0.5, 0.5, 0.5]
    assert [name for name, _ in faults.calls].count("power_state") == 4


def test_l4_a_guest_that_does_not_run_in_time_is_tried_on_the_next_host(make_world: Maker) -> None:
    world = make_world(hosts=2, step_timeout=10.0)
    guest = Guest(world, "paused", looks=1000)
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        guest.listen(event)

    with world.open(clock=guest.clock, monotonic=guest.monotonic, sleep=guest.sleep) as orchestrator:
        instance = orchestrator.create(world.request(), on_event=listen)
        assert orchestrator.audit() == ()
    assert (instance.vm_state, instance.host) == ("ACTIVE", "h2")
    assert sum(guest.slept) == 10.0
    (failed,) = [event.message for event in events if event.type == "step.error"]
    assert failed == "StepTimeout: the domain of web-1 is paused and did not run in time"


@pytest.mark.parametrize("state", ["crashed", "shutdown"])
def test_l4_a_guest_that_ended_is_not_waited_for(state: str, world: World) -> None:
    guest = Guest(world, state, looks=1)
    with world.open(clock=guest.clock, monotonic=guest.monotonic, sleep=guest.sleep) as orchestrator:
        instance = orchestrator.create(world.request(), on_event=guest.listen)
    assert (instance.vm_state, instance.host, guest.slept) == ("ACTIVE", "h2", [])


# --- L5: a failing spawn ------------------------------------------------------------------------------------------


def test_l5_a_failing_spawn_is_logged_with_its_cause_and_goes_on_to_the_next_host(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    fault = Fault("spawn", Mode.ERROR, raises=lambda: errors.ComputeError("no KVM here"))
    with caplog.at_level(logging.INFO, "slipway"), world.open(fault) as orchestrator:
        instance = orchestrator.create(world.request())
    (line,) = [one for one in caplog.records if one.exc_info]
    assert line.exc_info is not None
    assert (line.getMessage(), str(line.exc_info[1])) == ("step spawn failed", "no KVM here")
    assert (instance.vm_state, instance.attempt) == ("ACTIVE", 2)


def test_l5_no_secret_is_in_the_log_the_record_or_the_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A10: user data may bear passwords."""
    files = (InjectedFile("/root/password", SECRET),)
    with caplog.at_level(logging.DEBUG), world.open(Fault("spawn", Mode.ERROR, last=9)) as orchestrator:
        failed = world.fail(orchestrator, world.request(user_data=SECRET, files=files))
    assert "hunter2" not in caplog.text
    assert "hunter2" not in str(failed)
    lying = [file for file in world.state.rglob("*") if file.is_file()]
    assert [file for file in lying if b"hunter2" in file.read_bytes()] == []

"""A move to a host that cannot take the instance, which is said before anything is done, and what a move keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator
from slipway.drill.simulated import RemoteNetwork
from slipway.drivers.compute.base import Endpoint
from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.network.embedded.topology.mechanisms import LinuxBridge
from slipway.drivers.network.embedded.topology.segments import Segment
from slipway.errors import MoveRefused, NotFinished, NoValidHost, SlipwayError, UnexpectedState, WiringError
from slipway.model.network import Context, Port
from slipway.model.record import Event
from slipway.model.request import Host, NetworkRequest
from slipway.operations.hosts import HostChanges
from slipway.runfile import loads
from slipway.states.store import Transaction
from slipway.testing import Fault, Mode
from tests import record
from tests.repair.conftest import Site

HOSTS = """
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim, labels: {ssd: "yes"}}
  node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim, labels: {ssd: "yes"}%s}
"""
REST = """
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
server_groups: {apart: {policy: anti-affinity}, together: {policy: affinity}}
instances:
  web-1: {flavor: small, image: tiny, networks: [a], host: node-1%s}
"""


def built(state: Path, *, host: str = "", instance: str = "", more: str = "") -> Orchestrator:
    slipway = Orchestrator(state)
    ended = slipway.run(loads(HOSTS % host + REST % instance + more, "move.yaml")).ended
    assert {one.status.value for one in ended} == {"built"}, ended
    return slipway


def everything(state: Path) -> tuple[list[Any], dict[Path, bytes]]:
    """The record without its lease of workers, and the world."""
    with closing(record.opened(state / "slipway.db")) as db:
        tables = ("instances", "effects", "claims", "ports", "runs", "hosts", "pinned_cpus")
        rows = [db.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
    files = {path: path.read_bytes() for path in (state / "world").rglob("*.json")}
    return rows, files


@pytest.mark.parametrize(
    ("to", "says", "error", "text"),
    [
        ("node-1", {}, MoveRefused, "web-1 is on host node-1 already"),
        ("node-9", {}, SlipwayError, "no host node-9 is on record"),
        ("node-2", {"host": ", enabled: false"}, NoValidHost, "it is disabled"),
        (None, {"host": ", enabled: false"}, NoValidHost, "no host fits web-1: node-2: it is disabled"),
        ("node-2", {"host": ", disks: qcow2"}, NoValidHost, "its disks is qcow2, that of node-1 is sim"),
        ("node-2", {"host": ", wiring: linuxbridge"}, NoValidHost, "its wiring is linuxbridge"),
        ("node-2", {"host": ", zone: far", "instance": ", zone: nova"}, NoValidHost, "it is in zone far, not nova"),
        ("node-2", {"host": ", simulate: {macs: ['fa:16:3e:00:00:01']}"}, MoveRefused, "dictates MAC addresses"),
        (
            "node-2",
            {"instance": ", group: apart", "more": "  db: {flavor: small, image: tiny, host: node-2, group: apart}\n"},
            NoValidHost,
            "another member of group apart (anti-affinity) is on it",
        ),
        (
            None,
            {
                "instance": ", group: together",
                "more": "  db: {flavor: small, image: tiny, host: node-1, group: together}\n",
            },
            NoValidHost,
            "the other members of group together (affinity) are on node-1",
        ),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(
    to: str | None, says: dict[str, str], error: type[SlipwayError], text: str, tmp_path: Path
) -> None:
    with built(tmp_path, **says) as slipway:
        before = everything(tmp_path)
        with pytest.raises(error) as refused:
            slipway.changes.move("web-1", to=to)
        assert text in str(refused.value)
        assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (HostChanges(memory=2**28), "256MiB of 256MiB memory are free, 512MiB needed"),
        (HostChanges(labels={"ssd": None}), "it has no label ssd, which must be yes"),
    ],
)
def test_room_and_labels_count_as_they_are_now(changes: HostChanges, text: str, tmp_path: Path) -> None:
    with built(tmp_path, instance=", requires: {ssd: 'yes'}") as slipway:
        slipway.set_host("node-2", changes)
        before = everything(tmp_path)
        for to in ("node-2", None):
            with pytest.raises(NoValidHost) as refused:
                slipway.changes.move("web-1", to=to)
            assert text in str(refused.value)
        assert everything(tmp_path) == before


def test_a_volume_that_is_gone_keeps_it_where_it_is(make_site: Callable[..., Site]) -> None:
    site = make_site(more=", disks: [1GiB]")
    site.things("disks")[-1].unlink()
    with site.open() as slipway:
        before = everything(site.state)
        with pytest.raises(MoveRefused, match="disk 1: it is gone"):
            slipway.changes.move("web-1")
        assert everything(site.state) == before


def test_a_host_that_does_not_carry_its_network_is_said_before_its_guest_is_stopped(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    with site.open(Fault("check_plug", mode=Mode.ERROR, raises=lambda: WiringError("eth9 is not there"))) as slipway:
        before = everything(site.state)
        with pytest.raises(MoveRefused, match="web-1 cannot go to host node-2: eth9 is not there"):
            slipway.changes.move("web-1")
        assert everything(site.state) == before
    reached = LinuxBridge.bind

    def bind(self: LinuxBridge, tx: Transaction, port: Port, segment: Segment) -> str | None:
        return reached(self, tx, port, segment) if port.binding_host_id == "node-1" else None

    monkeypatch.setattr(LinuxBridge, "bind", bind)
    seen = site.faults()
    with seen.orchestrator(site.state) as slipway:
        failed = slipway.changes.move("web-1")
        assert failed.fault is not None
        assert "cannot be bound to host node-2, which does not carry network a" in failed.fault.message
        assert (failed.host, failed.vm_state, slipway.audit()) == ("node-1", "ACTIVE", ())
        (port,) = slipway.network.list_ports(device_id=failed.id)
        assert port.binding_host_id == "node-1"
    assert "stop" not in {fault.call for fault in seen.possible(Mode.ERROR)}


def test_a_network_that_its_host_does_not_carry_is_said_before_a_port_is_made(make_site: Callable[..., Site]) -> None:
    site = make_site()
    seen = site.faults(Fault("check_plug", mode=Mode.ERROR, raises=lambda: WiringError("eth9 is not there")))
    with seen.orchestrator(site.state) as slipway:
        failed = slipway.changes.attach_interface("web-1", NetworkRequest(network="a"))
        assert failed.fault is not None
        assert (failed.fault.step, failed.fault.message, slipway.audit()) == ("carried", "eth9 is not there", ())
    assert "create_port" not in dict(seen.calls)


def test_a_guest_that_is_paused_must_be_started_or_stopped_first(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.change("domains", state="paused")
    site.sql("UPDATE instances SET vm_state = 'PAUSED'")
    with site.open() as slipway, pytest.raises(UnexpectedState, match="web-1 is PAUSED"):
        slipway.changes.move("web-1")


def test_the_guest_runs_on_where_it_was_when_the_new_host_cannot_start_it(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open(Fault("spawn", mode=Mode.ERROR)) as slipway:
        failed = slipway.changes.move("web-1")
        assert failed.fault is not None
        assert (failed.host, failed.vm_state) == ("node-1", "ACTIVE")
        assert slipway.audit() == ()
    assert json.loads(site.thing("domains").read_text())["state"] == "running"
    assert site.things("domains", "node-2") == []


def test_what_stays_stuck_on_the_old_host_is_told_and_mended(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open(Fault("delete_disk", mode=Mode.ERROR, last=99)) as slipway:
        moved = slipway.changes.move("web-1")
        assert moved.fault is not None
        assert (moved.host, moved.vm_state, moved.fault.type) == ("node-2", "ACTIVE", "UndoFailed")
        assert [one.difference.value for one in slipway.audit() if one.difference.value != "stuck"] == []
    with site.open() as slipway:
        with pytest.raises(MoveRefused, match="slipway repair web-1"):
            slipway.changes.move("web-1")
        slipway.repair()
        assert slipway.audit() == ()
        assert slipway.changes.move("web-1").host == "node-1"


def test_its_addresses_claims_and_port_go_along_and_the_old_host_is_empty(make_site: Callable[..., Site]) -> None:
    site = make_site(more=", disks: [1GiB]")
    with site.open() as slipway:
        before = slipway.list()[0]
        moved = slipway.changes.move("web-1")
        assert (moved.host, moved.addresses, moved.request.host) == ("node-2", before.addresses, "node-2")
        (port,) = slipway.network.list_ports(device_id=moved.id)
        assert port.binding_host_id == "node-2"
        claim = slipway.show("web-1").claim
        assert claim is not None
        assert claim.host == "node-2"
        assert [path for path in (site.state / "world/node-1").rglob("*.json") if "dhcp" not in str(path)] == []
        assert (slipway.stop("web-1", force=True).vm_state, slipway.start("web-1").vm_state) == ("STOPPED", "ACTIVE")
        assert slipway.audit() == ()


def test_who_loses_a_host_goes_to_the_next_one(tmp_path: Path) -> None:
    with built(tmp_path) as slipway:
        slipway.add_host(Host(name="node-3", vcpus=4, memory=2**32, disk=2**36))
        tried: list[str | None] = []

        def meanwhile(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "claim"):
                tried.append(event.host)
                if event.host == "node-2":
                    slipway.disable_hosts("node-2", reason="meanwhile")

        moved = slipway.changes.move("web-1", on_event=meanwhile)
        assert (tried, moved.host, moved.fault, moved.vm_state) == (["node-2", "node-3"], "node-3", None, "ACTIVE")
        assert slipway.audit() == ()


class OneBinding(RemoteNetwork):
    """A network service that has but one binding a port."""

    def binds_twice(self, context: Context) -> bool:
        return False


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("shutdown", "its guest is shutdown"),
        ("paused", "its guest is paused"),
        ("running", "the network service binds a port to one host at a time"),
        ("running", "its hypervisor is simulated, that of real-1 is QEMU"),
    ],
)
def test_a_guest_that_cannot_go_while_it_runs_is_said_before_anything_is_done(
    state: str, text: str, make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site()
    site.change("domains", state=state)
    if "network service" in text:
        monkeypatch.setattr("slipway.drill.simulated.RemoteNetwork", OneBinding)
    if "QEMU" in text:
        monkeypatch.setattr(SimCompute, "endpoint", lambda _self: Endpoint("QEMU", "real-1"))
    with site.open() as slipway:
        before = everything(site.state)
        with pytest.raises(MoveRefused) as refused:
            slipway.changes.move("web-1", live=True)
        assert text in str(refused.value)
        assert "; move it without --live" in str(refused.value)
        assert everything(site.state) == before


def test_what_is_beyond_the_switch_goes_forward_and_what_cannot_is_mended(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open(Fault("activate_binding", mode=Mode.ERROR, last=99)) as slipway:
        moved = slipway.changes.move("web-1", live=True)
        assert moved.fault is not None
        assert (moved.host, moved.vm_state, moved.fault.type) == ("node-2", "ACTIVE", "UndoFailed")
        assert site.things("domains") == []
    with site.open() as slipway:
        (port,) = slipway.network.list_ports(device_id=moved.id)
        assert port.binding_host_id == "node-1"
        slipway.repair()
        (port,) = slipway.network.list_ports(device_id=moved.id)
        assert (port.binding_host_id, slipway.audit()) == ("node-2", ())
    assert site.asked("SELECT * FROM port_bindings") == []


def test_where_nobody_knows_where_the_guest_is_the_run_waits_until_somebody_does(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    lost = (Fault("migrate", mode=Mode.LOST_REPLY), Fault("end_migration", Mode.ERROR, 1, last=99))
    with site.open(*lost) as slipway:
        with pytest.raises(NotFinished):
            slipway.changes.move("web-1", live=True)
        (found,) = slipway.list()
        assert (found.vm_state, found.task_state, found.host) == ("ACTIVE", "CHANGING", "node-1")
    with site.open() as slipway:
        slipway.resume()
        (found,) = slipway.list()
        assert (found.vm_state, found.host, found.fault, slipway.audit()) == ("ACTIVE", "node-2", None, ())


def test_how_far_it_is_is_told(make_site: Callable[..., Site]) -> None:
    site = make_site(more=", disks: [1GiB]")
    told: list[Event] = []
    with site.open() as slipway:
        assert slipway.changes.move("web-1", live=True, on_event=told.append).fault is None
    assert "0 % have gone, 3584 MiB are still to go" in {one.message for one in told if one.type == "step.say"}


def off(site: Site) -> None:
    """The host is off: none of its guests runs. What is on its disks is there again when it is back."""
    site.change("domains", state="shutdown")


def test_what_was_on_a_dead_host_is_built_again_and_removed_there_when_it_is_back(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(more=", disks: [1GiB]")
    with site.open() as slipway:
        before = slipway.list()[0]
        with pytest.raises(MoveRefused, match="host node-1 answers, and the guest of web-1 runs there"):
            slipway.changes.evacuate("web-1")
        off(site)
        there = everything(site.state)[1]
        built_again = slipway.changes.evacuate("web-1")
        assert built_again.fault is None
        assert (built_again.host, built_again.vm_state) == ("node-2", "ACTIVE")
        assert built_again.addresses == before.addresses
        assert {path: content for path, content in everything(site.state)[1].items() if "node-1" in str(path)} == {
            path: content for path, content in there.items() if "node-1" in str(path)
        }
        assert len(site.things("disks", "node-2")) == 2
        assert {one.difference.value for one in slipway.audit()} == {"stuck"}
        slipway.repair()
        assert slipway.audit() == ()
        assert site.things("domains") == site.things("disks") == []
        assert slipway.delete("web-1").vm_state == "DELETED"
        assert slipway.audit() == ()


def test_what_had_user_data_is_not_built_again_without(make_site: Callable[..., Site]) -> None:
    site = make_site(more=", user_data: '#cloud-config'")
    off(site)
    with site.open() as slipway:
        before = everything(site.state)
        with pytest.raises(MoveRefused, match="user data"):
            slipway.changes.evacuate("web-1")
        assert everything(site.state) == before

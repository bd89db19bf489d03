"""Disks that come and go: what keeps its slot, what is refused before anything is done, what is mended after it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slipway import Orchestrator, errors
from slipway.cli.main import main
from slipway.model.machine import Disk
from slipway.model.request import Volume
from slipway.runfile import loads
from slipway.states import codec
from slipway.testing import Fault, Mode
from tests.repair.conftest import Site

GIB = 1 << 30
SEEDED = ', disks: [1GiB, 2GiB], user_data: "#!/bin/true"'


def disks(slipway: Orchestrator, name: str = "web-1") -> dict[str, int]:
    """The sizes of an instance's disks by the guest's names for them, the seed's among them."""
    standing = [e for e in slipway.show(name).effects if e.kind in ("disk", "seed") and e.state == "done"]
    found = [codec.decode(effect.result or b"", Disk) for effect in standing]
    return {disk.device: disk.size for disk in sorted(found, key=lambda disk: disk.slot)}


def files(site: Site) -> dict[str, Any]:
    return {path.name: path.read_text() for path in site.things("disks")}


def room(slipway: Orchestrator) -> tuple[int, int]:
    return sum(usage.disk_used for usage in slipway.hosts()), slipway.quotas.show().used.disk


def test_a_disk_keeps_its_name_whatever_comes_and_goes(make_site: Callable[..., Site]) -> None:
    with make_site(more=SEEDED).open() as slipway:
        assert list(disks(slipway)) == ["vda", "vdb", "vdc", "vdd"]
        slipway.changes.detach_disk("web-1", "vdb")
        assert disks(slipway) == {"vda": 2 * GIB, "vdc": 2 * GIB, "vdd": 0}
        slipway.changes.attach_disk("web-1", 5 * GIB)
        slipway.changes.detach_disk("web-1", "2")
        slipway.changes.attach_disk("web-1", 6 * GIB)
        assert disks(slipway) == {"vda": 2 * GIB, "vdd": 0, "vde": 5 * GIB, "vdf": 6 * GIB}
        (instance,) = slipway.list()
        assert instance.request.disks == (5 * GIB, 6 * GIB)
        assert room(slipway) == (13 * GIB, 13 * GIB)
        assert slipway.audit() == ()


def test_what_could_not_be_deleted_keeps_its_room_until_it_is_gone(make_site: Callable[..., Site]) -> None:
    site = make_site(more=SEEDED)
    with site.open(Fault("delete_disk", Mode.ERROR, last=99)) as slipway:
        failed = slipway.changes.detach_disk("web-1", "vdc")
        assert failed.fault is not None
        assert failed.fault.type == "UndoFailed"
        assert (failed.vm_state, failed.request.disks) == ("ACTIVE", (GIB,))
        assert room(slipway) == (5 * GIB, 5 * GIB)
        assert [one.difference for one in slipway.audit()] == ["stuck"]
    with site.open() as slipway:
        slipway.repair()
        assert slipway.audit() == ()
        assert room(slipway) == (3 * GIB, 3 * GIB)


def test_what_could_not_be_taken_back_keeps_its_room_until_it_is_gone(make_site: Callable[..., Site]) -> None:
    """The disk was made, the domain did not take it, and the disk does not go."""
    site = make_site()
    faults = Fault("redefine", Mode.ERROR), Fault("delete_disk", Mode.ERROR, last=99)
    with site.open(*faults) as slipway:
        failed = slipway.changes.attach_disk("web-1", GIB)
        assert failed.fault is not None
        assert failed.request.disks == ()
        assert room(slipway) == (3 * GIB, 3 * GIB)
        assert {one.difference for one in slipway.audit()} == {"stuck"}
    with site.open() as slipway:
        slipway.repair()
        assert slipway.audit() == ()
        assert room(slipway) == (2 * GIB, 2 * GIB)


def test_it_is_seen_in_the_domain_of_the_guest(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open() as slipway:
        slipway.changes.attach_disk("web-1", GIB)
        assert 'dev="vdb"' in site.definition().read_text()
        assert len(json.loads(site.thing("domains").read_text())["disks"]) == 2
        slipway.changes.detach_disk("web-1", "vdb")
        assert 'dev="vdb"' not in site.definition().read_text()


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        ("vdz", errors.DiskNotFound, "vdb \\(1GiB\\), vdc \\(2GiB\\)"),
        ("vda", errors.DiskNotFound, "its root disk"),
        ("0", errors.DiskNotFound, "its root disk"),
        ("vdd", errors.DiskNotFound, "its seed disk"),
        ("", errors.DiskNotFound, "no disk"),
    ],
)
def test_what_cannot_be_detached(
    make_site: Callable[..., Site], wanted: str, error: type[Exception], says: str
) -> None:
    with make_site(more=SEEDED).open() as slipway:
        before = slipway.list(), len(slipway.show("web-1").history)
        with pytest.raises(error, match=says):
            slipway.changes.detach_disk("web-1", wanted)
        assert (slipway.list(), len(slipway.show("web-1").history)) == before


@pytest.mark.parametrize(
    ("disk", "size", "error", "says"),
    [
        ("vdc", GIB, errors.InvalidRequest, "vdc of instance web-1 has 2GiB, more than 1GiB: a disk never shrinks"),
        ("vdc", 0, errors.InvalidRequest, "size"),
        ("vda", 4 * GIB, errors.DiskNotFound, "its root disk"),
        ("vdz", 4 * GIB, errors.DiskNotFound, "vdb \\(1GiB\\)"),
        ("/data.raw", 4 * GIB, errors.InvalidRequest, "is volume /data.raw"),
    ],
)
def test_what_cannot_grow(
    make_site: Callable[..., Site], disk: str, size: int, error: type[Exception], says: str
) -> None:
    with make_site(more=SEEDED.replace("2GiB]", "2GiB, {volume: /data.raw, format: raw}]")).open() as slipway:
        before = slipway.list(), len(slipway.show("web-1").history)
        with pytest.raises(error, match=says):
            slipway.changes.grow_disk("web-1", disk, size)
        assert slipway.changes.grow_disk("web-1", "vdc", 2 * GIB) == before[0][0]
        assert (slipway.list(), len(slipway.show("web-1").history)) == before


@pytest.mark.parametrize(
    ("disk", "says"), [(0, "0"), (-1, "-1"), (True, "[Tt]rue"), (1 << 62, "larger|at most"), ("10GiB", "10GiB")]
)
def test_sizes_that_are_none(make_site: Callable[..., Site], disk: Any, says: str) -> None:
    with make_site().open() as slipway:
        before = slipway.list(), len(slipway.show("web-1").history)
        with pytest.raises(errors.InvalidRequest, match=says):
            slipway.changes.attach_disk("web-1", disk)
        assert (slipway.list(), len(slipway.show("web-1").history)) == before


def test_the_26th_is_refused(make_site: Callable[..., Site]) -> None:
    with make_site(more=f", disks: [{', '.join(['1MiB'] * 25)}]").open() as slipway:
        with pytest.raises(errors.InvalidRequest, match="25"):
            slipway.changes.attach_disk("web-1", GIB)
        slipway.changes.detach_disk("web-1", "vdb")
        assert slipway.changes.attach_disk("web-1", GIB).fault is None
        assert "vdaa" in disks(slipway)
        assert slipway.audit() == ()


def test_a_full_host_and_a_full_quota_are_said_and_nothing_is_taken(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open() as slipway:
        before, there = room(slipway), files(site)
        full = slipway.changes.attach_disk("web-1", 99 * GIB)
        assert full.fault is not None
        assert full.fault.type == "ComputeResourcesUnavailable"
        assert "node-1 has not enough left" in full.fault.message
        slipway.quotas.set(disk=3 * GIB)
        over = slipway.changes.attach_disk("web-1", 2 * GIB)
        assert over.fault is not None
        assert over.fault.type == "QuotaExceeded"
        assert (room(slipway), files(site), slipway.audit()) == (before, there, ())
        assert slipway.changes.attach_disk("web-1", GIB).fault is None
        assert room(slipway) == (3 * GIB, 3 * GIB)


QCOW2 = """
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim, disks: qcow2}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{plain: {{kernel: {kernel}}}}}
instances:
  web-1: {{flavor: small, image: plain, networks: []}}
  web-2: {{flavor: small, image: plain, networks: []}}
"""


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The state directory of two instances whose disks are files of QEMU's."""
    state = tmp_path / "state"
    with Orchestrator(state) as slipway:
        ended = slipway.run(loads(QCOW2.format(kernel=tmp_path / "vmlinuz"), "two.yaml")).ended
        assert [one.status for one in ended] == ["built", "built"]
    return state


def image(path: Path) -> Volume:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return Volume(str(path), "qcow2")


def test_lost_disks_are_made_again_as_what_they_were(two: Path, tmp_path: Path) -> None:
    def there() -> dict[str, int]:
        return {path.name: path.stat().st_size for path in (two / "disks").rglob("*-[0-9]*") if "lock" not in path.name}

    with Orchestrator(two) as slipway:
        first = slipway.changes.attach_disk("web-1", 3 * GIB)
        slipway.changes.attach_disk("web-1", 5 * GIB)
        slipway.changes.detach_disk("web-1", "vdc")
        slipway.changes.attach_disk("web-1", image(tmp_path / "data"))
        slipway.stop("web-1", force=True)
        before, files_before = disks(slipway), there()
        assert list(before) == ["vda", "vdb", "vdd", "vde"]
        lost = list((two / "disks").rglob(f"{first.id}-*"))
        for path in lost:
            path.unlink()
        assert sorted(one.role for one in slipway.audit()) == ["data", "root", "seed", "volume"]
        planned = {mend.finding.role: (mend.action, mend.loses) for mend in slipway.plan_repair()}
        assert planned["seed"] == ("make the seed again", False)
        assert planned["root"] == planned["data"] == ("make it anew: what the guest had written on it is lost", True)
        assert planned["volume"] == ("take the volume again", False)
        slipway.repair()
        assert slipway.audit() == ()
        assert (disks(slipway), there()) == (before, files_before)
        slipway.delete("web-1")
        assert slipway.audit() == ()


def test_volumes_are_refused_before_anything_is_done(two: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no image at all" * 99)
    taken = image(tmp_path / "taken")
    (tmp_path / "link").symlink_to(tmp_path / "taken")
    with Orchestrator(two) as slipway:
        first = slipway.changes.attach_disk("web-1", taken)
        assert first.fault is None
        inside = next((two / "disks").rglob("*.qcow2"))
        before = slipway.list(), len(slipway.show("web-2").history)
        for path, error, says in (
            (tmp_path / "taken", errors.VolumeInUse, first.id),
            (tmp_path / "link", errors.VolumeInUse, "detach-disk"),
            (tmp_path / "text", errors.ImageUnacceptable, "text"),
            (tmp_path / "none", errors.ImageUnacceptable, "none"),
            (tmp_path, errors.ImageUnacceptable, "not a file"),
            (inside, errors.ImageUnacceptable, "in the state directory"),
        ):
            with pytest.raises(error, match=says):
                slipway.changes.attach_disk("web-2", Volume(str(path), "qcow2"))
        assert (slipway.list(), len(slipway.show("web-2").history)) == before
        assert slipway.audit() == ()


def test_a_volume_goes_from_one_to_the_other_as_it_is(two: Path, tmp_path: Path) -> None:
    volume = image(tmp_path / "data")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    content = (tmp_path / "data").read_bytes()
    with Orchestrator(two) as slipway:
        slipway.changes.attach_disk("web-1", volume)
        assert room(slipway) == (2 * GIB, 2 * GIB)
        slipway.changes.detach_disk("web-1", str(tmp_path / "link"))
        moved = slipway.changes.attach_disk("web-2", volume)
        assert (moved.fault, moved.request.disks) == (None, (volume,))
        slipway.delete("web-2")
        assert slipway.audit() == ()
    assert (tmp_path / "data").read_bytes() == content


def test_the_commands(two: Path, tmp_path: Path) -> None:
    def slipway(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, [*words, "--state", str(two)])
        return done.exit_code, done.output

    volume = image(tmp_path / "data")
    assert slipway("attach-disk", "web-1", "--size", "2GiB")[0] == 0
    assert slipway("attach-disk", "web-1", "--volume", volume.path, "--format", "qcow2")[0] == 0
    assert "vdd" in slipway("show", "web-1")[1]
    code, said = slipway("attach-disk", "web-2", "--volume", volume.path, "--format", "qcow2")
    assert (code, "is in use by instance" in said) == (1, True)
    assert slipway("grow-disk", "web-1", "--disk", "vdc", "--size", "3GiB")[0] == 0
    assert slipway("grow-disk", "web-1", "--disk", "vdc", "--size", "2GiB")[0] == 2
    assert slipway("detach-disk", "web-1", "--disk", "vdb")[0] == 1, "the seed"
    assert slipway("detach-disk", "web-1", "--disk", "vdc")[0] == 0
    assert slipway("detach-disk", "web-1", "--disk", volume.path)[0] == 0
    assert slipway("attach-disk", "web-1", "--size", "99GiB")[0] == 3
    assert slipway("detach-disk", "web-1", "--disk", "vda")[0] == 1
    for wrong in (
        (),
        ("--size", "10"),
        ("--size", "1GiB", "--volume", volume.path, "--format", "raw"),
        ("--volume", volume.path),
        ("--size", "1GiB", "--format", "raw"),
    ):
        assert slipway("attach-disk", "web-1", *wrong)[0] == 2
    assert slipway("audit")[0] == 0

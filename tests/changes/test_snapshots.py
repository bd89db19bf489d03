"""What is said of snapshots, what is refused of them before anything is done, and what an audit finds of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import InvalidRequest, MoveRefused, SnapshotExists, SnapshotNotFound, SnapshotRefused
from slipway.model.machine import PowerState
from slipway.testing import Fault, Mode
from slipway.testing.faults import Clock
from tests.changes.verbs import _read, _write
from tests.repair.conftest import Site


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def slipway(site: Site) -> Iterator[Orchestrator]:
    with site.open() as orchestrator:
        yield orchestrator


def test_a_snapshot_is_on_record_with_when_of_what_and_how(slipway: Orchestrator) -> None:
    made = slipway.changes.snapshots.create("web-1", "first")
    assert (made.vm_state, made.task_state, made.fault) == ("ACTIVE", None, None)
    (found,) = slipway.changes.snapshots.list("web-1")
    assert (found.name, found.disks, found.state, found.consistent) == ("first", (0,), PowerState.RUNNING, False)
    assert slipway.changes.snapshots.show("web-1", "first") == found
    assert slipway._drivers.on(slipway.hosts()[0].host).compute.power_state(made.id) is PowerState.RUNNING
    slipway.stop("web-1", force=True)
    slipway.changes.snapshots.create("web-1", "second")
    assert [(one.name, one.state, one.consistent) for one in slipway.changes.snapshots.list("web-1")] == [
        ("first", PowerState.RUNNING, False),
        ("second", PowerState.SHUTDOWN, True),
    ]


def test_without_a_name_it_has_the_time(slipway: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> None:
    # Between its name and its making a second may begin.
    now = datetime.now(UTC)
    monkeypatch.setattr(Clock, "__call__", lambda _clock: now)
    slipway.changes.snapshots.create("web-1")
    (found,) = slipway.changes.snapshots.list("web-1")
    assert found.name == f"{found.at:%Y%m%d-%H%M%S}"


def test_one_can_be_restored_again_and_again(slipway: Orchestrator) -> None:
    for number in range(3):
        _write(slipway, f"state {number}")
        slipway.changes.snapshots.create("web-1", f"s{number}")
    for number in (0, 2, 1, 0):
        assert slipway.changes.snapshots.restore("web-1", f"s{number}").fault is None
        assert _read(slipway) == {f"state {number}"}
    slipway.changes.snapshots.delete("web-1", "s1")
    slipway.changes.snapshots.create("web-1", "s1")
    assert [one.name for one in slipway.changes.snapshots.list("web-1")] == ["s0", "s2", "s1"]
    assert slipway.audit() == ()


@pytest.mark.parametrize("name", ["", "@aside", "-x", "a/b", "a b", "x" * 64, "ä"])
def test_a_name_that_is_none_is_refused(slipway: Orchestrator, site: Site, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no name of a snapshot"):
        slipway.changes.snapshots.create("web-1", name)
    assert not site.things("snapshots")


def test_what_is_not_there_is_said_with_what_may_have_been_meant(slipway: Orchestrator) -> None:
    with pytest.raises(SnapshotNotFound, match="it has none"):
        slipway.changes.snapshots.restore("web-1", "first")
    slipway.changes.snapshots.create("web-1", "before-upgrade")
    snapshots = slipway.changes.snapshots
    for verb in (snapshots.restore, snapshots.delete, snapshots.show):
        with pytest.raises(SnapshotNotFound, match='did you mean "before-upgrade"'):
            verb("web-1", "before-upgrad")
    with pytest.raises(SnapshotExists, match="before-upgrade already"):
        snapshots.create("web-1", "before-upgrade")
    assert slipway.show("web-1").instance.fault is None


def test_a_volume_that_was_brought_along_is_refused(make_site: Callable[..., Site], tmp_path: Path) -> None:
    volume = tmp_path / "mine.raw"
    volume.write_bytes(b"mine".ljust(1 << 20, b"."))
    site = make_site(more=f", disks: [{{volume: {volume}, format: raw}}]")
    with site.open() as slipway:
        with pytest.raises(SnapshotRefused, match=r"disk 1 .* the volume .*mine\.raw"):
            slipway.changes.snapshots.create("web-1", "first")
        assert not site.things("snapshots")


def test_no_room_is_said_before_anything_is_done(slipway: Orchestrator, site: Site) -> None:
    site.change("disks", size=60 << 30)
    runs = site.asked("SELECT count(*) FROM runs")
    with pytest.raises(SnapshotRefused, match="60GiB are needed, 40GiB are free"):
        slipway.changes.snapshots.create("web-1", "first")
    assert site.asked("SELECT count(*) FROM runs") == runs
    assert not site.things("snapshots")


def test_what_is_paused_is_not_restored(slipway: Orchestrator, site: Site) -> None:
    slipway.changes.snapshots.create("web-1", "first")
    site.change("domains", state="paused")
    site.sql("UPDATE instances SET vm_state = 'PAUSED'")
    with pytest.raises(SnapshotRefused, match="is paused"):
        slipway.changes.snapshots.restore("web-1", "first")
    slipway.changes.snapshots.create("web-1", "second")
    assert slipway.show("web-1").instance.vm_state == "PAUSED"
    assert slipway.changes.snapshots.show("web-1", "second").consistent is False


def test_what_has_a_snapshot_stays_on_its_host(slipway: Orchestrator) -> None:
    slipway.changes.snapshots.create("web-1", "first")
    with pytest.raises(MoveRefused, match="a snapshot on host node-1 that cannot move"):
        slipway.changes.move("web-1")
    assert slipway.audit() == ()


def test_a_copy_that_is_gone_is_found(slipway: Orchestrator, site: Site) -> None:
    slipway.changes.snapshots.create("web-1", "first")
    site.thing("snapshots").unlink()
    (found,) = slipway.audit()
    assert (found.difference, found.kind, found.name) == ("missing", "snapshot", "0/first")
    slipway.repair()
    assert slipway.audit() == (found,)
    assert slipway.changes.snapshots.restore("web-1", "first").fault is not None
    assert slipway.show("web-1").instance.vm_state == "ACTIVE"
    slipway.changes.snapshots.delete("web-1", "first")
    assert slipway.audit() == ()


def test_a_copy_that_is_nobodys_is_found_and_removed(slipway: Orchestrator, site: Site) -> None:
    slipway.changes.snapshots.create("web-1", "first")
    file = site.thing("snapshots")
    file.with_name(file.name.replace("first", "stray")).write_text(file.read_text().replace("first", "stray"))
    (found,) = slipway.audit()
    assert (found.difference, found.kind, found.name) == ("orphaned", "snapshot", "0/stray")
    slipway.repair()
    assert slipway.audit() == ()
    assert [one.name for one in slipway.changes.snapshots.list("web-1")] == ["first"]


def test_a_copy_that_is_left_over_is_not_taken_for_a_new_one(slipway: Orchestrator, site: Site) -> None:
    slipway.changes.snapshots.create("web-1", "first")
    file = site.thing("snapshots")
    file.with_name(file.name.replace("first", "stray")).write_text(file.read_text().replace("first", "stray"))
    with pytest.raises(SnapshotExists, match="left over"):
        slipway.changes.snapshots.create("web-1", "stray")


def test_what_is_deleted_in_part_is_neither_listed_nor_restored(make_site: Callable[..., Site]) -> None:
    site = make_site(more=", disks: [1GiB]")
    with site.open() as slipway:
        slipway.changes.snapshots.create("web-1", "first")
    with site.open(Fault("delete_snapshot", Mode.ERROR, 1)) as slipway:
        assert slipway.changes.snapshots.delete("web-1", "first").fault is not None
        snapshots = slipway.changes.snapshots
        assert snapshots.list("web-1") == ()
        with pytest.raises(SnapshotRefused, match="a part of it"):
            snapshots.restore("web-1", "first")
        with pytest.raises(SnapshotExists):
            snapshots.create("web-1", "first")
        assert snapshots.delete("web-1", "first").fault is None
        assert slipway.audit() == ()

"""A clone: what it has of the other one, and what is its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from slipway import Orchestrator
from slipway.drill.campaign import Wanted, drill
from slipway.drill.cases import Selection
from slipway.errors import InstanceExists, NotFinished, SnapshotRefused
from slipway.model.record import Instance
from slipway.testing import Call, Faults
from tests.build.test_takeovers import an_hour_later
from tests.changes.test_every_change import plan_of
from tests.changes.verbs import VERBS, _write
from tests.repair.conftest import Site


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    made = make_site(networks="{network: a, fixed_ip: 10.0.0.50}", more=", disks: [1GiB]")
    with made.open() as slipway:
        _write(slipway, "mine")
    return made


def clone(slipway: Orchestrator) -> Instance:
    return slipway.changes.clone("web-1", "web-2")


def images(site: Site, instance: Instance) -> list[str]:
    return [json.loads(file.read_text())["image"] for file in site.things("disks") if instance.id in file.name]


def test_a_clone_has_what_is_on_the_disks_and_addresses_of_its_own(site: Site) -> None:
    with site.open() as slipway:
        made, before = clone(slipway), slipway.show("web-1").instance
        assert (made.vm_state, made.fault, made.host) == ("ACTIVE", None, before.host)
        assert images(site, made) == images(site, before) == ["mine", "mine"]
        assert len(made.addresses) == 1
        assert not set(made.addresses) & set(before.addresses)
        assert not site.things("snapshots")
        assert (before.vm_state, before.fault, slipway.audit()) == ("ACTIVE", None, ())
        slipway.delete("web-1")
        assert slipway.audit() == ()
        slipway.delete("web-2")
        assert slipway.audit() == ()


def test_one_that_is_stopped_stays_so(site: Site) -> None:
    with site.open() as slipway:
        slipway.stop("web-1", force=True)
        assert clone(slipway).vm_state == "ACTIVE"
        assert slipway.show("web-1").instance.vm_state == "STOPPED"


def test_what_cannot_be_is_refused_before_anything_is_done(site: Site) -> None:
    with site.open() as slipway:
        with pytest.raises(InstanceExists):
            slipway.changes.clone("web-1", "web-1")
        site.change("disks", size=40 << 30)
        with pytest.raises(SnapshotRefused, match="no room"):
            clone(slipway)
        assert len(slipway.list()) == 1


def test_what_a_worker_was_stopped_at_before_it_froze_the_other_one_or_had_it_copied_comes_to_nothing() -> None:
    """Another one has made the clone meanwhile: no guest stands still for it, and no copy is left of it."""
    (verb,) = [verb for verb in VERBS if verb.name == "clone"]
    points = ("commit:pause:8", "list_snapshots:pause:1", "snapshot_space:pause:1", "freeze:pause")
    report = drill(plan_of(verb), Wanted(only=tuple(map(Selection.parse, points))))
    assert {one.case.name: one.problems for one in report.leaks} == {}
    assert len(report.results) == len(points)


@pytest.mark.parametrize(
    ("since", "left"),
    [
        (lambda slipway: slipway.changes.snapshots.delete("web-1", "a"), "running"),
        (lambda slipway: slipway.stop("web-1", force=True), "shutdown"),
        (lambda slipway: slipway.pause("web-1"), "paused"),
    ],
    ids=["changed", "stopped", "paused"],
)
def test_a_guest_that_was_frozen_late_goes_on_where_it_is_to_run(
    site: Site, since: Callable[[Orchestrator], object], left: str
) -> None:
    """Its snapshot is made, and something else was done to it since."""

    def meanwhile(call: Call) -> None:
        if call.name == "freeze":
            with Faults(drivers=site.drivers()).orchestrator(site.state, monotonic=an_hour_later) as second:
                second.resume()
                since(second)

    with (
        Faults(drivers=site.drivers(), on_call=meanwhile).orchestrator(site.state) as first,
        pytest.raises(NotFinished),
    ):
        first.changes.snapshots.create("web-1", "a")
    assert json.loads(site.thing("domains").read_text())["state"] == left
    with site.open() as slipway:
        assert slipway.audit() == ()

"""A clone: what it has of the other one, what is its own, and that nothing is left of one that went wrong."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import InstanceExists, SlipwayError, SnapshotRefused
from slipway.model.record import Instance
from slipway.testing import Fault, Mode, crashed
from tests.changes.test_every_change import EVERY
from tests.changes.verbs import _write
from tests.repair.conftest import Site
from tests.told import wrong_with


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


def test_whatever_goes_wrong_it_is_there_or_nothing_is(site: Site, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    shutil.copytree(site.state, ready)
    seen = site.faults()
    with seen.orchestrator(site.state) as slipway:
        clone(slipway)
    modes = (Mode.ERROR, Mode.LOST_REPLY, Mode.CRASH_BEFORE, Mode.CRASH_AFTER)
    points = [fault for mode in modes for fault in seen.possible(mode)]
    points += seen.possible(Mode.CRASH_AFTER, commits=True)
    points = points[::EVERY]
    wrong: dict[str, object] = {}
    ends: Counter[str] = Counter()
    for fault in points:
        shutil.rmtree(site.state)
        shutil.copytree(ready, site.state)
        problems, end = after(site, fault)
        ends[end] += 1
        if problems:
            wrong[str(fault)] = problems
    print(f"\nclone: {len(points)} points, {len(wrong)} wrong, ends {dict(ends)}")
    assert not wrong
    assert points


def after(site: Site, fault: Fault) -> tuple[list[object], str]:
    problems: list[object] = []
    if fault.mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        if not crashed(partial(do, site, fault)):
            problems.append("did not fire")
    else:
        do(site, fault)
    with site.open() as slipway:
        slipway.resume()
        if slipway.audit():
            slipway.repair()
        problems += slipway.audit()
        by_name = {one.name: one for one in slipway.list()}
        problems += [one for one in by_name.values() if one.task_state]
        if by_name["web-1"].vm_state != "ACTIVE":
            problems.append(by_name["web-1"])
        if site.things("snapshots"):
            problems.append("a snapshot is left")
        end = by_name["web-2"].vm_state if "web-2" in by_name else "none"
        if end == "ACTIVE" and images(site, by_name["web-2"]) != ["mine", "mine"]:
            problems.append("other disks")
        for name in by_name:
            slipway.delete(name)
        problems += [*slipway.audit(), *slipway.list()]
    problems += wrong_with(site.state / "slipway.db")
    return problems, end


def do(site: Site, fault: Fault) -> None:
    with site.open(fault) as slipway, suppress(SlipwayError):
        clone(slipway)

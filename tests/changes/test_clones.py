"""A clone: what it has of the other one, and what is its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from slipway import Orchestrator
from slipway.errors import InstanceExists, SnapshotRefused
from slipway.model.record import Instance
from tests.changes.verbs import _write
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

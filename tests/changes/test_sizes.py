"""Another size: what is refused before anything is done, whose room it is, and a guest that does not start with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, errors
from slipway.testing import Fault, Mode
from tests.repair.conftest import Site

GIB = 1 << 30


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"disk": GIB}, errors.InvalidRequest, "1GiB is less than the 2GiB that it has"),
        ({"vcpus": 0}, errors.InvalidRequest, "vcpus"),
        ({"vcpus": 2}, errors.StopNeeded, "its guest has to stop"),
        ({"flavor": "huge"}, errors.FlavorNotFound, "no instance on record has a flavor huge"),
    ],
)
def test_what_cannot_be_is_refused_before_anything(
    make_site: Callable[..., Site], how: dict[str, Any], error: type[Exception], says: str
) -> None:
    with make_site().open() as slipway:
        before = slipway.show("web-1")
        with pytest.raises(error, match=says):
            slipway.changes.resize("web-1", **how)
        assert slipway.show("web-1") == before


def test_what_is_paused_is_refused_and_the_same_size_is_nothing_to_do(make_site: Callable[..., Site]) -> None:
    with make_site().open() as slipway:
        before = slipway.show("web-1")
        assert slipway.changes.resize("web-1", vcpus=1, flavor="small") == before.instance
        slipway.pause("web-1")
        with pytest.raises(errors.UnexpectedState, match="is PAUSED, where no resize is possible"):
            slipway.changes.resize("web-1", disk=4 * GIB)


def test_a_host_without_room_says_how_much_is_free(make_site: Callable[..., Site]) -> None:
    with make_site().open() as slipway:
        changed = slipway.changes.resize("web-1", memory=64 * GIB, stops=True)
        assert changed.fault is not None
        assert changed.fault.type == "ComputeResourcesUnavailable"
        assert "memory wanted" in changed.fault.message
        assert "free" in changed.fault.message
        assert (changed.vm_state, changed.request.flavor.memory, slipway.audit()) == ("ACTIVE", GIB // 2, ())


def test_a_guest_that_does_not_start_so_is_started_as_it_was(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open(Fault("start", Mode.ERROR)) as slipway:
        changed = slipway.changes.resize("web-1", vcpus=4, memory=2 * GIB, stops=True)
        assert changed.fault is not None
        assert (changed.vm_state, changed.request.flavor.vcpus) == ("ACTIVE", 1)
        assert slipway.audit() == ()
    assert '"state":"running"' in site.thing("domains").read_text().replace(" ", "")


def test_it_gets_the_flavor_of_another_one_and_gives_back_what_it_needs_no_more(
    make_site: Callable[..., Site],
) -> None:
    with make_site().open() as slipway:
        large = replace(slipway.list()[0].request.flavor, name="large", vcpus=4, memory=2 * GIB, disk=5 * GIB)
        slipway.create(replace(slipway.list()[0].request, name="web-2", flavor=large, networks=()))
        changed = slipway.changes.resize("web-1", flavor="large", stops=True)
        assert (changed.fault, changed.request.flavor) == (None, large)
        assert _claimed(slipway) == (4, 2 * GIB, 5 * GIB)
        changed = slipway.changes.resize("web-1", vcpus=1, memory=GIB, stops=True)
        assert (changed.request.flavor.name, _claimed(slipway)) == ("custom", (1, GIB, 5 * GIB))
        slipway.changes.resize("web-2", vcpus=2, stops=True)
        with pytest.raises(errors.InvalidRequest, match="never shrinks"):
            slipway.changes.resize("web-1", disk=3 * GIB)
        assert slipway.audit() == ()


def _claimed(slipway: Orchestrator) -> tuple[int, int, int]:
    claim = slipway.show("web-1").claim
    assert claim is not None
    return claim.vcpus, claim.memory, claim.disk

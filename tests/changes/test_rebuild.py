"""Another root disk: what is refused before anything is done, what stays, and where secrets are while it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, errors
from slipway.model.request import Image, InjectedFile
from slipway.testing import Fault, Mode, crashed
from tests import record
from tests.repair.conftest import Site

OTHER = Image("other", path="/other.qcow2", format="qcow2")
GIB = 1 << 30
WORD = "hunter2-in-user-data"
DATA = f"#cloud-config\npassword: {WORD}\n"


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ({"image": replace(OTHER, min_disk=5 * GIB)}, errors.FlavorDiskTooSmall, "image other needs 5GiB"),
        ({"image": replace(OTHER, min_memory=GIB)}, errors.FlavorMemoryTooSmall, "image other needs 1GiB"),
        ({"image": replace(OTHER, status="killed")}, errors.ImageNotActive, "its status is killed"),
        ({"image": replace(OTHER, format="vmdk")}, errors.InvalidRequest, "qcow2"),
        ({"image": "nothing"}, errors.ImageNotFound, "no instance on record has an image nothing"),
        ({"user_data": "#cloud config"}, errors.InvalidRequest, "it must be #cloud-config"),
        ({"files": [InjectedFile("etc/x", "")]}, errors.InvalidRequest, "absolute path"),
        ({"stops": False}, errors.StopNeeded, "its guest has to stop"),
    ],
)
def test_what_cannot_be_is_refused_before_anything(
    make_site: Callable[..., Site], how: dict[str, Any], error: type[Exception], says: str
) -> None:
    with make_site().open() as slipway:
        before = slipway.show("web-1")
        with pytest.raises(error, match=says):
            slipway.changes.rebuild("web-1", **{"stops": True, **how})
        assert slipway.show("web-1") == before


def test_an_image_that_its_host_cannot_use_is_said_before_its_guest_is_stopped(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open(Fault("check_image", Mode.ERROR)) as slipway:
        before = slipway.show("web-1")
        with pytest.raises(errors.ComputeError):
            slipway.changes.rebuild("web-1", image=OTHER, stops=True)
        assert slipway.show("web-1") == before


def test_all_but_the_root_disk_and_the_seed_stays(make_site: Callable[..., Site]) -> None:
    site = make_site(more=f', disks: [3B, 4B], user_data: "{DATA.splitlines()[0]}"')
    with site.open() as slipway:
        before = slipway.show("web-1")
        domain = json.loads(site.thing("domains").read_text())
        slipway.pause("web-1")
        with pytest.raises(errors.UnexpectedState, match="PAUSED"):
            slipway.changes.rebuild("web-1", stops=True)
        slipway.unpause("web-1")
        rebuilt = slipway.changes.rebuild("web-1", image=OTHER, user_data=DATA, stops=True)
        after = slipway.show("web-1")
        assert (rebuilt.fault, rebuilt.id, rebuilt.addresses) == (None, before.instance.id, before.instance.addresses)
        assert (after.claim, rebuilt.host) == (before.claim, "node-1")
        sizes = [(0, "root", 2 * GIB), (1, "data", 3), (2, "data", 4), (4, "seed", 0)]
        assert [(disk["slot"], disk["role"], disk["size"]) for disk in _disks(site)] == sizes
        assert json.loads(site.thing("domains").read_text())["state"] == domain["state"]
        assert [one["image"] for one in _disks(site)] == ["other", None, None, None]
        assert _disks(site)[-1]["user_data_sha256"] == _digest(DATA)
        assert rebuilt.request.user_data_sha256 == _digest(DATA)
        assert (slipway.audit(), site.things("snapshots")) == ((), [])
        # The same image, and what cloud-init is told, once more: nothing is to be said for that.
        again = slipway.changes.rebuild("web-1", stops=True)
        assert (again.fault, again.request) == (None, rebuilt.request)
        assert (slipway.audit(), _disks(site)[-1]["slot"]) == ((), 4)


def test_user_data_are_on_record_only_while_it_is_made(make_site: Callable[..., Site]) -> None:
    site = make_site(more=', files: {/etc/key: {content: "k"}}')

    def rebuild(slipway: Orchestrator) -> Any:
        files = (InjectedFile("/etc/key", WORD),)
        return slipway.changes.rebuild("web-1", image=OTHER, user_data=DATA, files=files, stops=True)

    with site.open() as slipway, pytest.raises(errors.InvalidRequest, match="built with files as well"):
        slipway.changes.rebuild("web-1", user_data=DATA, stops=True)
    # Its worker dies before the seed is made: whoever goes on must know what is to be on it.
    assert crashed(lambda: _in(site, rebuild, Fault("create_disk", Mode.CRASH_BEFORE)))
    assert WORD in _record(site)
    with site.open() as slipway:
        slipway.resume()
        assert slipway.list()[0].fault is None
        assert _disks(site)[-1]["user_data_sha256"] != _digest("")
        assert WORD not in _record(site)
    with site.open(Fault("create_disk", Mode.ERROR)) as slipway:
        assert rebuild(slipway).fault is not None
        assert WORD not in _record(site)
        assert slipway.audit() == ()
    assert crashed(lambda: _in(site, rebuild, Fault("create_disk", Mode.CRASH_BEFORE)))
    with site.open() as slipway:
        slipway.delete("web-1")
        assert (WORD in _record(site), slipway.audit()) == (False, ())


def test_a_guest_that_does_not_start_has_what_it_had(make_site: Callable[..., Site]) -> None:
    site = make_site()
    with site.open(Fault("start", Mode.ERROR)) as slipway:
        rebuilt = slipway.changes.rebuild("web-1", image=OTHER, stops=True)
        assert (rebuilt.vm_state, rebuilt.request.image.name) == ("ACTIVE", "tiny")
        assert rebuilt.fault is not None
        assert ([one["image"] for one in _disks(site)], slipway.audit()) == (["tiny"], ())
    assert json.loads(site.thing("domains").read_text())["state"] == "running"


def test_what_its_guest_had_leased_passes_for_no_sign_of_the_new_one(make_site: Callable[..., Site]) -> None:
    site = make_site()
    seen = site.faults()
    with seen.orchestrator(site.state) as slipway:
        assert slipway.changes.rebuild("web-1", image=OTHER, stops=True).fault is None
    calls = [name for name, _ in seen.calls]
    assert calls.index("stop") < calls.index("release_leases") < calls.index("start")


def _in(site: Site, do: Callable[[Orchestrator], Any], fault: Fault) -> None:
    with site.open(fault) as slipway:
        do(slipway)


def _disks(site: Site) -> list[dict[str, Any]]:
    return sorted((json.loads(path.read_text()) for path in site.things("disks")), key=lambda disk: disk["slot"])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _record(site: Site) -> str:
    return record.kept(site.state).decode("latin-1")

"""What a repair is beside others, what it leaves alone, and what it says where it cannot mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway import errors
from slipway.operations.repair import Mended, Outcome
from slipway.orchestrator import Orchestrator
from slipway.testing import Fault, Mode
from tests.repair.conftest import Site
from tests.repair.test_every_difference import STRANGER

Make = Callable[..., Site]


def outcomes(mended: tuple[Mended, ...]) -> list[tuple[str, str, str]]:
    return [(one.mend.finding.kind, one.outcome.value, one.message) for one in mended]


# --- beside others ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["stop", "reboot", "repair", "delete"])
def test_whoever_comes_while_a_repair_is_at_it(make_site: Make, verb: str) -> None:
    """A stop and a second repair are refused; a delete wins."""
    site = make_site()
    site.thing("taps").unlink()
    said: list[object] = []

    def meanwhile() -> None:
        with site.open() as other:
            try:
                said.append(getattr(other, verb)("web-1", **({"timeout": 0.0} if verb == "delete" else {})))
            except errors.InstanceBusy as busy:
                said.append(busy)

    with site.open(Fault("plug", Mode.MEANWHILE, also=meanwhile)) as orchestrator:
        mended = orchestrator.repair()
        if verb == "delete":
            assert isinstance(said[0], errors.InstanceBusy)
            assert orchestrator.list() == []
            assert site.things("taps") == []
        else:
            assert outcomes(mended) == [("vif", "mended", "")]
            assert said
            assert isinstance(said[0], errors.InstanceBusy) or said[0] == (), said
        assert orchestrator.audit() == ()


def test_nothing_is_done_to_an_instance_that_is_being_stopped(make_site: Make) -> None:
    site = make_site()
    site.thing("taps").unlink()
    seen: list[Any] = []

    def meanwhile() -> None:
        with site.open() as other:
            seen.append((other.audit(), other.repair()))

    with site.open(Fault("stop", Mode.MEANWHILE, also=meanwhile)) as orchestrator:
        orchestrator.stop("web-1", force=True)
    assert seen == [((), ())]


def test_a_repair_that_fails_leaves_what_should_run_as_what_should_run(make_site: Make) -> None:
    site = make_site()
    site.change("domains", state="shutdown")
    with site.open(Fault("start", Mode.ERROR, last=9)) as orchestrator:
        (failed,) = orchestrator.repair()
        assert (failed.outcome, failed.message) == (Outcome.FAILED, "RepairImpossible: ComputeError: injected")
        (instance,) = orchestrator.list()
        assert (instance.vm_state, instance.task_state) == ("ACTIVE", None)
        assert instance.fault is not None
        assert (instance.fault.step, instance.fault.message) == ("repair", "injected")
    with site.open() as orchestrator:
        assert outcomes(orchestrator.up()) == [("domain", "mended", "")]
        assert orchestrator.list()[0].fault is None


def test_what_fails_keeps_nothing_else_from_being_mended(make_site: Make) -> None:
    site = make_site()
    site.thing("filters").unlink()
    site.definition().unlink()
    site.copy("domains", STRANGER, instance_id=STRANGER, name="x")
    with site.open(Fault("write_definition", Mode.ERROR, last=9)) as orchestrator:
        ended = {kind: outcome for kind, outcome, _ in outcomes(orchestrator.repair())}
    assert ended == {"definition": "failed", "filter": "mended", "domain": "mended"}


# --- what is left alone -------------------------------------------------------------------------------------------


def test_what_does_not_bear_our_tag(make_site: Make) -> None:
    site = make_site()
    site.copy("domains", STRANGER, instance_id=STRANGER, name="x", owner="somebody")
    site.copy("disks", f"{STRANGER}-0", instance_id=STRANGER, owner="somebody")
    before = {path: path.read_text() for path in (site.state / "world").rglob("*.json")}
    site.thing("domains" if site.thing("domains").stem != STRANGER else "taps")
    with site.open() as orchestrator:
        assert orchestrator.repair() == ()
    assert {path: path.read_text() for path in (site.state / "world").rglob("*.json")} == before


def test_a_port_that_was_given_to_somebody_else(make_site: Make) -> None:
    """It bears our tag, and whoever has it may be using it."""
    site = make_site()
    site.sql("UPDATE ports SET device_id = ? WHERE device_owner LIKE 'compute:%'", STRANGER)
    with site.open() as orchestrator:
        before = orchestrator.audit()
        assert {one.outcome for one in orchestrator.repair()} == {Outcome.LEFT, Outcome.FAILED}
        assert orchestrator.audit() == before
    assert site.asked("SELECT count(*) FROM ports WHERE device_id = ?", STRANGER) == [(1,)]


@pytest.mark.parametrize("how", ["up", "keep_up"])
def test_nothing_is_lost_by_what_nobody_has_asked_for_in_person(make_site: Make, how: str) -> None:
    site = make_site()
    with site.open() as orchestrator:
        orchestrator.stop("web-1", force=True)
    site.thing("disks").unlink()
    site.copy("domains", STRANGER, instance_id=STRANGER, name="x")
    before = {path: path.read_text() for path in (site.state / "world").rglob("*.json")}
    with site.open() as orchestrator:
        found = orchestrator.audit()
        assert len(found) == 2
        if how == "up":
            assert {one.outcome for one in orchestrator.up()} == {Outcome.LEFT}
        else:
            rounds = iter(range(5))
            orchestrator.keep_up(lambda _one: None, stopping=lambda: next(rounds, None) is None)
        assert orchestrator.audit() == found
    assert {path: path.read_text() for path in (site.state / "world").rglob("*.json")} == before


def test_a_disk_of_a_guest_that_runs(make_site: Make) -> None:
    site = make_site()
    site.thing("disks").unlink()
    with site.open() as orchestrator:
        (mend,) = orchestrator.plan_repair()
        assert (mend.possible, mend.stops) == (False, True)
        assert [one.outcome for one in orchestrator.repair()] == [Outcome.LEFT]
        assert site.things("disks") == []


def test_a_seed_with_user_data_is_not_made_up(make_site: Make) -> None:
    site = make_site(more=', user_data: "#cloud-config"')
    (seed,) = [path for path in site.things("disks") if path.stem.endswith("-1")]
    with site.open() as orchestrator:
        orchestrator.stop("web-1", force=True)
        seed.unlink()
        (mend,) = orchestrator.plan_repair()
        assert not mend.possible
        assert "user data" in mend.action


def test_a_host_that_does_not_answer(make_site: Make) -> None:
    site = make_site()
    site.thing("domains").write_text("{")
    with site.open() as orchestrator:
        (left,) = orchestrator.repair()
        assert (left.outcome, left.mend.finding.difference) == (Outcome.LEFT, "unreachable")


# --- what is selected -------------------------------------------------------------------------------------------------


def test_a_selection(make_site: Make) -> None:
    site = make_site()
    site.sql("UPDATE hosts SET vcpus_used = 3 WHERE name = 'node-2'")
    site.thing("taps").unlink()

    def kinds(orchestrator: Orchestrator, **selected: str) -> list[str]:
        return [one.finding.kind for one in orchestrator.plan_repair(**selected)]

    with site.open() as orchestrator:
        assert kinds(orchestrator) == ["counter", "vif"]
        assert kinds(orchestrator, name="web-1") == ["vif"]
        assert kinds(orchestrator, host="node-1") == ["vif"]
        assert kinds(orchestrator, host="node-2") == ["counter"]
        assert kinds(orchestrator, stack="repair") == ["vif"]
        assert kinds(orchestrator, stack="other") == []
        with pytest.raises(errors.HostNotFound):
            orchestrator.repair(host="nowhere")
        with pytest.raises(errors.InstanceNotFound):
            orchestrator.repair("nobody")
        with pytest.raises(ValueError, match="only one"):
            orchestrator.repair("web-1", host="node-1")
        assert outcomes(orchestrator.repair(host="node-2")) == [("counter", "mended", "")]
        assert kinds(orchestrator) == ["vif"]


# --- again and again --------------------------------------------------------------------------------------------------


def test_what_ends_as_soon_as_it_is_started_is_started_ever_less(make_site: Make) -> None:
    site = make_site()
    told: list[Mended] = []
    faults = site.faults()
    began = faults.clock.monotonic()

    def sleep(seconds: float) -> None:
        faults.clock.sleep(seconds)
        if seconds == 10.0:
            site.change("domains", state="crashed")

    with faults.orchestrator(site.state, sleep=sleep) as orchestrator:
        orchestrator.keep_up(told.append, every=10.0, stopping=lambda: faults.clock.monotonic() - began > 3600)
    starts = [call for call, _ in faults.calls if call == "start"]
    assert {one.outcome for one in told} == {Outcome.MENDED}
    assert 5 < len(starts) < 20, "after 10, 20, 40 ... 600 s"


def test_the_unit_of_systemd_says_what_there_is() -> None:
    text = (Path(__file__).parents[2] / "examples" / "systemd" / "slipway.service").read_text()
    assert "slipway up\n" in text
    assert "slipway repair --watch\n" in text

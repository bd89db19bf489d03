"""Domains that are paused, started or taken away past us, on simulated hosts: what is told, and what can be done."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator, errors
from slipway.cli.main import main
from slipway.model.record import Instance
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode
from tests.build.test_life_cycle import DEAF, TEXT, Place
from tests.build.test_watch import state, watch


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "state")


def fault(instance: Instance) -> str:
    return "" if instance.fault is None else f"{instance.fault.type}: {instance.fault.message}"


# --- paused on purpose -------------------------------------------------------------------------------------------


def test_a_guest_is_paused_and_goes_on(place: Place) -> None:
    with place.open() as orchestrator:
        paused = orchestrator.pause("web-1")
        assert (state(orchestrator), place.domain(), fault(paused)) == ("PAUSED/-", "paused", "")
        assert orchestrator.network.list_ports()[0].status == "ACTIVE"
        assert orchestrator.audit() == ()
        assert orchestrator.pause("web-1") == paused, "nothing is done twice"
        went_on = orchestrator.unpause("web-1")
        assert (state(orchestrator), place.domain(), fault(went_on)) == ("ACTIVE/-", "running", "")
        assert orchestrator.unpause("web-1") == went_on
        assert orchestrator.audit() == ()
        words = [deed.what for deed in orchestrator.history("web-1")]
    assert words == ["build", "pause", "unpause"]


def test_what_was_paused_on_purpose_is_left_so_by_a_repair(place: Place) -> None:
    """Also where something else of it is mended; paused by somebody else, and ACTIVE on record, it goes on."""
    with place.open() as orchestrator:
        orchestrator.pause("web-1")
        assert orchestrator.repair() == ()
        (definition,) = (place.state / "instances").rglob("*.xml")
        definition.unlink()
        assert [one.outcome.value for one in orchestrator.repair()] == ["mended"]
        assert (state(orchestrator), place.domain()) == ("PAUSED/-", "paused")
        orchestrator.unpause("web-1")
        place.set_domain("paused")
        orchestrator.repair()
        assert (state(orchestrator), place.domain()) == ("ACTIVE/-", "running")


def test_what_a_repair_could_not_let_go_on_is_tried_again_by_the_next_one(place: Place) -> None:
    """It was not paused on purpose, so the record says still that it is to run."""
    place.set_domain("paused")
    with place.open(Fault("resume", Mode.ERROR)) as orchestrator:
        assert [one.outcome.value for one in orchestrator.repair()] == ["failed"]
        assert (state(orchestrator), place.domain()) == ("ACTIVE/-", "paused")
        orchestrator.repair()
        assert (state(orchestrator), place.domain()) == ("ACTIVE/-", "running")


@pytest.mark.parametrize("verb", ["pause", "unpause"])
def test_what_is_stopped_is_neither_paused_nor_let_go_on(place: Place, verb: str) -> None:
    with place.open() as orchestrator:
        orchestrator.stop("web-1")
        with pytest.raises(errors.UnexpectedState, match=f"is STOPPED, where no {verb} is possible, but start"):
            getattr(orchestrator, verb)("web-1")
        assert orchestrator.list()[0].vm_state == "STOPPED"


def test_what_somebody_else_has_paused_let_go_on_or_ended_is_found_so(place: Place) -> None:
    with place.open() as orchestrator:
        place.set_domain("paused")
        assert fault(orchestrator.pause("web-1")) == ""
        assert state(orchestrator) == "PAUSED/-"
        place.set_domain("running")
        assert fault(orchestrator.unpause("web-1")) == ""
        assert state(orchestrator) == "ACTIVE/-"
        place.set_domain("crashed")
        assert "does not run" in fault(orchestrator.pause("web-1"))
        assert state(orchestrator) == "STOPPED/-"


def test_many_are_paused_by_a_selector(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--state", str(place.state), "--output", "json")
    for verb, wanted in (("pause", "PAUSED"), ("unpause", "ACTIVE")):
        with pytest.raises(SystemExit, match=r"^0$"):
            main([verb, "--name", "web-*", "--yes", *where])
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["event"] for one in told] == [f"instance.{verb}.start", f"instance.{verb}.end", "result"]
        assert [one["vm_state"] for one in told[-1]["instances"]] == [wanted]


# --- paused -----------------------------------------------------------------------------------------------------


def paused(place: Place) -> None:
    """Have the record say that its domain is paused."""
    place.set_domain("paused")
    with place.open() as orchestrator:
        watch(orchestrator, lambda: state(orchestrator) == "PAUSED/-")


def test_the_record_follows_a_pause_and_its_end(place: Place) -> None:
    place.set_domain("paused")
    with place.open() as orchestrator:
        (finding,) = orchestrator.audit()
        assert "its domain is paused" in finding.detail
        told = watch(orchestrator, lambda: state(orchestrator) == "PAUSED/-")
        assert [(event.type, event.vm_state) for event in told.events[1:]] == [("state", "PAUSED")]
        assert orchestrator.audit() == ()
        assert orchestrator.network.list_ports()[0].status == "ACTIVE"
        place.set_domain("running")
        assert "its domain runs" in orchestrator.audit()[0].detail
        watch(orchestrator, lambda: state(orchestrator) == "ACTIVE/-")
        place.set_domain("paused")
        watch(orchestrator, lambda: state(orchestrator) == "PAUSED/-")
        place.set_domain("crashed")
        watch(orchestrator, lambda: state(orchestrator) == "STOPPED/-")
        assert orchestrator.network.list_ports()[0].status == "DOWN"
        assert orchestrator.audit() == ()


@pytest.mark.parametrize("known", [True, False], ids=["on record", "not on record"])
@pytest.mark.parametrize(
    ("verb", "how", "wanted", "domain"),
    [
        ("start", {}, "ACTIVE/-", "running"),
        ("stop", {}, "STOPPED/-", "shutdown"),
        ("stop", {"force": True}, "STOPPED/-", "shutdown"),
        ("reboot", {}, "ACTIVE/-", "running"),
        ("reboot", {"force": True}, "ACTIVE/-", "running"),
    ],
)
def test_what_is_paused_can_be_started_stopped_and_rebooted(
    place: Place, known: bool, verb: str, how: dict[str, Any], wanted: str, domain: str
) -> None:
    if known:
        paused(place)
    place.set_domain("paused")
    with place.open() as orchestrator:
        ended = getattr(orchestrator, verb)("web-1", **how)
        assert (state(orchestrator), place.domain(), fault(ended)) == (wanted, domain, "")
        assert orchestrator.audit() == ()
        orchestrator.delete("web-1")
        assert orchestrator.audit() == ()


def test_what_is_paused_can_be_deleted_and_is_left_alone_by_a_run(place: Place) -> None:
    paused(place)
    with place.open() as orchestrator:
        (ended,) = orchestrator.run(loads(TEXT.format(more=""), "life.yaml")).ended
        assert (ended.status.value, state(orchestrator), place.domain()) == ("unchanged", "PAUSED/-", "paused")
        assert orchestrator.delete("web-1").vm_state == "DELETED"
        assert orchestrator.audit() == ()


def test_a_guest_that_is_paused_goes_on_before_it_is_asked(tmp_path: Path) -> None:
    place = Place(tmp_path / "state", DEAF)
    paused(place)
    with place.open(faults := Faults()) as orchestrator:
        orchestrator.stop("web-1", timeout=1)
    names = [name for name, _ in faults.calls]
    assert names.index("resume") < names.index("stop")


def test_a_guest_that_cannot_go_on_is_ended(tmp_path: Path) -> None:
    place = Place(tmp_path / "state", DEAF)
    paused(place)
    with place.open(Fault("resume", Mode.ERROR)) as orchestrator:
        assert fault(orchestrator.stop("web-1", timeout=1)) == ""
        assert place.domain() == "shutdown"


def test_what_stays_paused_is_said_to_be(place: Place) -> None:
    paused(place)
    with place.open(Fault("resume", Mode.ERROR)) as orchestrator:
        ended = orchestrator.start("web-1")
        assert (ended.vm_state, place.domain(), fault(ended)) == ("PAUSED", "paused", "ComputeError: injected")
        assert orchestrator.audit() == ()


@pytest.mark.parametrize("verb", ["start", "stop", "reboot"])
def test_whatever_fails_meanwhile_it_comes_to_rest(tmp_path: Path, verb: str) -> None:
    seen, count = Faults(), 0
    template = Place(tmp_path / "template")
    paused(template)
    with template.open(seen) as orchestrator:
        getattr(orchestrator, verb)("web-1")
    for number, point in enumerate(seen.possible(Mode.ERROR, commits=False)):
        place = Place(tmp_path / str(number))
        paused(place)
        with place.open(point) as orchestrator:
            ended = getattr(orchestrator, verb)("web-1")
            assert ended.task_state is None
            assert orchestrator.audit() == () or point.call == "power_state"
            count += 1
    assert count > 2


# --- the record says one thing, the hypervisor another ------------------------------------------------------------


def test_a_start_of_what_has_ended_starts_it(place: Place) -> None:
    place.set_domain("crashed")
    with place.open() as orchestrator:
        assert orchestrator.start("web-1").vm_state == "ACTIVE"
        assert place.domain() == "running"
        events = [entry.event for entry in orchestrator.show("web-1").history[-3:]]
        assert events == ["halted", "start", "runs"]


def test_a_stop_of_what_somebody_has_started_stops_it(place: Place) -> None:
    with place.open() as orchestrator:
        orchestrator.stop("web-1")
        place.set_domain("running")
        assert orchestrator.stop("web-1").vm_state == "STOPPED"
        assert place.domain() == "shutdown"
        assert orchestrator.audit() == ()


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_nothing_to_do_is_said_by_who_knows(place: Place, verb: str) -> None:
    with place.open() as orchestrator:
        if verb == "stop":
            orchestrator.stop("web-1")
    silent = Fault("power_state", Mode.ERROR, last=9, raises=partial(errors.HypervisorUnavailable, "gone"))
    with place.open(silent) as orchestrator:
        before = orchestrator.show("web-1")
        with pytest.raises(errors.HypervisorUnavailable):
            getattr(orchestrator, verb)("web-1")
        assert orchestrator.show("web-1") == before


@pytest.mark.parametrize("verb", ["start", "stop", "reboot"])
def test_a_domain_that_is_gone_does_not_run(place: Place, verb: str) -> None:
    gone(place)
    with place.open() as orchestrator:
        ended = getattr(orchestrator, verb)("web-1")
        assert ended.vm_state == "STOPPED"
        assert fault(ended).startswith("DomainNotFound: node-1: there is no domain of instance")
        (finding,) = orchestrator.audit()
        assert (finding.difference, finding.kind) == ("missing", "domain")
        assert fault(orchestrator.start("web-1")).startswith("DomainNotFound")
        orchestrator.delete("web-1")
        assert orchestrator.audit() == ()


def test_a_domain_that_is_gone_is_told_while_it_is_watched(place: Place) -> None:
    gone(place)
    with place.open() as orchestrator:
        told = watch(orchestrator, lambda: state(orchestrator) == "STOPPED/-")
        assert told.events[-1].message == "the domain is gone, by itself"


def gone(place: Place) -> None:
    """As by `virsh destroy` and `virsh undefine`."""
    (path,) = (place.state / "world" / "node-1" / "domains").glob("*.json")
    path.unlink()


# --- what a start needs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"force": True}], ids=["asked", "force"])
def test_a_guest_whose_disk_is_gone_is_not_ended_for_a_reboot(place: Place, how: dict[str, Any]) -> None:
    (disk,) = (place.state / "world" / "node-1" / "disks").glob("*.json")
    kept = disk.read_text()
    disk.unlink()
    with place.open() as orchestrator:
        ended = orchestrator.reboot("web-1", **how)
        assert (ended.vm_state, place.domain()) == ("ACTIVE", "running")
        assert fault(ended) == "StartImpossible: web-1 cannot be started: disk 0: it is gone"
        disk.write_text(kept)
        assert fault(orchestrator.reboot("web-1", **how)) == ""
        orchestrator.stop("web-1")
        disk.unlink()
        ended = orchestrator.start("web-1")
        assert (ended.vm_state, place.domain()) == ("STOPPED", "shutdown")
        assert fault(ended).startswith("StartImpossible")


def test_what_was_changed_past_us_is_found(place: Place) -> None:
    (path,) = (place.state / "world" / "node-1" / "domains").glob("*.json")
    domain = json.loads(path.read_text())
    for change, said in (
        ({"vcpus": 2}, "it has 2 vCPUs instead of 1"),
        ({"memory": 1 << 28}, "it has 262144 KiB of memory instead of 524288"),
        ({"macs": []}, f"its NIC {domain['macs'][0]} is detached"),
        ({"macs": [*domain["macs"], "02:00:00:00:00:01"]}, "a NIC 02:00:00:00:00:01 is attached"),
        ({"disks": []}, f"its disk {domain['disks'][0]} is detached"),
    ):
        path.write_text(json.dumps(domain | change))
        with Orchestrator(place.state) as orchestrator:
            (finding,) = orchestrator.audit()
            assert (finding.difference, finding.kind) == ("different", "domain")
            assert said in finding.detail


def test_the_commands(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """`list` shows it, `start` has it go on."""
    paused(place)
    for words, said in ((("list",), "PAUSED"), (("start", "web-1"), "ACTIVE"), (("start", "web-1"), "Nothing to do")):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--state", str(place.state)])
        assert not ended.value.code
        assert said in capsys.readouterr().out

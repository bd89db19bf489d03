"""What is done to an instance is a run: begun, ended and seen as the instance's moves say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from slipway import errors
from slipway.flows.loader import find_definition
from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode, crashed
from tests import record
from tests.told import wrong_with

FILE = """
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, simulate: {{{simulate}}}}}
  node-2: {{vcpus: 4, memory: 16GiB, disk: 500GiB, compute: sim}}
networks: {{net: {{subnets: {{subnet: {{cidr: 192.168.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [net]}}}}
"""


def opened(state: Path, simulate: str = "") -> Orchestrator:
    return Orchestrator(state, settings=loads(FILE.format(simulate=simulate), "runs.yaml").settings)


def build(slipway: Orchestrator, simulate: str = "", on_event: Callable[[Event], None] = lambda _event: None) -> None:
    slipway.run(loads(FILE.format(simulate=simulate), "runs.yaml"), on_event=on_event)


def ends(slipway: Orchestrator) -> list[tuple[str, str | None, str]]:
    return [(run.name, run.instance, run.state) for run in slipway.runs.list()]


def test_each_thing_that_is_done_to_an_instance_is_a_run(tmp_path: Path) -> None:
    with opened(tmp_path) as slipway:
        build(slipway)
        for verb in (slipway.stop, slipway.start, slipway.reboot, slipway.delete):
            verb("web")
        assert ends(slipway) == [(name, "web", "SUCCEEDED") for name in ("build", "stop", "start", "reboot", "delete")]
        runs = slipway.runs.list()
        assert all(run.ended_at is not None and run.fault is None for run in runs)
        moves = {run.name: [e.type for e in slipway.runs.events(run.id) if e.step is None] for run in runs}
        assert moves["stop"] == ["instance.stop", "instance.halted"]
        assert moves["delete"] == ["instance.delete", "instance.deleted"]
        assert moves["build"][0] == "instance.create"
        assert moves["build"][-1] == "instance.finish"
        effects = {run.name: slipway.runs.effects(run.id) for run in runs}
        assert {e.step for e in effects["build"]} >= {"claim", "ports", "disks", "spawn"}
        assert [name for name, made in effects.items() if made] == ["build"]


def test_a_build_goes_on_on_the_next_host_in_one_run(tmp_path: Path) -> None:
    failing = "fail: [spawn]"
    with opened(tmp_path, failing) as slipway:
        build(slipway, failing)
        (run,) = slipway.runs.list()
        assert (run.state, run.attempt, run.fault) == ("SUCCEEDED", 2, None)


def test_a_run_that_fails_has_the_instance_s_fault(tmp_path: Path) -> None:
    always = Fault("spawn", Mode.ERROR, 0, last=9)
    with Faults(always).orchestrator(tmp_path) as slipway:
        build(slipway)
        (run,) = slipway.runs.list()
        assert (run.state, run.fault) == ("FAILED", slipway.show("web").instance.fault)
        assert run.fault is not None
        assert run.fault.step == "spawn"


@pytest.mark.parametrize(("call", "verb", "ends_as"), [("stop", "stop", "FAILED"), ("delete_disk", "delete", "STUCK")])
def test_a_stop_or_a_delete_that_fails_says_so(tmp_path: Path, call: str, verb: str, ends_as: str) -> None:
    faults = Faults(Fault(call, Mode.ERROR, 0, last=99))
    with faults.orchestrator(tmp_path) as slipway:
        build(slipway)
        instance = getattr(slipway, verb)("web")
        run = slipway.runs.list()[-1]
        assert (run.name, run.state, run.fault) == (verb, ends_as, instance.fault)
        assert run.fault is not None
        faults.arm()
        assert slipway.delete("web").vm_state == "DELETED"
        assert ends(slipway)[-1] == ("delete", "web", "SUCCEEDED")


def test_what_a_crash_left_is_the_same_run_that_goes_on(tmp_path: Path) -> None:
    def killed() -> None:
        with Faults(Fault("spawn", Mode.CRASH_AFTER)).orchestrator(tmp_path) as slipway:
            build(slipway)

    assert crashed(killed)
    with opened(tmp_path) as slipway:
        (left,) = slipway.runs.list(unfinished=True)
        assert (left.name, left.state) == ("build", "RUNNING")
        assert slipway.runs.resume() == ()
        slipway.resume()
        (run,) = slipway.runs.list()
        assert (run.id, run.state) == (left.id, "SUCCEEDED")


def test_a_build_goes_on_with_the_text_that_it_began_with(tmp_path: Path) -> None:
    flow = tmp_path / "mine.yaml"
    flow.write_text(find_definition("build-instance").read_text())
    text = FILE.format(simulate="") + f"workflow: {flow}\n"

    def killed() -> None:
        with Faults(Fault("create_disk", Mode.CRASH_AFTER)).orchestrator(tmp_path / "state") as slipway:
            slipway.run(loads(text, "runs.yaml"))

    assert crashed(killed)
    flow.write_text("schema: 1\nname: other\nsteps: []\n")
    with opened(tmp_path / "state") as slipway:
        slipway.resume()
        assert ends(slipway) == [("build", "web", "SUCCEEDED")]
        assert [step.id for step in slipway.runs.definition(slipway.runs.list()[0].id).steps][-1] == "finish"


def test_what_a_delete_takes_over_is_cancelled(tmp_path: Path) -> None:
    with opened(tmp_path) as slipway:

        def delete(event: Event) -> None:
            if (event.type, event.step) == ("step.end", "disks"):
                slipway.delete("web")

        build(slipway, on_event=delete)
        assert ends(slipway) == [("build", "web", "CANCELLED"), ("delete", "web", "SUCCEEDED")]
        assert slipway.audit() == ()


def test_a_build_is_cancelled_undone_and_tried_again_as_other_runs_are(tmp_path: Path) -> None:
    faults = Faults(Fault("spawn", Mode.ERROR, 0, last=1))
    with faults.orchestrator(tmp_path) as slipway:
        build(slipway)
        (run,) = slipway.runs.list()
        assert run.state == "FAILED"
        again = slipway.runs.retry(run.id)
        assert (again.id, again.state, again.fault) == (run.id, "SUCCEEDED", None)
        assert (slipway.show("web").instance.vm_state, slipway.show("web").instance.fault) == ("ACTIVE", None)
        assert slipway.audit() == ()
        assert wrong_with(tmp_path / "slipway.db") == []
        assert slipway.runs.undo(run.id).state == "SUCCEEDED"
        assert ends(slipway) == [("build", "web", "SUCCEEDED"), ("delete", "web", "SUCCEEDED")]
        assert slipway.audit() == ()


def test_a_build_is_cancelled_while_it_goes_on(tmp_path: Path) -> None:
    with opened(tmp_path) as slipway:

        def cancel(event: Event) -> None:
            if (event.type, event.step) == ("step.end", "disks"):
                slipway.runs.cancel(slipway.runs.list()[0].id)

        build(slipway, on_event=cancel)
        assert ends(slipway) == [("build", "web", "CANCELLED"), ("delete", "web", "SUCCEEDED")]


def test_what_a_build_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as slipway:
        build(slipway)
        (run,) = slipway.runs.list()
        assert slipway.runs.wait(run.id) == run
        assert slipway.runs.definition(run.id).name == "build-instance"
        with pytest.raises(errors.RunRefused, match="is SUCCEEDED and has ended: there is nothing to cancel"):
            slipway.runs.cancel(run.id)
        with pytest.raises(errors.RunRefused, match="is SUCCEEDED, and only what failed is tried again"):
            slipway.runs.retry(run.id)
        with pytest.raises(errors.RunRefused, match="is SUCCEEDED and waits for nobody's word"):
            slipway.runs.approve(run.id)
        slipway.stop("web")
        stop = slipway.runs.list()[-1]
        with pytest.raises(errors.RunRefused, match="is a stop, which goes by no workflow"):
            slipway.runs.definition(stop.id)
        for verb in (slipway.runs.cancel, slipway.runs.retry, slipway.runs.undo):
            with pytest.raises(errors.RunRefused, match="is the stop of instance web, which no other run takes back"):
                verb(stop.id)
        assert slipway.show("web").instance.vm_state == "STOPPED"


def test_a_build_with_secrets_is_not_tried_again_without_them(tmp_path: Path) -> None:
    faults = Faults(Fault("spawn", Mode.ERROR, 0, last=1))
    with faults.orchestrator(tmp_path) as slipway:
        text = FILE.format(simulate="").replace("networks: [net]}", 'networks: [net], user_data: "#cloud-config"}')
        slipway.run(loads(text, "runs.yaml"))
        (run,) = slipway.runs.list()
        with pytest.raises(errors.RunRefused, match="on record only while it is built"):
            slipway.runs.retry(run.id)
        assert slipway.runs.get(run.id) == run


def test_what_still_stands_is_not_taken_off_the_record(tmp_path: Path) -> None:
    with opened(tmp_path) as slipway:
        build(slipway)
        slipway.stop("web")
        assert [run.name for run in slipway.runs.prune(older_than=0)] == ["stop"]
        slipway.delete("web")
        assert [run.name for run in slipway.runs.prune(older_than=0)] == ["build", "delete"]
        assert slipway.audit() == ()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE runs SET ended_at = NULL, state = '?'",
        pytest.param(
            "UPDATE workflow_texts SET digest = '?'", marks=pytest.mark.sqlite("damage that PostgreSQL refuses")
        ),
    ],
)
def test_what_was_damaged_by_hand_keeps_nothing_from_being_done(tmp_path: Path, damage: str) -> None:
    with opened(tmp_path) as slipway:
        build(slipway)
    with closing(record.opened(tmp_path / "slipway.db")) as db:
        db.execute(damage)
        db.commit()
    with opened(tmp_path) as slipway:
        assert slipway.stop("web").vm_state == "STOPPED"
        assert slipway.delete("web").vm_state == "DELETED"
        assert [run.name for run in slipway.runs.list(unfinished=True)] == []

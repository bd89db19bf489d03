"""What becomes of a run: forward, back, on after a pause, again with other inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipway import errors
from slipway.model.run import RunRecord
from slipway.orchestrator import Orchestrator
from tests import record
from tests.runs.conftest import Workflow

MAKE = """
  - id: {id}
    uses: command
    with: {{argv: [touch, "{dir}/{id}"]}}
    revert: {{uses: command, with: {{argv: [rm, -f, "{dir}/{id}"]}}}}
"""
FAIL = "  - {id: fail, uses: assert, with: {that: false, message: it is not so}}\n"


def make(directory: Path, *ids: str) -> str:
    return "".join(MAKE.format(id=one, dir=directory) for one in ids)


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if path.suffix == "" and path.is_file()}


def outputs(run: RunRecord) -> Any:
    return msgspec.json.decode(run.outputs or b"null")


def test_a_run_that_succeeds_leaves_what_it_did_and_is_undone_when_told(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    flow = workflow(make(tmp_path, "one", "two"), "outputs: {kept: '${{ steps.one.status }}'}")
    run = slipway.runs.run(flow)
    assert (run.state, run.fault, outputs(run)) == ("SUCCEEDED", None, {"kept": "succeeded"})
    assert files(tmp_path) == {"one", "two"}
    assert slipway.runs.undo(run.id).state == "CANCELLED"
    assert files(tmp_path) == set()


def test_a_run_that_fails_is_undone_and_says_the_first_cause(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    run = slipway.runs.run(workflow(make(tmp_path, "one", "two") + FAIL))
    assert run.state == "FAILED"
    assert run.fault is not None
    assert (run.fault.type, run.fault.message, run.fault.step) == ("ConditionFailed", "it is not so", "fail")
    assert files(tmp_path) == set()
    assert {effect.state for effect in slipway.runs.effects(run.id)} == {"undone"}


def test_what_cannot_be_undone_is_stuck_and_tried_again(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    inverse = f"{{uses: command, with: {{argv: [rmdir, '{tmp_path}/dir']}}}}"
    steps = f"  - {{id: dir, uses: command, with: {{argv: [mkdir, -p, '{tmp_path}/dir']}}, revert: {inverse}}}\n"
    fill = f"  - {{id: fill, uses: command, with: {{argv: [touch, '{tmp_path}/dir/x']}}}}\n"
    run = slipway.runs.run(workflow(steps + fill + FAIL))
    assert run.state == "STUCK"
    assert run.fault is not None
    assert run.fault.type == "ConditionFailed"
    with pytest.raises(errors.RunRefused, match="undo it first"):
        slipway.runs.retry(run.id)
    (tmp_path / "dir/x").unlink()
    assert slipway.runs.undo(run.id).state == "CANCELLED"
    assert not (tmp_path / "dir").exists()


def test_a_pause_holds_nothing_and_goes_on_when_approved(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    pause = "  - {id: ask, uses: pause, with: {message: 'shall it?'}}\n"
    run = slipway.runs.run(workflow(make(tmp_path, "one") + pause + make(tmp_path, "two")))
    assert (run.state, run.waits_for, run.worker) == ("PAUSED", "shall it?", None)
    assert slipway.runs.resume() == ()
    assert files(tmp_path) == {"one"}
    assert slipway.runs.approve(run.id).state == "SUCCEEDED"
    assert files(tmp_path) == {"one", "two"}
    with pytest.raises(errors.RunRefused, match="is SUCCEEDED and waits for nobody's word"):
        slipway.runs.approve(run.id)


def test_a_pause_that_is_rejected_undoes_the_run(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    pause = "  - {id: ask, uses: pause, with: {message: 'shall it?'}}\n"
    run = slipway.runs.run(workflow(make(tmp_path, "one") + pause))
    rejected = slipway.runs.reject(run.id, "not today")
    assert rejected.state == "FAILED"
    assert rejected.fault is not None
    assert (rejected.fault.type, rejected.fault.message) == ("RunRejected", "it was rejected: not today")
    assert files(tmp_path) == set()


def test_a_paused_run_is_cancelled(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    pause = "  - {id: ask, uses: pause, with: {message: 'shall it?'}}\n"
    run = slipway.runs.run(workflow(make(tmp_path, "one") + pause))
    assert slipway.runs.cancel(run.id).state == "CANCELLED"
    assert files(tmp_path) == set()


def test_a_sleep_is_on_record_and_waited_for(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    told = []
    flow = workflow("  - {id: nap, uses: sleep, with: {for: 300ms}}\n" + make(tmp_path, "one"))
    run = slipway.runs.run(flow, on_event=lambda event: told.append((event.type, event.vm_state)))
    assert run.state == "SUCCEEDED"
    assert ("run.state", "PAUSED") in told


def test_a_failed_run_is_tried_again_with_other_inputs(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    check = "  - {id: check, uses: assert, with: {that: '${{ inputs.good }}', message: it is not good}}\n"
    more = "inputs: {good: {type: boolean, default: false}}"
    run = slipway.runs.run(workflow(make(tmp_path, "one") + check, more))
    assert (run.state, files(tmp_path)) == ("FAILED", set())
    again = slipway.runs.retry(run.id, {"good": True})
    assert (again.state, again.id, again.attempt, again.fault) == ("SUCCEEDED", run.id, 2, None)
    assert files(tmp_path) == {"one"}


def test_on_error_pause_keeps_what_is_done_and_goes_on_with_another_text(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    check = "  - {id: check, uses: assert, with: {that: %s, message: never}, on_error: pause}\n"
    run = slipway.runs.run(workflow(make(tmp_path, "one") + check % "false"))
    assert (run.state, run.waits_for) == ("PAUSED", "step check failed: ConditionFailed: never")
    assert files(tmp_path) == {"one"}
    other = workflow(make(tmp_path, "uno") + check % "true")
    with pytest.raises(errors.RunRefused, match="no step one, which is done"):
        slipway.runs.retry(run.id, workflow=other)
    good = workflow(make(tmp_path, "one") + check % "true" + make(tmp_path, "two"))
    assert slipway.runs.retry(run.id, workflow=good).state == "SUCCEEDED"
    assert files(tmp_path) == {"one", "two"}


def test_on_error_continue_goes_on_and_says_so(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    steps = "  - {id: try, uses: assert, with: {that: false, message: never}, on_error: continue}\n"
    run = slipway.runs.run(
        workflow(steps + make(tmp_path, "one"), "outputs: {tried: '${{ steps.try.status }}'}"),
    )
    assert (run.state, outputs(run)) == ("SUCCEEDED", {"tried": "failed"})


@pytest.mark.parametrize("fails", [True, False])
def test_the_last_steps_are_done_whatever_came_of_the_others(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path, *, fails: bool
) -> None:
    last = f"finally:\n  - {{id: last, uses: command, with: {{argv: [touch, '{tmp_path}/last']}}}}"
    run = slipway.runs.run(workflow(make(tmp_path, "one") + FAIL * fails, last))
    assert run.state == ("FAILED" if fails else "SUCCEEDED")
    assert files(tmp_path) == ({"last"} if fails else {"one", "last"})


def test_an_inverse_that_needs_the_result_has_it(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    steps = f"""
  - id: each
    uses: command
    for_each: [a, b]
    with: {{argv: [sh, -c, 'printf %s "$(mktemp {tmp_path}/${{{{ item }}}}-XXXXXX)"']}}
    revert: {{uses: command, with: {{argv: [mv, "${{{{ result.stdout }}}}", "{tmp_path}/gone-${{{{ item }}}}"]}}}}
"""
    run = slipway.runs.run(workflow(steps + FAIL))
    assert run.state == "FAILED", run.fault
    assert files(tmp_path) == {"gone-a", "gone-b"}


def test_an_idempotency_key_is_one_run(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    flow = workflow(make(tmp_path, "one"), "inputs: {n: {type: integer, default: 1}}")
    first = slipway.runs.run(flow, {"n": 1}, idempotency_key="k")
    assert slipway.runs.run(flow, {"n": 1}, idempotency_key="k").id == first.id
    with pytest.raises(errors.IdempotencyKeyReused, match=first.id):
        slipway.runs.run(flow, {"n": 2}, idempotency_key="k")
    assert len(slipway.runs.list()) == 1


def test_secrets_are_on_record_only_while_the_run_goes_on(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    more = "inputs: {token: {type: secret, required: true}}"
    say = "  - {id: say, uses: command, with: {argv: [printf, 'is ${{ inputs.token }}']}}\n"
    ask = "  - {id: ask, uses: pause, with: {message: 'with ${{ inputs.token }}?'}}\n"
    fail = "  - {id: fail, uses: assert, with: {that: false, message: '${{ steps.say.outputs.stdout }}'}}\n"
    told: list[str] = []
    run = slipway.runs.run(
        workflow(say + ask + fail, more), {"token": "hunter-2"}, on_event=lambda e: told.append(repr(e))
    )
    assert run.waits_for == "with ***?"
    run = slipway.runs.approve(run.id, on_event=lambda e: told.append(repr(e)))
    assert run.fault is not None
    assert run.fault.message == "is ***"
    slipway.close()
    assert b"hunter-2" not in record.kept(tmp_path / "state")
    assert "hunter-2" not in "".join(told)


def test_old_runs_are_pruned_and_those_that_stand_stay(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    stands = slipway.runs.run(workflow(make(tmp_path, "one"), name="stands"))
    failed = slipway.runs.run(workflow(make(tmp_path, "two") + FAIL, name="failed"))
    assert slipway.runs.prune(older_than=3600) == []
    assert [run.id for run in slipway.runs.prune(older_than=0)] == [failed.id]
    assert [run.id for run in slipway.runs.list()] == [stands.id]


def test_the_build_of_an_instance_is_no_run_of_its_own(slipway: Orchestrator, workflow: Workflow) -> None:
    steps = """
  - {id: schedule, uses: schedule}
  - {id: claim, uses: claim, with: {placement: "${{ steps.schedule.outputs }}"}}
  - {id: finish, uses: finish, with: {vifs: []}}
"""
    flow = workflow(steps, "inputs: {instance: {type: instance, required: true}}")
    with pytest.raises(errors.InvalidRequest, match="name it as `workflow:` in a run file"):
        slipway.runs.run(flow)


def test_who_listens_is_told_of_each_step_once(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    steps = "  - {id: word, uses: set, with: {value: 1}}\n  - {id: ask, uses: pause, with: {message: 'shall it?'}}\n"
    told: list[tuple[str, str]] = []
    run = slipway.runs.run(
        workflow(make(tmp_path, "one") + steps), on_event=lambda event: told.append((event.type, event.step))
    )
    slipway.runs.approve(run.id, on_event=lambda event: told.append((event.type, event.step)))
    ends = [step for type_, step in told if type_ == "step.end"]
    assert ends == ["one", "word", "ask"]


def test_of_a_run_that_was_taken_back_all_steps_are_done_again_also_those_without_an_undo(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    (tmp_path / "seen").write_text("old")
    look = f"  - {{id: look, uses: command, with: {{argv: [cat, '{tmp_path}/seen']}}}}\n"
    ask = "  - {id: ask, uses: pause, with: {message: 'shall it?'}}\n"
    wait = f"  - {{id: wait, uses: wait-for, with: {{file: '{tmp_path}/seen'}}}}\n"
    check = "  - {id: check, uses: assert, with: {that: '${{ steps.look.outputs.stdout == \"new\" }}', message: old}}\n"
    last = f"finally:\n  - {{id: last, uses: command, with: {{argv: [sh, -c, 'echo x >> {tmp_path}/last']}}}}"
    run = slipway.runs.run(workflow(look + wait + ask + check, last))
    assert slipway.runs.approve(run.id).state == "FAILED"
    (tmp_path / "seen").write_text("new")
    assert slipway.runs.retry(run.id).state == "PAUSED"
    done = slipway.runs.approve(run.id)
    assert (done.state, done.fault) == ("SUCCEEDED", None)
    assert (tmp_path / "last").read_text() == "x\nx\n"


def test_a_run_that_was_taken_back_is_pruned_whatever_could_not_be(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    touch = f"  - {{id: one, uses: command, with: {{argv: [touch, '{tmp_path}/one']}}}}\n"
    failed = slipway.runs.run(workflow(touch + FAIL, name="failed"))
    done = slipway.runs.run(workflow(touch, name="done"))
    assert (failed.state, done.state) == ("FAILED", "SUCCEEDED")
    assert [run.id for run in slipway.runs.prune(older_than=0)] == [failed.id]

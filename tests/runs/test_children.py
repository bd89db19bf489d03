"""Workflows that use others: runs of their own, begun, waited for and undone by the steps that use them."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.orchestrator import Orchestrator
from tests import record
from tests.runs.conftest import Workflow
from tests.runs.test_runs import FAIL, files, make, outputs


def use(name: str, more: str = "") -> str:
    return f"  - {{id: use-{name}, uses: ./{name}.yaml{more}}}\n"


def test_a_part_is_a_run_of_its_own_and_gives_its_outputs(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    takes = "inputs: {word: {type: string, required: true}}\noutputs: {said: '${{ inputs.word }}!'}"
    workflow(make(tmp_path, "one"), takes, name="inner")
    whole = workflow(use("inner", ", with: {word: well}"), "outputs: {said: '${{ steps.use-inner.outputs.said }}'}")
    run = slipway.runs.run(whole)
    assert (run.state, outputs(run)) == ("SUCCEEDED", {"said": "well!"}), run.fault
    assert [(one.name, one.parent_id) for one in slipway.runs.list()] == [("flow", None), ("inner", run.id)]
    assert slipway.runs.undo(run.id).state == "CANCELLED"
    assert [one.state for one in slipway.runs.list()] == ["CANCELLED", "CANCELLED"]
    assert files(tmp_path) == set()


def test_a_failure_in_a_part_undoes_the_whole_and_is_its_cause(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    workflow(make(tmp_path, "two") + FAIL, name="inner")
    run = slipway.runs.run(workflow(make(tmp_path, "one") + use("inner")))
    assert run.state == "FAILED"
    assert run.fault is not None
    assert (run.fault.type, run.fault.step) == ("ChildFailed", "use-inner")
    assert "ConditionFailed: it is not so" in run.fault.message
    assert files(tmp_path) == set()


def test_what_follows_a_part_undoes_it(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    workflow(make(tmp_path, "two"), name="inner")
    workflow(use("inner"), name="middle")
    run = slipway.runs.run(workflow(use("middle") + FAIL))
    assert run.state == "FAILED"
    assert {one.state for one in slipway.runs.list()} == {"FAILED", "CANCELLED"}
    assert files(tmp_path) == set()


@pytest.mark.parametrize("verb", ["approve", "cancel", "reject"])
def test_a_pause_in_a_part_pauses_the_whole(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path, verb: str
) -> None:
    workflow("  - {id: ask, uses: pause, with: {message: 'shall it?'}}\n" + make(tmp_path, "two"), name="inner")
    run = slipway.runs.run(workflow(make(tmp_path, "one") + use("inner")))
    assert (run.state, run.waits_for) == ("PAUSED", "shall it?")
    done = getattr(slipway.runs, verb)(run.id)
    assert done.state == {"approve": "SUCCEEDED", "cancel": "CANCELLED", "reject": "FAILED"}[verb]
    assert files(tmp_path) == ({"one", "two"} if verb == "approve" else set())


def test_a_part_that_sleeps_is_waited_for(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    workflow("  - {id: nap, uses: sleep, with: {for: 300ms}}\n" + make(tmp_path, "two"), name="inner")
    assert slipway.runs.run(workflow(use("inner"))).state == "SUCCEEDED"
    assert files(tmp_path) == {"two"}


def test_secrets_of_the_whole_are_secrets_of_its_parts(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    takes = "inputs: {word: {type: string, required: true}}\noutputs: {said: '${{ steps.say.outputs.stdout }}'}"
    workflow("  - {id: say, uses: command, with: {argv: [printf, '${{ inputs.word }}']}}\n", takes, name="inner")
    same = '${{ steps["use-inner"].outputs.said == inputs.token }}'
    check = f"  - {{id: same, uses: assert, with: {{that: '{same}', message: never}}}}\n"
    whole = workflow(
        use("inner", ", with: {word: '${{ inputs.token }}'}") + check,
        "inputs: {token: {type: secret, required: true}}",
    )
    run = slipway.runs.run(whole, {"token": "hunter-2"})
    assert run.state == "SUCCEEDED", run.fault
    slipway.close()
    assert b"hunter-2" not in record.kept(tmp_path / "state")


def test_a_whole_is_pruned_with_its_parts(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    workflow(make(tmp_path, "two"), name="inner")
    run = slipway.runs.run(workflow(use("inner") + FAIL))
    assert [one.id for one in slipway.runs.prune(older_than=0)] == [run.id]
    assert slipway.runs.list() == []


def test_a_part_that_cannot_be_undone_says_why_in_the_whole(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    """Also where nothing had failed before."""
    inverse = f"{{uses: command, with: {{argv: [rmdir, '{tmp_path}/dir']}}}}"
    fill = f"{{argv: [mkdir, -p, '{tmp_path}/dir/x']}}"
    workflow(f"  - {{id: dir, uses: command, with: {fill}, revert: {inverse}}}\n", name="inner")
    workflow(use("inner"), name="middle")
    run = slipway.runs.run(workflow(use("middle")))
    undone = slipway.runs.undo(run.id)
    assert undone.state == "STUCK"
    assert undone.fault is not None
    assert f"rmdir: failed to remove '{tmp_path}/dir'" in undone.fault.message

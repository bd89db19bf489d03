"""Secrets of runs that have ended, and are undone or tried again: they are given once more, or it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import InvalidRequest, SecretGone
from slipway.flows.runs.prepared import Given
from slipway.testing import Fault, Faults, Mode, crashed
from tests import record
from tests.runs.conftest import Workflow

KEY = "hunter-2 'quoted' \" as JSON\n"
INPUTS = "inputs: {key: {type: secret, required: true}, pin: {type: secret}}"
STEP = """
  - id: it
    uses: command
    with: {{argv: [sh, -c, 'printf %s "$0" >"$1"', '${{{{ inputs.key }}}}', {dir}/made]}}
    revert: {{uses: command, with: {{argv: [sh, -c, 'printf %s "$0" >"$1"', {back}, {dir}/undone]}}}}
"""
NEEDING = "'key ${{ inputs.key }}'"


def undone(tmp_path: Path) -> str:
    return (tmp_path / "undone").read_text()


def test_what_takes_a_secret_is_undone_with_it_and_refused_without(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path
) -> None:
    path = workflow(STEP.format(dir=tmp_path, back=NEEDING), INPUTS)
    run = slipway.runs.run(path, {"key": KEY, "pin": "1234"})
    assert run.state == "SUCCEEDED", run.fault
    with pytest.raises(SecretGone, match=r"but the secret key is kept no longer than a run goes on$"):
        slipway.runs.undo(run.id)
    with pytest.raises(SecretGone):
        slipway.runs.undo(run.id, {"pin": "1234"})
    with pytest.raises(InvalidRequest, match="there is no such input"):
        slipway.runs.undo(run.id, {"other": "x"})
    assert slipway.runs.get(run.id).state == "SUCCEEDED"
    after = slipway.runs.undo(run.id, {"key": KEY})
    assert (after.state, after.fault, after.secrets) == ("CANCELLED", None, None)
    assert undone(tmp_path) == f"key {KEY}"
    everything = record.kept(tmp_path / "state")
    assert b"hunter-2" not in everything


def test_what_takes_none_is_undone_without(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    """Though the step itself was given one."""
    run = slipway.runs.run(workflow(STEP.format(dir=tmp_path, back="plain"), INPUTS), {"key": KEY})
    assert slipway.runs.undo(run.id).state == "CANCELLED"
    assert undone(tmp_path) == "plain"


def part(workflow: Workflow, tmp_path: Path, given: str) -> str:
    """A workflow whose part takes a secret that is made of its own so, and its undo as well."""
    inner = "inputs: {mine: {type: secret, required: true}}"
    step = STEP.format(dir=tmp_path, back="'key ${{ inputs.mine }}'").replace("inputs.key", "inputs.mine")
    workflow(step, inner, "part")
    return workflow(f"  - {{id: part, uses: ./part.yaml, with: {{mine: {given}}}}}\n", INPUTS)


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ("'${{ inputs.key }}'", KEY),
        ("'Bearer ${{ inputs.key }}'", f"Bearer {KEY}"),
        ("\"${{ inputs.key + 'x' }}\"", f"{KEY}x"),
    ],
    ids=["the same", "text around it", "an expression"],
)
def test_a_part_is_undone_with_the_secret_of_the_whole(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path, given: str, then: str
) -> None:
    run = slipway.runs.run(part(workflow, tmp_path, given), {"key": KEY})
    assert run.state == "SUCCEEDED", run.fault
    with pytest.raises(SecretGone, match="the secret key is kept no longer"):
        slipway.runs.undo(run.id)
    after = slipway.runs.undo(run.id, Given(texts=(f"key={KEY}",)))
    assert after.state == "CANCELLED", after.fault
    assert undone(tmp_path) == f"key {then}"


def test_what_nobody_can_give_again_is_refused(slipway: Orchestrator, workflow: Workflow, tmp_path: Path) -> None:
    """No text of the whole's is in it; nothing else is put in its place."""
    run = slipway.runs.run(part(workflow, tmp_path, "\"${{ inputs.key == '' ? 'empty' : 'filled' }}\""), {"key": KEY})
    assert run.state == "SUCCEEDED", run.fault
    with pytest.raises(SecretGone, match="the secret mine"):
        slipway.runs.undo(run.id, {"key": KEY})
    assert not (tmp_path / "undone").exists()


def test_an_undo_that_is_killed_goes_on_with_the_secret(workflow: Workflow, tmp_path: Path) -> None:
    path = workflow(STEP.format(dir=tmp_path, back=NEEDING), INPUTS)
    with Orchestrator(tmp_path / "state", allow_commands=True) as slipway:
        run = slipway.runs.run(path, {"key": KEY})

    def undo() -> None:
        store = Faults(Fault("commit", Mode.CRASH_AFTER, 0)).store
        with Orchestrator(tmp_path / "state", allow_commands=True, store=store) as slipway:
            slipway.runs.undo(run.id, {"key": KEY})

    assert crashed(undo)
    with Orchestrator(tmp_path / "state", allow_commands=True) as slipway:
        (after,) = slipway.runs.resume()
    assert (after.state, after.secrets) == ("CANCELLED", None)
    assert undone(tmp_path) == f"key {KEY}"


@pytest.mark.parametrize("short", ["a", "abc"])
def test_a_secret_that_would_be_in_every_text_is_refused(
    slipway: Orchestrator, workflow: Workflow, tmp_path: Path, short: str
) -> None:
    path = workflow(STEP.format(dir=tmp_path, back="plain"), INPUTS)
    with pytest.raises(InvalidRequest) as caught:
        slipway.runs.run(path, {"key": short})
    assert "key: must have at least 4 characters: a shorter one would be masked in every text" in str(caught.value)
    assert slipway.runs.list() == []
    assert slipway.runs.run(path, {"key": "four", "pin": ""}).state == "SUCCEEDED"

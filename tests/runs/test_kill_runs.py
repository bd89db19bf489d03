"""kill -9 at every commit of every verb of runs; then somebody goes on, and what is on record is what is there."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import RunRefused
from slipway.model.run import RunRecord
from slipway.operations.runs import Runs
from slipway.testing import Fault, Faults, Mode, crashed
from tests.told import wrong_with

STEP = """
  - id: {id}
    uses: command
    with: {{argv: [touch, "{dir}/{id}"]}}
    revert: {{uses: command, with: {{argv: [rm, -f, "{dir}/{id}"]}}}}
"""
PAUSE = "  - {id: ask, uses: pause, with: {message: 'go on?'}}\n"
NAP = "  - {id: nap, uses: sleep, with: {for: 1ms}}\n"
CHECK = "  - {id: check, uses: assert, with: {that: '${{ inputs.good }}', message: never}}\n"
LAST = "finally:\n  - {{id: last, uses: command, with: {{argv: [touch, '{dir}/last']}}}}\n"


@dataclass(frozen=True)
class Scenario:
    """What is there before the verb, what the verb is, and how the run may end; `steps` have a step between two."""

    name: str
    between: str
    before: Callable[[Runs, str], object]
    verb: Callable[[Runs, str], object]
    ends: str
    last: bool = False

    def text(self, directory: Path) -> str:
        one, two = (STEP.format(id=one, dir=directory) for one in ("one", "two"))
        inputs = "inputs: {good: {type: boolean, default: false}}"
        last = LAST.format(dir=directory) if self.last else ""
        return f"schema: 1\nname: flow\n{inputs}\nsteps:\n{one}{self.between}{two}{last}"


def nothing(_runs: Runs, _flow: str) -> None:
    """The verb is the first thing that happens."""


def begin(runs: Runs, flow: str) -> RunRecord:
    return runs.run(flow, {"good": False}, idempotency_key="once")


def only(runs: Runs) -> RunRecord:
    (run,) = runs.list()
    return run


def tell(verb: str, runs: Runs, _flow: str) -> None:
    """Tell the run something, once more where nobody knows whether it was heard."""
    run = only(runs)
    try:
        getattr(runs, verb)(run.id)
    except RunRefused:
        runs.wait(run.id)


def retry(runs: Runs, _flow: str) -> None:
    run = only(runs)
    try:
        runs.retry(run.id, {"good": True})
    except RunRefused:
        runs.wait(run.id)


SCENARIOS = (
    Scenario("forward", NAP, nothing, begin, "SUCCEEDED", last=True),
    Scenario("back", CHECK, nothing, begin, "FAILED", last=True),
    Scenario("cancel", PAUSE, begin, partial(tell, "cancel"), "CANCELLED", last=True),
    Scenario("approve", PAUSE, begin, partial(tell, "approve"), "SUCCEEDED"),
    Scenario("reject", PAUSE, begin, partial(tell, "reject"), "FAILED"),
    Scenario("retry", CHECK, begin, retry, "SUCCEEDED"),
    Scenario("undo", NAP, begin, partial(tell, "undo"), "CANCELLED"),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_run_survives_a_kill_at_every_commit(scenario: Scenario, tmp_path: Path) -> None:
    files, state, begun = tmp_path / "files", tmp_path / "state", tmp_path / "begun"
    flow = tmp_path / "flow.yaml"
    flow.write_text(scenario.text(files))
    files.mkdir()
    with Orchestrator(begun / "state", allow_commands=True) as slipway:
        scenario.before(slipway.runs, str(flow))
    shutil.copytree(files, begun / "files")
    points = 0
    for mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        nth = 0
        while True:
            for name in ("state", "files"):
                shutil.rmtree(tmp_path / name, ignore_errors=True)
                shutil.copytree(begun / name, tmp_path / name)
            if not crashed(partial(_act, scenario, state, flow, Fault("commit", mode, nth))):
                break
            assert wrong_with(state / "slipway.db") == [], f"{mode}:{nth}"
            with Orchestrator(state, allow_commands=True) as slipway:
                slipway.runs.resume()
                scenario.verb(slipway.runs, str(flow))
                _check(scenario, only(slipway.runs), state, files, f"{mode}:{nth}")
            nth += 1
        points += nth
    assert points >= 8


@pytest.mark.parametrize("name", ["retry", "undo"])
def test_what_goes_on_after_its_end_is_resumed_as_any_run(name: str, tmp_path: Path) -> None:
    """Nobody types the command once more."""
    (scenario,) = (one for one in SCENARIOS if one.name == name)
    files, flow = tmp_path / "files", tmp_path / "flow.yaml"
    flow.write_text(scenario.text(files))
    files.mkdir()
    with Orchestrator(tmp_path / "state", allow_commands=True) as slipway:
        scenario.before(slipway.runs, str(flow))
    assert crashed(partial(_act, scenario, tmp_path / "state", flow, Fault("commit", Mode.CRASH_AFTER, 0)))
    with Orchestrator(tmp_path / "state", allow_commands=True) as slipway:
        assert [run.state for run in slipway.unfinished_runs()] == ["RUNNING" if name == "retry" else "REVERTING"]
        assert [run.state for run in slipway.runs.resume()] == [scenario.ends]
        assert not slipway.unfinished_runs()


def _act(scenario: Scenario, state: Path, flow: Path, fault: Fault) -> None:
    with Orchestrator(state, allow_commands=True, store=Faults(fault).store) as slipway:
        scenario.verb(slipway.runs, str(flow))


def _check(scenario: Scenario, run: RunRecord, state: Path, files: Path, point: str) -> None:
    assert run.state == scenario.ends, (point, run)
    assert wrong_with(state / "slipway.db") == [], point
    kept = {"one", "two"} if scenario.ends == "SUCCEEDED" else set()
    assert {path.name for path in files.iterdir()} == kept | ({"last"} if scenario.last else set()), point
    with closing(sqlite3.connect(state / "slipway.db")) as db:
        unsettled = "SELECT key FROM effects WHERE state IN ('intended', 'stuck')"
        left = [key for (key,) in db.execute(unsettled) if not key.endswith(("/ask/0",))]
        assert (left, db.execute("SELECT count(*) FROM runs").fetchone()) == ([], (1,)), point


def test_items_that_an_expression_gives_are_the_same_in_another_process(tmp_path: Path) -> None:
    """In expressions mappings have no order, which another process would find to be another one."""
    flow, state, files = tmp_path / "flow.yaml", tmp_path / "state", tmp_path / "files"
    files.mkdir()
    names = [f"n{number}" for number in range(12)]
    flow.write_text(
        f"schema: 1\nname: flow\ninputs: {{names: {{type: map, default: {{{', '.join(f'{n}: 1' for n in names)}}}}}}}\n"
        "steps:\n  - id: each\n    uses: command\n    for_each: ${{ inputs.names.map(n, n) }}\n"
        f"    with: {{argv: [touch, '{files}/${{{{ item }}}}']}}\n"
    )
    program = (
        "import sys; from slipway import Orchestrator; from slipway.testing import Fault, Faults, Mode\n"
        "store = Faults(Fault('commit', Mode.CRASH_AFTER, 13)).store\n"
        "with Orchestrator(sys.argv[1], allow_commands=True, store=store) as slipway: slipway.runs.run(sys.argv[2])"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(state), str(flow)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert 0 < len(list(files.iterdir())) < len(names)
    with Orchestrator(state, allow_commands=True) as slipway:
        (run,) = slipway.runs.resume()
        assert run.state == "SUCCEEDED", run.fault
    assert sorted(path.name for path in files.iterdir()) == sorted(names)

"""kill -9 at every commit of every verb of runs; then somebody goes on, and what is on record is what is there."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import BuildInterrupted, RunRefused
from slipway.model.run import RunRecord
from slipway.operations.runs import Runs
from slipway.testing import Fault, Faults, Mode, crashed
from tests import record
from tests.told import wrong_with

STEP = """
  - id: {id}
    uses: command
    with: {{argv: [touch, "{dir}/{id}"]}}
    revert: {{uses: command, with: {{argv: [rm, -f, "{dir}/{id}"]}}}}
"""
PAUSE = "  - {id: ask, uses: pause, with: {message: 'go on?'}}\n"
NAP = "  - {id: nap, uses: sleep, with: {for: 1ms}}\n"
SLEEP = "  - {id: sleep, uses: sleep, with: {for: 1h}}\n"
PART = "  - {id: part, uses: ./part.yaml}\n"
CHECK = "  - {id: check, uses: assert, with: {that: '${{ inputs.good }}', message: never}}\n"
SOME = 3
"""At every third commit it is killed each time, before one and after the next; at all of them by `-m slow`."""
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
    slept: float = 0.0
    """Seconds that have passed when the verb comes."""

    @property
    def parts(self) -> frozenset[str]:
        """What the steps of its part make."""
        return frozenset({"three"} if self.between == PART else ())

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.slept)

    def write(self, flow: Path, directory: Path) -> None:
        """Write it, with its part beside it."""
        one, two, three = (STEP.format(id=one, dir=directory) for one in ("one", "two", "three"))
        inputs = "inputs: {good: {type: boolean, default: false}}"
        last = LAST.format(dir=directory) if self.last else ""
        flow.write_text(f"schema: 1\nname: flow\n{inputs}\nsteps:\n{one}{self.between}{two}{last}")
        flow.with_name("part.yaml").write_text(f"schema: 1\nname: part\nsteps:\n{three}{PAUSE}")


def nothing(_runs: Runs, _flow: str) -> None:
    """The verb is the first thing that happens."""


def begin(runs: Runs, flow: str) -> RunRecord:
    return runs.run(flow, {"good": False}, idempotency_key="once")


def begin_and_approve(runs: Runs, flow: str) -> None:
    begin(runs, flow)
    tell("approve", runs, flow)


def only(runs: Runs) -> RunRecord:
    """The run, which may have parts."""
    (run,) = [run for run in runs.list() if run.parent_id is None]
    return run


def fall_asleep(runs: Runs, flow: str) -> None:
    """Its process ends: nobody waits in it."""
    with pytest.raises(BuildInterrupted):
        runs.run(flow, {"good": False}, idempotency_key="once", stopping=lambda: only(runs).state == "PAUSED")


def be_left(runs: Runs, flow: str) -> None:
    """Its worker is gone in the middle, and nobody has gone on with it."""
    stop = iter([False, False, True])
    with pytest.raises(BuildInterrupted):
        runs.run(flow, {"good": False}, idempotency_key="once", stopping=lambda: next(stop, True))


def wake(runs: Runs, _flow: str) -> None:
    runs.resume()


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
    Scenario("sleep", SLEEP, nothing, fall_asleep, "PAUSED"),
    Scenario("wake", SLEEP, fall_asleep, wake, "SUCCEEDED", last=True, slept=3601),
    Scenario("cancel-asleep", SLEEP, fall_asleep, partial(tell, "cancel"), "CANCELLED", last=True),
    Scenario("cancel-left", SLEEP, be_left, partial(tell, "cancel"), "CANCELLED", last=True),
    Scenario("approve-part", PART, begin, partial(tell, "approve"), "SUCCEEDED"),
    Scenario("reject-part", PART, begin, partial(tell, "reject"), "FAILED", last=True),
    Scenario("cancel-part", PART, begin, partial(tell, "cancel"), "CANCELLED", last=True),
    Scenario("undo-part", PART, begin_and_approve, partial(tell, "undo"), "CANCELLED"),
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize(
    "every", [pytest.param(True, marks=pytest.mark.slow, id="every"), pytest.param(False, id="some")]
)
def test_a_run_survives_a_kill_at_its_commits(
    scenario: Scenario, tmp_path: Path, record_property: Callable[[str, object], None], *, every: bool
) -> None:
    files, state, begun = tmp_path / "files", tmp_path / "state", tmp_path / "begun"
    flow = tmp_path / "flow.yaml"
    scenario.write(flow, files)
    files.mkdir()
    with Orchestrator(begun / "state", allow_commands=True) as slipway:
        scenario.before(slipway.runs, str(flow))
    shutil.copytree(files, begun / "files")
    points = 0
    for mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        nth = 0 if every else int(mode is Mode.CRASH_AFTER)
        while True:
            for name in ("state", "files"):
                shutil.rmtree(tmp_path / name, ignore_errors=True)
                record.copy(begun / name, tmp_path / name)
            if not crashed(partial(_act, scenario, state, flow, Fault("commit", mode, nth))):
                break
            assert wrong_with(state / "slipway.db") == [], f"{mode}:{nth}"
            with Orchestrator(state, allow_commands=True, clock=scenario.now) as slipway:
                slipway.runs.resume()
                scenario.verb(slipway.runs, str(flow))
                _check(scenario, only(slipway.runs), state, files, f"{mode}:{nth}")
            nth, points = nth + (1 if every else SOME), points + 1
    record_property("points", points)
    print(f"\n{scenario.name}: killed at {points} points")
    assert points >= (8 if every else 2)


@pytest.mark.parametrize("name", ["retry", "undo"])
def test_what_goes_on_after_its_end_is_resumed_as_any_run(name: str, tmp_path: Path) -> None:
    """Nobody types the command once more."""
    (scenario,) = (one for one in SCENARIOS if one.name == name)
    files, flow = tmp_path / "files", tmp_path / "flow.yaml"
    scenario.write(flow, files)
    files.mkdir()
    with Orchestrator(tmp_path / "state", allow_commands=True) as slipway:
        scenario.before(slipway.runs, str(flow))
    assert crashed(partial(_act, scenario, tmp_path / "state", flow, Fault("commit", Mode.CRASH_AFTER, 0)))
    with Orchestrator(tmp_path / "state", allow_commands=True) as slipway:
        assert [run.state for run in slipway.unfinished_runs()] == ["RUNNING" if name == "retry" else "REVERTING"]
        assert [run.state for run in slipway.runs.resume()] == [scenario.ends]
        assert not slipway.unfinished_runs()


def _act(scenario: Scenario, state: Path, flow: Path, fault: Fault) -> None:
    store = Faults(fault).store
    with Orchestrator(state, allow_commands=True, store=store, clock=scenario.now) as slipway:
        scenario.verb(slipway.runs, str(flow))


def _check(scenario: Scenario, run: RunRecord, state: Path, files: Path, point: str) -> None:
    assert run.state == scenario.ends, (point, run)
    assert wrong_with(state / "slipway.db") == [], point
    kept = {"SUCCEEDED": {"one", "two", *scenario.parts}, "PAUSED": {"one"}}.get(scenario.ends, set())
    assert {path.name for path in files.iterdir()} == kept | ({"last"} if scenario.last else set()), point
    with closing(record.opened(state / "slipway.db")) as db:
        unsettled = "SELECT key FROM effects WHERE state IN ('intended', 'stuck')"
        left = [key for (key,) in db.execute(unsettled) if not key.endswith(("/ask/0", "/sleep/0"))]
        assert left == [], point
        number = db.execute("SELECT count(*), count(parent_id) FROM runs").fetchone()
        assert number == (1 + len(scenario.parts), len(scenario.parts)), point


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

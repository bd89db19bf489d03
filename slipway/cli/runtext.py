"""What is said of a run at its end, and when somebody looks at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from slipway.cli.advice import Advice, write_advice
from slipway.cli.failures import Code
from slipway.cli.options import Options
from slipway.cli.output import print_json, seconds_text
from slipway.cli.say import say, shown
from slipway.model.record import Effect
from slipway.model.run import RunRecord
from slipway.states.run_machine import RunState
from slipway.texts import MASK

SHORT = 8
"""How much of a run's id is shown; it is enough to name it by."""

CODES = {
    RunState.SUCCEEDED: Code.DONE,
    RunState.CANCELLED: Code.FAILED,
    RunState.FAILED: Code.FAILED,
    RunState.STUCK: Code.STUCK,
    RunState.PAUSED: Code.WAITING,
}


def run_json(run: RunRecord) -> dict[str, Any]:
    """A run for programs; secrets are masked."""
    return {
        "id": run.id,
        "workflow": run.name,
        "file": run.workflow,
        "instance": run.instance,
        "project": run.project,
        "state": run.state,
        "attempt": run.attempt,
        "inputs": _inputs(run),
        "outputs": _decoded(run.outputs),
        "fault": run.fault,
        "waits_for": run.waits_for,
        "wake_at": run.wake_at,
        "asked_by": run.asked_by or None,
        "idempotency_key": run.idempotency_key,
        "parent": run.parent_id,
        "created_at": run.created_at,
        "ended_at": run.ended_at,
    }


def _inputs(run: RunRecord) -> dict[str, Any]:
    """What it was begun with; of a change of an instance what that is in words, for the rest is the instance's."""
    given: dict[str, Any] = _decoded(run.inputs) or {}
    return given if run.instance is None else {name: given[name] for name in ("what",) if name in given}


def _decoded(content: bytes | None) -> Any:
    """What is on record as JSON, with the mask where a secret was."""
    return None if content is None else _masked(msgspec.json.decode(content))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        head, *rest = value.split("\x01")
        return head + "".join(MASK if at % 2 == 0 else part for at, part in enumerate(rest)) if rest else value
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if isinstance(value, dict):
        return {key: _masked(one) for key, one in value.items()}
    return value


def conclude(
    runs: Sequence[RunRecord],
    options: Options,
    *,
    wanted: Sequence[RunState] = (),
    interrupted: bool = False,
    allow_commands: bool = False,
) -> Code:
    """Tell how each run stands, and what to type next; gives the exit code. `wanted`: the states that are success."""
    codes = [Code.DONE if run.state in wanted else CODES.get(RunState(run.state), Code.INTERRUPTED) for run in runs]
    codes += [Code.INTERRUPTED] if interrupted else []
    code = max(codes, default=Code.DONE, key=[Code.DONE, Code.WAITING, Code.FAILED, Code.STUCK, Code.INTERRUPTED].index)
    if options.json:
        print_json({"event": "result", "exit_code": code, "runs": [run_json(run) for run in runs]})
        return code
    for run in runs:
        for line in ending(run):
            say(shown(line))
    allowed = ("--allow-commands",) if allow_commands else ()
    write_advice(options, [advice for run in runs for advice in after_run(run, allowed)])
    return code


def ending(run: RunRecord) -> Sequence[str]:
    """How a run stands in words."""
    lines = [f"run {run.id[:SHORT]} of {doing(run)}: {run.state}"]
    if run.fault is not None:
        step = f", step {run.fault.step}" if run.fault.step else ""
        lines.append(f"  {run.fault.type}{step}: {run.fault.message}")
        lines += [f"  then {later}" for later in run.fault.later]
    if run.state == RunState.SUCCEEDED:
        lines += [f"  {name}: {_written(value)}" for name, value in (_decoded(run.outputs) or {}).items()]
    if run.state == RunState.PAUSED and run.fault is None:
        what = f"until {run.wake_at:%Y-%m-%d %H:%M:%S} UTC" if run.wake_at else f"for an answer: {run.waits_for}"
        lines.append(f"  it waits {what}")
    return lines


def doing(run: RunRecord) -> str:
    """What it does: a workflow's name, or the build, stop, start, reboot or delete of an instance."""
    return f"{run.name} {run.instance}" if run.instance else run.name


def described(run: RunRecord) -> Sequence[tuple[str, str]]:
    """What it goes by and when it did, labelled."""
    inputs = [f"{name}={_written(value)}" for name, value in _inputs(run).items() if value is not None]
    rows = [
        ("file", "" if run.workflow == run.name else run.workflow),
        ("inputs", "\n".join(inputs)),
        ("project", run.project),
        ("asked by", run.asked_by or ""),
        ("key", run.idempotency_key or ""),
        ("part of", run.parent_id[:SHORT] if run.parent_id else ""),
        ("attempt", str(run.attempt) if run.attempt > 1 else ""),
        ("began", f"{run.created_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("ended", f"{run.ended_at:%Y-%m-%d %H:%M:%S} UTC" if run.ended_at else ""),
    ]
    return [(label, text) for label, text in rows if text]


def effect_row(effect: Effect) -> tuple[str, str, str, str, str]:
    """Step, state, kind, how long it took and what went wrong."""
    step = effect.step + (f"[{effect.slot}]" if effect.slot > 0 else "")
    took = ""
    if effect.started_at and effect.finished_at:
        took = seconds_text((effect.finished_at - effect.started_at).total_seconds())
    return step, effect.state, effect.kind, took, effect.error or ""


def _written(value: Any) -> str:
    """A text as it is, all else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def after_run(run: RunRecord, options: tuple[str, ...] = ()) -> Iterator[Advice]:
    """What to type when a run stands so, with these options."""
    short = run.id[:SHORT]
    match RunState(run.state):
        case _ if run.instance is not None:
            yield ("show", run.instance), "see the instance and all that is on record about it"
        case _ if run.parent_id is not None:
            yield ("runs", "show", run.parent_id[:SHORT]), "see the run that this one is a part of"
        case RunState.PAUSED if run.wake_at is not None:
            yield ("resume", *options), "have it go on, once its time has come"
            yield ("runs", "cancel", short, *options), "undo what it did"
        case RunState.PAUSED if run.waits_at is not None:
            yield ("runs", "approve", short, *options), "have it go on"
            yield ("runs", "reject", short, *options), "undo what it did"
        case RunState.PAUSED:
            yield ("runs", "retry", short, *options), "do the step that failed again, once its cause is mended"
            yield ("runs", "cancel", short, *options), "undo what it did"
        case RunState.FAILED:
            yield ("runs", "retry", short, *options), "do it again, once the cause is mended"
        case RunState.STUCK:
            yield ("runs", "undo", short, *options), "try again to undo what is stuck, once its cause is mended"
            yield ("runs", "show", short), "see all that is on record about it"
        case RunState.RUNNING | RunState.REVERTING:
            yield ("resume", *options), "go on where this stopped"

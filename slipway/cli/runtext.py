"""What is said of a run: while it goes on, at its end, and when somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from slipway.cli.failures import Code
from slipway.cli.options import Options
from slipway.cli.output import print_json, seconds_text
from slipway.cli.say import say, shown
from slipway.cli.telling import Progress, event_json
from slipway.model.record import Event
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
        "project": run.project,
        "state": run.state,
        "attempt": run.attempt,
        "inputs": _decoded(run.inputs),
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


class RunProgress(Progress):
    """A line for each step that ends, or a JSON object an event."""

    def __init__(self, options: Options) -> None:
        """How the options say."""
        super().__init__()
        self._json = options.json
        self._began: dict[tuple[str, str], datetime] = {}

    def tell(self, event: Event) -> None:
        """Say what is worth reading."""
        if self._json:
            print_json(event_json(event))
        elif (text := self._text(event)) is not None:
            say(shown(text))

    def _text(self, event: Event) -> str | None:
        key = (event.run_id, event.step)
        match event.type:
            case "run.start":
                return f"run {event.run_id[:SHORT]} of {event.name}"
            case "run.state" if event.vm_state == RunState.PAUSED:
                return f"  paused: {event.message}"
            case "step.start":
                self._began.setdefault(key, event.at)
            case "step.end":
                began = self._began.pop(key, event.at)
                return f"  {event.step}: {event.message} ({seconds_text((event.at - began).total_seconds())})"
            case "step.say":
                return f"  {event.step}: {event.message}"
            case "step.error":
                return f"  {event.step} failed: {event.message}"
            case "step.undo":
                return f"  {event.step} undone" if not event.message else f"  {event.step} {event.message}"
        return None


def conclude(runs: Sequence[RunRecord], options: Options, *, wanted: Sequence[RunState] = ()) -> Code:
    """Tell how each run stands, and what to type next; gives the exit code. `wanted`: the states that are success."""
    codes = [Code.DONE if run.state in wanted else CODES.get(RunState(run.state), Code.INTERRUPTED) for run in runs]
    code = max(codes, default=Code.DONE, key=[Code.DONE, Code.WAITING, Code.FAILED, Code.STUCK, Code.INTERRUPTED].index)
    if options.json:
        print_json({"event": "result", "exit_code": code, "runs": [run_json(run) for run in runs]})
        return code
    for run in runs:
        for line in ending(run, options.command):
            say(shown(line))
    return code


def ending(run: RunRecord, command: Callable[..., str]) -> Sequence[str]:
    """How a run stands in words."""
    short = run.id[:SHORT]
    lines = [f"run {short} of {run.name}: {run.state}"]
    if run.fault is not None:
        step = f", step {run.fault.step}" if run.fault.step else ""
        lines.append(f"  {run.fault.type}{step}: {run.fault.message}")
        lines += [f"  then {later}" for later in run.fault.later]
    outputs = _decoded(run.outputs)
    lines += [f"  {name}: {value}" for name, value in (outputs or {}).items()]
    match RunState(run.state):
        case RunState.PAUSED if run.wake_at is not None:
            lines.append(f"  it goes on at {run.wake_at:%Y-%m-%d %H:%M:%S} UTC: {command('resume')}")
        case RunState.PAUSED if run.waits_at is not None:
            lines.append(f"  it waits: {run.waits_for}")
            lines.append(f"  {command('runs', 'approve', short)}, or {command('runs', 'reject', short)}")
        case RunState.PAUSED | RunState.FAILED:
            lines.append(f"  to try again: {command('runs', 'retry', short)}")
        case RunState.STUCK:
            lines.append(f"  mend what holds it, then: {command('runs', 'undo', short)}")
        case RunState.RUNNING | RunState.REVERTING:
            lines.append(f"  it is not at its end: {command('resume')}")
    return lines

"""What a fault's class promises, beyond what holds always: where the instances end, and with which error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from slipway.drill.cases import CRASHES, GOING, VARIANTS, Case, Scenario
from slipway.drill.explore import Stage
from slipway.drill.problem import Problem
from slipway.drill.things import Row, Things
from slipway.flows.tasks.catalog import BY_KIND
from slipway.states.machines import Move
from slipway.testing import COMMIT, Mode


def lasting_kinds() -> frozenset[str]:
    """The kinds of effects that stay for ever, since their tasks have no undo."""
    return frozenset(kind for kind, task in BY_KIND.items() if task.undo is None)


def broken_promises(case: Case, stage: Stage, rows: Mapping[str, Row], now: Things) -> Iterator[Problem]:
    """What of it did not come true for the drilled instances, whose last rows these are."""
    if case.second or case.mode is Mode.MEANWHILE:
        # Two faults together, or two people, may end in every way that leaves nothing: the auditor alone judges.
        return
    yield from _ends(case, stage, rows, now)
    if stage.scenario in (Scenario.PREPARE, Scenario.DELETE) or len(rows) != 1:
        return
    (row,) = rows.values()
    yield from _first_error(case, stage, row)
    yield from _tries(case, stage, row, now)


def _ends(case: Case, stage: Stage, rows: Mapping[str, Row], now: Things) -> Iterator[Problem]:
    """A worker or a commit that is lost changes nothing of where a build ends: somebody goes on with it.

    So it is with a delete that is on record; of one that was lost before it was, nobody knows.
    """
    lost = case.mode in {*CRASHES, Mode.PAUSE} or case.point.call == COMMIT or case.variant == "exit"
    ends = {name: row["vm_state"] for name, row in rows.items()}
    begun = {entry["instance_id"] for entry in now.rows["events"] if entry["type"] == f"instance.{Move.DELETE}"}
    asked = [name for name, row in rows.items() if stage.scenario not in GOING or row["id"] in begun]
    if lost and any(ends[name] != stage.ends[name] for name in asked):
        yield Problem("A1", f"it ends {ends}, without the fault {dict(stage.ends)}")


def _first_error(case: Case, stage: Stage, row: Row) -> Iterator[Problem]:
    """The error on record is the scenario's own, which comes before any other, or else the injected one."""
    if row["vm_state"] != "ERROR" or (stage.base is None and case.mode not in VARIANTS):
        return
    first = f"injected {stage.base.call} in every run" if stage.base else f"injected {case.name}"
    fault = json.loads(row["fault"]) if row["fault"] else {}
    if first not in fault.get("message", ""):
        yield Problem("A6", f"the first error was '{first}', on record is {fault or 'none'}")


def _tries(case: Case, stage: Stage, row: Row, now: Things) -> Iterator[Problem]:
    """An error that no host can help with is tried on no other (A3)."""
    if case.variant != "abort" or stage.base is not None or case.point.undoing:
        return
    if any(
        entry["instance_id"] == row["id"] and entry["type"] == "instance.reschedule" for entry in now.rows["events"]
    ):
        yield Problem("A3", "an error that no host can help with was tried on another host")

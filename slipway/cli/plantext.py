"""A plan for people, and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from slipway.cli.output import coloured, counted, size_text, write
from slipway.cli.say import shown

if TYPE_CHECKING:
    from slipway.cli.pieces import Piece
    from slipway.stacks.plan import Change, Plan, PlannedEffect, PlannedRun

_SIGNS = {
    "make": ("+", "done"),
    "change": ("~", "intended"),
    "stop": ("^", "intended"),
    "replace": ("-/+", "failed"),
    "prune": ("-", "stuck"),
    "finish": (">", "intended"),
    "mend": ("!", "intended"),
    "keep": ("=", "undone"),
    "left": ("?", "undone"),
}
"""By what becomes of a thing."""

_WORDS = {
    "make": "to make",
    "change": "to change in place",
    "stop": "to change by a stop",
    "replace": "to replace",
    "prune": "to take away",
    "finish": "to finish",
    "mend": "to mend",
    "keep": "to keep as it is",
    "left": "no longer in the file",
}


def write_plan(plan: Plan) -> None:
    """Write all that is to be known of it."""
    about = f"stack {shown(plan.stack.name)} of project {shown(plan.stack.project)}, by {shown(str(plan.file.path))}"
    changes = [line for change in plan.changes for line in lines_of(change)]
    write(about, "", *changes, *([""] if changes else []), *_end(plan))


def lines_of(change: Change) -> Iterator[str | Piece]:
    """A change with all that belongs to it."""
    sign, colour = _SIGNS[change.how]
    within = f" of {change.within}" if change.within else ""
    where = f" on {change.host} ({change.because})" if change.host else ""
    addresses = f"  {', '.join(change.addresses)}" if change.addresses and not change.host else ""
    why = f"  {change.why}" if change.why else ""
    yield coloured(f"{sign:<3} {change.label}{within}{where}{addresses}{why}", colour)
    if rows := [*_differences(change), *_warnings(change)]:
        yield _aligned([(name, text, "") for name, text in rows])
    if change.runs:
        yield _aligned([(run.verb, _of_run(run), _inverse(run)) for run in change.runs])
    if change.effects:
        yield _aligned([(_named(one), one.what, _inverse(one)) for one in change.effects])


def _differences(change: Change) -> Iterator[tuple[str, str]]:
    for one in change.differences:
        said = f"stays {one.have} (the file says {one.want})" if one.how == "keep" else f"{one.have} -> {one.want}"
        yield one.attribute, f"{said}; {one.why}" if one.why else said


def _warnings(change: Change) -> Iterator[tuple[str, str]]:
    if change.inverse and change.how in ("change", "stop") and not change.runs:
        yield "undone by", change.inverse
    if change.problem:
        yield "will fail", change.problem
    if change.lost:
        yield "lost", change.lost


def _named(effect: PlannedEffect) -> str:
    return effect.kind if effect.slot is None else f"{effect.kind} {effect.slot}"


def _of_run(run: PlannedRun) -> str:
    return f"{run.what}; its guest is stopped for it" if run.how == "stop" else run.what


def _inverse(one: PlannedEffect | PlannedRun) -> str:
    return f"undone by: {one.inverse}" if one.inverse else "irreversible"


def _aligned(rows: Sequence[tuple[str, str, str]]) -> str:
    """Lines below a change, without a table's cost: a plan may have tens of thousands."""
    cells = [tuple(map(shown, row)) for row in rows]
    first = max(len(row[0]) for row in cells)
    second = max((len(row[1]) for row in cells if row[2]), default=0)
    lines = (f"      {name:<{first}}  {text:<{second if more else 0}}  {more}".rstrip() for name, text, more in cells)
    return "\n".join(lines)


def _end(plan: Plan) -> Iterator[str | Piece]:
    """The totals, what cannot be brought back, and that nothing is to be done."""
    for how, word in _WORDS.items():
        kinds = Counter(change.kind for change in plan.changes if change.how == how)
        if kinds:
            things = ", ".join(counted(number, kind) for kind, number in kinds.items())
            yield f"{word}: {things}"
    if plan.unchanged:
        yield f"as the file says: {counted(len(plan.unchanged), 'thing')}"
    if claimed := claims(plan):
        vcpus, memory, disk = claimed
        yield f"to be claimed: {vcpus} vCPUs, {size_text(memory)} of memory, {size_text(disk)} of disk"
    irreversible = [change.label for change in plan.changes if change.lost]
    irreversible += [
        f"{change.label}: {one.step}" for change in plan.changes for one in change.effects if one.irreversible
    ]
    irreversible += [
        f"{change.label}: {run.verb}" for change in plan.changes for run in change.runs if not (run.inverse or run.lost)
    ]
    if irreversible:
        yield coloured(f"nothing brings back: {', '.join(irreversible)}", "failed")
    if not plan.changes:
        yield f"Nothing to do: all is as {shown(str(plan.file.path))} says."


def claims(plan: Plan) -> tuple[int, int, int] | None:
    """vCPUs, memory and disk in bytes that all that is to be built takes; None where nothing is."""
    from slipway.flows.scheduler import disk_total

    built = {change.name for change in plan.changes if change.kind == "instance" and change.how in ("make", "replace")}
    requests = [entry.request for entry in plan.file.instances if entry.request.name in built]
    if not requests:
        return None
    flavors = [request.flavor for request in requests]
    vcpus, memory = sum(one.vcpus for one in flavors), sum(one.memory for one in flavors)
    return vcpus, memory, sum(map(disk_total, requests))


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan for programs."""
    counts: dict[str, Counter[str]] = {}
    for change in plan.changes:
        counts.setdefault(change.how, Counter())[change.kind] += 1
    claimed = dict(zip(("vcpus", "memory", "disk"), claims(plan) or (0, 0, 0), strict=True))
    return {
        "file": str(plan.file.path),
        "stack": plan.stack.name,
        "project": plan.stack.project,
        "made_at": plan.made_at,
        "acts": bool(plan.acts),
        "asks": [change.label for change in plan.asked],
        "changes": plan.changes,
        "unchanged": plan.unchanged,
        "totals": {**counts, "claims": claimed},
    }

"""Whether a plan may be carried out: it still holds, and what it takes away is agreed to."""

from __future__ import annotations

from collections.abc import Iterator

from slipway import errors
from slipway.stacks.plan import REAL, Plan, Seen
from slipway.texts import some

_MOST_NAMED = 10
_ABSENT = {"there": "no"}


def check_same(plan: Plan, now: Plan) -> None:
    """Raise `PlanUnusable` for a plan of another record, and `PlanOutdated` where another one would be made now.

    A plan that was made before there was a record is anybody's.
    """
    if plan.installation not in ("", now.installation):
        raise errors.PlanUnusable("the plan was made for another record; --state or --db names that")
    moved = [*_moved(plan.seen, now.seen), *_differs(plan, now)]
    if moved:
        what = some(moved, _MOST_NAMED, between="; ", last="; and")
        text = f"since the plan was made on {plan.made_at:%Y-%m-%d at %H:%M:%S} UTC this has moved: {what}"
        raise errors.PlanOutdated(f"{text}. Nothing was done: make a new plan")


def check_agreed(plan: Plan, *, yes: bool, finished: bool = False) -> None:
    """Raise `NotConfirmed` where somebody has to agree first. `finished`: what others had begun has been done."""
    if plan.asked and not yes:
        names = ", ".join(f"{change.how} {change.label}" for change in plan.asked)
        done = "what others had begun is finished, and nothing else was done" if finished else "nothing was done"
        raise errors.NotConfirmed(f"{done}, for nobody has agreed to this: {names}")


def _moved(before: tuple[Seen, ...], after: tuple[Seen, ...]) -> Iterator[str]:
    was, is_ = ({one.label: dict(one.says) for one in seen} for seen in (before, after))
    for label in dict.fromkeys([*was, *is_]):
        old, new = was.get(label, _ABSENT), is_.get(label, _ABSENT)
        if label.startswith(REAL) and old != new:
            yield f"{label}: {'; '.join(new.values()) if new != _ABSENT else 'all by now'}"
        elif old == _ABSENT != new:
            yield f"{label} is there by now"
        elif new == _ABSENT != old:
            yield f"{label} is gone"
        else:
            for name in dict.fromkeys([*old, *new]):
                if old.get(name) != new.get(name):
                    yield f"{label}: {name} was {old.get(name, 'none')}, is {new.get(name, 'none')}"


def _differs(plan: Plan, now: Plan) -> Iterator[str]:
    """What would be done now and was not planned, and the other way round, where nothing says why."""
    if plan.seen != now.seen:
        return
    before = {(one.kind, one.within, one.name, one.how): one for one in plan.changes}
    after = {(one.kind, one.within, one.name, one.how): one for one in now.changes}
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield f"what is to be done with {key[0]} {key[2]}"

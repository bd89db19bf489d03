"""Which step needs which: an order in which they can run, and what has ended when each begins."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from slipway.flows.workflows.keys import check_names
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted


class Order(NamedTuple):
    """`steps`: numbers, each after those that it needs. `needs` of each step, and `before`: all that have ended when it
    begins, a bit each; both by number."""

    steps: list[int]
    needs: list[tuple[int, ...]]
    before: list[int]


def order_steps(
    document: Document,
    section: str,
    taken: Sequence[Mapping[str, Any]],
    ids: Mapping[str, int],
    others: Collection[str],
) -> Order:
    """The order of a section's steps, of which `taken` is what is right; numbers count within it.

    `ids`: the ids of its own steps, `others`: those of the other section's. Needs that are wrong are noted, circles
    too; a step with such a one counts as coming after all others, so that what it refers to is not called wrong too.
    """
    needs, guessed = [], set[int]()
    for number, step in enumerate(taken):
        found, sure = _needs_of(document, (section, number), step, ids, others)
        needs.append(found)
        if not sure or (number and "needs" not in step and "id" not in taken[number - 1]):
            guessed.add(number)
    order = _sorted(needs)
    for circle in _circles(needs, order):
        _note(document, section, taken, circle)
        guessed.update(circle)
    order += [number for number in range(len(taken)) if number not in set(order)] if len(order) < len(taken) else []
    before = [0] * len(taken)
    for number in order:
        for need in needs[number]:
            before[number] |= before[need] | 1 << need
        if number in guessed:
            before[number] = ~(1 << number)
    return Order(order, needs, before)


def _needs_of(
    document: Document, path: tuple[str, int], step: Mapping[str, Any], ids: Mapping[str, int], others: Collection[str]
) -> tuple[tuple[int, ...], bool]:
    """The numbers of the steps that are named, or of the one before it in the file; and whether all was right."""
    (section, number), where = path, (*path, "needs")
    if "needs" not in step:
        return ((number - 1,) if number else ()), where not in document.dropped
    names = check_names(document, where, step["needs"])
    for at, name in names.items():
        if name in others:
            text = (
                "is of finally, which comes after all steps"
                if section == "steps"
                else "has ended before finally begins"
            )
            document.problem((*where, at), f"step {quoted(name)} {text}")
        elif name not in ids:
            document.problem((*where, at), f"unknown step {quoted(name)}", wrong=name, known=ids)
        elif ids[name] == number:
            document.problem((*where, at), f"step {quoted(name)} cannot need itself")
    good = tuple(ids[name] for name in names.values() if ids.get(name, number) != number)
    return good, len(good) == len(step["needs"])


def _sorted(needs: Sequence[tuple[int, ...]]) -> list[int]:
    """Each step after those that it needs, otherwise as in the file; steps in circles are left out."""
    followers: list[list[int]] = [[] for _ in needs]
    open_needs = [len(set(one)) for one in needs]
    for number, one in enumerate(needs):
        for need in set(one):
            followers[need].append(number)
    ready = deque(number for number, left in enumerate(open_needs) if not left)
    order = []
    while ready:
        number = ready.popleft()
        order.append(number)
        for follower in followers[number]:
            open_needs[follower] -= 1
            if not open_needs[follower]:
                ready.append(follower)
    in_file = all(need < number for number, one in enumerate(needs) for need in one)
    return sorted(order) if in_file else order


def _circles(needs: Sequence[tuple[int, ...]], order: Sequence[int]) -> list[list[int]]:
    """The circles among the steps that are in no order, each once; a step that leads into one is in none."""
    left = set(range(len(needs))).difference(order)
    circles = []
    while left:
        walk: dict[int, None] = {}
        at: int | None = min(left)
        while at is not None and at not in walk:
            walk[at] = None
            at = next((need for need in needs[at] if need in left), None)
        if at is not None:
            steps = list(walk)
            circles.append(steps[steps.index(at) :])
        left.difference_update(walk)
    return circles


def _note(document: Document, section: str, taken: Sequence[Mapping[str, Any]], circle: list[int]) -> None:
    names = [str(taken[number].get("id", "")) for number in [*circle, circle[0]]]
    shown = names if len(names) <= 8 else [*names[:4], "...", *names[-3:]]
    first = circle[0]
    path: NodePath = (section, first, "needs") if "needs" in taken[first] else (section, first)
    document.problem(path, f"steps need each other in a circle: {' -> '.join(shown)}", key=True)

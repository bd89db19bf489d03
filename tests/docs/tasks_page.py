"""docs/tasks.md as the catalog has it: `python -m tests.docs.tasks_page` writes it anew."""

from __future__ import annotations

from pathlib import Path

import msgspec

from slipway.flows.tasks.cards import Argument, Card, card_of
from slipway.flows.tasks.catalog import CATALOG

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"

HEAD = """# Tasks

What the steps of a workflow can use, as `slipway tasks NAME` shows it. A step says by `uses` which one, and by `with`
what it is given: an argument that is not optional must be there, and each must be of its type. A duration is a text
such as `30s`, or seconds. What a task gives is `steps.ID.outputs` to the steps after it.

A task whose undo is *by revert* has an effect that it cannot take back: the step says by `revert` what does. Tasks of
your own are in [writing-tasks-and-drivers.md](writing-tasks-and-drivers.md).
"""


def page() -> str:
    """The text."""
    cards = [card_of(task) for task in CATALOG.values() if type(task).__module__.startswith("slipway.")]
    runs = sorted((card for card in cards if not card.builds_only), key=lambda card: card.name)
    builds = sorted((card for card in cards if card.builds_only), key=lambda card: card.name)
    parts = [HEAD, "## For runs of workflows\n", *map(_section, runs)]
    parts += ["## For builds of instances alone\n", *map(_section, builds)]
    return "\n".join(parts)


def _section(card: Card) -> str:
    lines = [f"### {card.name}", "", card.description]
    for part in card.details.splitlines():
        lines += ["", part]
    if card.inputs:
        lines += ["", "| with | type | default |", "| --- | --- | --- |"]
        lines += [f"| `{one.name}` | {one.type} | {_default(one)} |" for one in card.inputs]
    undo = card.undo or ("by revert" if card.irreversible else "not needed")
    gives = "nothing" if card.output == "null" else card.output
    lines += ["", f"Gives: {gives}", "", f"Undo: {undo}", ""]
    return "\n".join(lines)


def _default(one: Argument) -> str:
    if one.required:
        return ""
    return "optional" if one.default is None else f"`{msgspec.json.encode(one.default).decode()}`"


if __name__ == "__main__":
    PAGE.write_text(page())

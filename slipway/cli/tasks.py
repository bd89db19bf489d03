"""`slipway tasks`: what the steps of a workflow can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, tasks_option
from slipway.cli.say import say, shown

if TYPE_CHECKING:
    from slipway.flows.tasks.cards import Argument, Card


@click.command(
    "tasks",
    epilog=example(
        "slipway tasks",
        "slipway tasks http",
        "slipway tasks --tasks ./mytasks.py",
        "slipway tasks --output json | jq '.[] | select(.irreversible) | .name'",
    ),
)
@click.argument("name", required=False)
@tasks_option
@common_options()
@click.pass_obj
def command(options: Options, name: str | None) -> None:
    """Show the tasks that the steps of a workflow can use, or one of them with all that it takes.

    Those that come with Slipway, those of installed packages, and those of modules that --tasks names.
    """
    from slipway.cli.output import print_json
    from slipway.flows.tasks.cards import Card, card_of
    from slipway.flows.tasks.catalog import CATALOG, SIGNATURES

    cards = [card_of(task) for task in CATALOG.values()]
    cards += [Card(one, refused=said.refused) for one, said in SIGNATURES.items() if said.refused]
    if name is None:
        if options.json:
            print_json(cards)
        else:
            _show_all(cards)
        return
    card = next((one for one in cards if one.name == name), None)
    if card is None:
        from slipway.errors import UnknownTask
        from slipway.yamlfile.mistakes import did_you_mean, quoted

        raise UnknownTask(f"there is no task {quoted(name)}{did_you_mean(name, SIGNATURES)}")
    if options.json:
        print_json(card)
    else:
        _show(card)


def _show_all(cards: list[Card]) -> None:
    from slipway.cli.output import table, write

    usable = sorted((card for card in cards if card.refused is None), key=lambda card: (card.builds_only, card.name))
    rows = [
        (card.name, "builds" if card.builds_only else "runs", _undo_word(card), card.description) for card in usable
    ]
    write(table(("NAME", "FOR", "UNDO", "DOES"), rows, folded=("DOES",)))
    for card in cards:
        if card.refused is not None:
            say(f"slipway: {shown(card.refused)}", err=True)


def _undo_word(card: Card) -> str:
    if card.undo is not None:
        return "yes"
    return "by revert" if card.irreversible else "not needed"


def _show(card: Card) -> None:
    from slipway.cli.output import labelled, write

    if card.refused is not None:
        say(f"{card.name}\n  {shown(card.refused)}")
        return
    rows = [
        ("does", "\n".join([card.description, *card.details.splitlines()])),
        *(
            (f"with {one.name}" if number == 0 else f"     {one.name}", _argument(one))
            for number, one in enumerate(card.inputs)
        ),
        ("gives", "nothing" if card.output == "null" else card.output),
        (
            "undo",
            card.undo or ("none: the step's revert says what takes it back" if card.irreversible else "not needed"),
        ),
        ("for", "builds of instances alone" if card.builds_only else "runs of workflows"),
        ("kind", card.kind),
        ("from", card.origin),
    ]
    say(card.name)
    write(labelled(rows))


def _argument(one: Argument) -> str:
    if one.required:
        return one.type
    if one.default is None:
        return f"{one.type} [optional]"
    import msgspec

    return f"{one.type} [default: {msgspec.json.encode(one.default).decode()}]"

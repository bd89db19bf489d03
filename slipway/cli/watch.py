"""`slipway watch`: what happens to instances by themselves, as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say, shown

if TYPE_CHECKING:
    from slipway.model.record import Event


@click.command("watch", epilog=example("slipway watch", "slipway watch --output json"))
@common_options()
@click.pass_obj
def command(options: Options) -> int:
    """Tell what happens to the domains of all instances, whoever does it, until Ctrl-C.

    An instance whose domain has ended by itself is STOPPED then, also when that was before.
    """
    from slipway.cli.failures import Code
    from slipway.cli.interrupt import Stop, heeding
    from slipway.cli.output import print_json
    from slipway.cli.telling import event_json

    stop = Stop(options.command("resume"), reader=True)

    def tell(event: Event) -> None:
        try:
            print_json(event_json(event)) if options.json else _write(event)
        except BrokenPipeError:
            stop.want()

    with orchestrator(options) as slipway, heeding(stop):
        slipway.watch(tell, stopping=stop)
    return Code.INTERRUPTED


def _write(event: Event) -> None:
    from slipway.cli.output import time_text

    say(f"{time_text(event.at)}  {shown(event.name or event.host or '')}  {shown(_text(event))}")


def _text(event: Event) -> str:
    match event.type:
        case "state":
            return f"{event.vm_state}: {event.message}"
        case "host.lost":
            return f"is not heard: {event.message}"
        case "host.heard":
            return "is heard"
    return event.type.replace(".", " ")

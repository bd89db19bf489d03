"""`slipway events`: what has come to be on record, in its order, and what comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator

if TYPE_CHECKING:
    from slipway.model.record import RecordedEvent


@click.command(
    "events",
    epilog=example(
        "slipway events --instance web-1",
        "slipway events --after 120 --output json",
        "slipway events --follow --output json | jq .type",
        "slipway events --follow --webhook https://example.org/slipway",
    ),
)
@click.option("--after", metavar="N", type=click.IntRange(0), help="Only what came after the event N.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "--webhook",
    metavar="[URL]",
    is_flag=False,
    flag_value="",
    envvar="SLIPWAY_WEBHOOK",
    help="Send them there as JSON, and remember what was taken. [default: the settings' webhook]",
)
@click.option("--instance", metavar="NAME", help="Only those of this instance, by name or id.")
@click.option("--project", metavar="PROJECT", help="The project in which the instance is looked up. [default: all]")
@common_options()
@click.pass_obj
def command(
    options: Options, after: int | None, webhook: str | None, instance: str | None, project: str | None, *, follow: bool
) -> int:
    """Tell every move of instances and runs, and every step, in the order in which they came to be on record.

    Each has a number, by which a reader goes on: who keeps the last one misses none and sees none twice. What a
    --webhook has taken is kept on record, so that it is sent each event at least once.
    """
    if webhook is not None:
        if instance is not None:
            raise click.UsageError("--webhook and --instance exclude each other: a receiver is sent all events")
        return _deliver(options, webhook, after, follow=follow)
    from slipway.cli.failures import Code
    from slipway.cli.interrupt import Stop, following
    from slipway.cli.output import print_json

    stop = Stop(options.command("events", "--follow"), reader=True)
    with orchestrator(options, sleep=stop.sleep) as slipway, following(stop):
        only = {"instance_id": slipway.show(instance, project=project).instance.id} if instance else {}
        for event in slipway.events(after=after or 0, follow=follow, stopping=stop, **only):
            print_json(event) if options.json else _write(event)
    return Code.INTERRUPTED if stop() else Code.DONE


def _deliver(options: Options, url: str, after: int | None, *, follow: bool) -> int:
    from slipway.cli.failures import Code
    from slipway.cli.interrupt import Stop, heeding
    from slipway.cli.output import counted, print_json
    from slipway.cli.say import say
    from slipway.errors import BuildInterrupted

    stop = Stop(options.command("events", "--webhook", "--follow"))
    with orchestrator(options, sleep=stop.sleep) as slipway, heeding(stop):
        try:
            taken = slipway.deliver(url or None, after=after, follow=follow, stopping=stop)
        except BuildInterrupted:
            return Code.INTERRUPTED
    if options.json:
        print_json({"taken": taken})
    elif not follow:
        say(f"The receiver took {counted(taken, 'event')}.")
    return Code.INTERRUPTED if stop() else Code.DONE


def _write(event: RecordedEvent) -> None:
    from slipway.cli.output import time_text
    from slipway.cli.say import say, shown

    say(f"{event.seq:>6}  {time_text(event.at)}  {shown(_text(event))}")


def _text(event: RecordedEvent) -> str:
    whose = event.name or event.instance_id or event.run_id or ""
    step = "" if event.step is None else f" {event.step}" + (f" {event.slot}" if event.slot else "")
    where = f" on {event.host}" if event.host else ""
    led_to = f" -> {event.state}" if event.state else ""
    return f"{whose}  {event.type}{step}{where}{led_to}" + (f": {event.detail}" if event.detail else "")

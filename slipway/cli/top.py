"""`slipway top`: what guests use now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, Seconds, common_options, example, orchestrator
from slipway.cli.say import say, shown

if TYPE_CHECKING:
    from slipway.operations.usage import GuestUse, Uses

_COLUMNS = ("NAME", "PROJECT", "HOST", "CPU", "MEMORY", "READ/S", "WRITTEN/S", "IN/S", "OUT/S")


@click.command("top", epilog=example("slipway top", "slipway top --watch", "slipway top --output json --interval 5"))
@click.option("--project", metavar="PROJECT", shell_complete=Names("project"), help="Only the guests of this project.")
@click.option(
    "--interval", metavar="SECONDS", type=Seconds(), default=1.0, help="Over how long it is measured. [default: 1]"
)
@click.option("--watch", is_flag=True, help="Measure again and again, until Ctrl-C.")
@common_options()
@click.pass_obj
def command(options: Options, project: str | None, interval: float, *, watch: bool) -> int:
    """Show what the guests that run use: CPU, memory, and bytes a second of their disks and NICs.

    Who uses most of the CPU is first; 100 % is one vCPU. MEMORY is what the host holds of all that it may have.
    """
    from slipway.cli.failures import Code
    from slipway.cli.interrupt import Stop, following

    stop = Stop(reader=True)
    with orchestrator(options, sleep=stop.sleep) as slipway, following(stop):
        meter = slipway.meter(project=project)
        meter.look()
        while not stop():
            stop.sleep(interval)
            if watch and sys.stdout.isatty() and not options.json:
                click.clear()
            _show(options, meter.look())
            sys.stdout.flush()
            if not watch:
                return Code.DONE
    return Code.INTERRUPTED


def _show(options: Options, uses: Uses) -> None:
    from slipway.cli.output import LongTable, print_json

    if options.json:
        from msgspec import to_builtins

        print_json(to_builtins(uses))
        return
    if uses.guests:
        LongTable(_COLUMNS).write([_row(guest) for guest in uses.guests])
    else:
        say("no guest runs")
    for why in uses.unasked:
        say(f"slipway: {shown(why)}", err=True)


def _row(guest: GuestUse) -> list[str]:
    from slipway.flows.scheduler import size

    def rate(value: float | None) -> str:
        return "-" if value is None else size(round(value))

    cpu = "-" if guest.cpu is None else f"{guest.cpu:.0%}".replace("%", " %")
    memory = f"{size(guest.resident)} of {size(guest.memory)}"
    rates = (guest.read, guest.written, guest.received, guest.sent)
    return [guest.name, guest.project, guest.host, cpu, memory, *map(rate, rates)]

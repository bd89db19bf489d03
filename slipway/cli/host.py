"""`slipway host`: what this machine can do, and which hosts are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, default_state, example, orchestrator

if TYPE_CHECKING:
    from slipway.drivers.hostcheck.finding import Finding


@click.group("host", epilog=example("slipway host check", "slipway host take node-1"))
@common_options()
def command() -> None:
    """This machine: check what it can do, and have hosts belong to it."""


@command.command("take", epilog=example("slipway host take node-1 node-2"))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@common_options()
@click.pass_obj
def take(options: Options, names: tuple[str, ...]) -> None:
    """Have hosts belong to this machine and state directory, whoever had them.

    A host belongs to the machine and state directory from which it was used first, and nobody else may act on it. Take
    it where those are gone, or do nothing with it any more: nothing is asked of them.
    """
    from slipway.cli.output import print_json
    from slipway.cli.say import say

    with orchestrator(options) as slipway:
        slipway.take_hosts(*names)
    if options.json:
        print_json({"taken": names})
    else:
        say(f"taken: {', '.join(names)}")


@command.command("check", epilog=example("slipway host check", "slipway host check --uri qemu:///system --output json"))
@click.option("--uri", metavar="URI", default="qemu:///system", show_default=True, help="Where libvirt is.")
@common_options()
@click.pass_obj
def check(options: Options, uri: str) -> int:
    """Find out what this machine can do for real virtual machines, by doing it, and say what to install.

    Guests are booted, and links and rules made in a network namespace; nothing is left of them. Without root some of it
    is not tried. Exit code 5 when something that is needed does not work or was not tried.
    """
    from pathlib import Path

    from slipway.cli.failures import Code
    from slipway.cli.output import print_json
    from slipway.drivers.hostcheck.finding import Result
    from slipway.drivers.hostcheck.links import check_network
    from slipway.drivers.hostcheck.machines import check_disks, check_machines

    state = Path(options.state or default_state())
    found = [*check_machines(uri, state), *check_disks(), *check_network()]
    if options.json:
        print_json(found)
    else:
        _write(found)
    return Code.DONE if all(one.result is Result.WORKS for one in found if one.needed) else Code.DIFFERENT


def _write(found: list[Finding]) -> None:
    from slipway.cli.output import coloured, table, write
    from slipway.drivers.hostcheck.finding import Result

    colours = {Result.WORKS: "done", Result.FAILS: "stuck", Result.UNTRIED: "intended"}
    rows = [
        (one.name, coloured(one.result, colours[one.result]), "" if one.needed else "optional", one.detail)
        for one in found
    ]
    write(table(("WHAT", "RESULT", "", "WHY"), rows, folded=("WHY",)))
    remedies = [one for one in found if one.result is not Result.WORKS and one.remedy]
    if remedies:
        write("", "To do:")
        for one in remedies:
            write(f"  {one.name}: {one.remedy}")

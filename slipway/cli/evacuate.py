"""`slipway evacuate`: what was on a host that is dead."""

from __future__ import annotations

import sys

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator


@click.command("evacuate", epilog=example("slipway evacuate node-1 --dead", "slipway evacuate node-1 --dead --yes"))
@click.argument("host", metavar="HOST", shell_complete=Names("host"))
@click.option("--dead", is_flag=True, help="You know that none of its guests runs any more, and none will by itself.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether what is on its disks may be lost.")
@click.option("--parallel", metavar="N", type=click.IntRange(1, 256), help="At how many to be at the same time.")
@common_options()
@click.pass_obj
def command(options: Options, host: str, dead: bool, yes: bool, parallel: int | None) -> int:
    """Build the instances of a dead host again on others, from their images; what is on its disks is lost.

    They keep their ports with their addresses, and their volumes. The host is disabled, and nothing is asked of it:
    what is left there is stuck on record until it is back, and `slipway repair` removes it then.
    """
    from slipway.cli.failures import Code
    from slipway.cli.output import counted, print_json
    from slipway.cli.power import change_all
    from slipway.cli.say import say
    from slipway.cli.selecting import Chosen

    if not dead:
        raise click.UsageError(
            f"a guest that runs on must not be built a second time: --dead says that {host} is certainly off; "
            f"`slipway host drain {host} --move` moves what is on a host that answers"
        )
    with orchestrator(options) as slipway:
        there = [one for one in slipway.show_host(host).instances if one.vm_state in ("ACTIVE", "STOPPED")]
        what = f"build {counted(len(there), 'instance')} of host {host} again; what is on their disks there is lost"
        if there and not yes:
            if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise click.UsageError(f"this would {what}; --yes says that it is meant")
            if not click.confirm(f"{what[0].upper()}{what[1:]}?", err=True):
                raise click.Abort
        slipway.disable_hosts(host, reason="declared dead")
    if there:
        meant = Chosen(host=host, states=("ACTIVE", "STOPPED"), yes=True, parallel=parallel)
        return change_all("evacuate", options, meant, by=lambda slipway: slipway.changes.evacuate)
    if options.json:
        print_json([])
    else:
        say("Nothing to build again.")
    return Code.DONE

"""`slipway worker`: take work from a job board."""

from __future__ import annotations

from contextlib import nullcontext

import click

from slipway.cli.options import Options, board_option, common_options, example, orchestrator, tasks_option
from slipway.cli.say import say, shown


@click.command(
    "worker",
    epilog=example(
        "slipway worker --any --board redis://board:6379",
        "slipway worker --host node-1 --db postgresql://slipway@db/slipway",
    ),
)
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="Take what is for this host; may be given often.")
@click.option("--any", "anything", is_flag=True, help="Take what is for no host: scheduling, networks, workflows.")
@click.option(
    "--concurrency",
    metavar="N",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Instances in hand at the same time.",
)
@click.option("--name", metavar="NAME", help="What it is called. [default: the machine's name and the process's id]")
@click.option(
    "--ttl",
    metavar="SECONDS",
    type=click.IntRange(1, 3600),
    default=3,
    show_default=True,
    help="Others take over what it has in hand when it was not heard of for so long.",
)
@click.option(
    "--listen", metavar="PORT", type=click.IntRange(1, 65535), help="Answer /ready and /metrics on 127.0.0.1."
)
@click.option("--allow-commands", is_flag=True, help="Let steps of workflows run commands on this machine.")
@board_option
@tasks_option
@common_options()
@click.pass_obj
def command(
    options: Options,
    hosts: tuple[str, ...],
    concurrency: int,
    name: str | None,
    ttl: int,
    listen: int | None,
    *,
    anything: bool,
    allow_commands: bool,
) -> None:
    """Take work from the job board, until SIGTERM or Ctrl-C: then no further step is begun, those under way are waited
    for, and others go on with the rest.

    What is on a host is done by the worker that has it as --host, on its machine. Workers share one database.
    """
    from slipway.cli.interrupt import Stop, heeding
    from slipway.cli.listening import listening
    from slipway.looks.prometheus import exposition

    if not hosts and not anything:
        raise click.UsageError("it is to take something: --host NAME, --any, or both")
    if options.board is None:
        raise click.UsageError("the board is missing: --board URL, or SLIPWAY_BOARD")
    board, options.board = options.board, None
    stop = Stop(options.command("worker"))
    with orchestrator(options, allow_commands=allow_commands) as slipway, heeding(stop):

        def measured() -> str:
            return exposition(slipway.metrics())

        with slipway.worker(
            board,
            name=name or _own_name(),
            hosts=hosts,
            anything=anything,
            concurrency=concurrency,
            ttl=ttl,
            tell=lambda line: say(shown(line)),
        ) as work:
            what = [f"what is for {host}" for host in hosts] + (["what is for no host"] if anything else [])
            say(f"worker {work.name} takes {', '.join(what)}; {concurrency} at once")
            with listening(listen, lambda: work.is_ready, measured) if listen else nullcontext():
                work.until(stop)
            say(f"worker {work.name} has ended")


def _own_name() -> str:
    import os
    import socket

    return f"{socket.gethostname()}-{os.getpid()}"

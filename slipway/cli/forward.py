"""`slipway forward`: ports of this machine that lead to ports of a guest."""

from __future__ import annotations

import os
import socket

import click

from slipway.cli.completing import Names
from slipway.cli.forwardtype import Forward, ForwardType
from slipway.cli.options import Options, common_options, example, orchestrator


@click.command(
    "forward",
    epilog=example(
        "slipway forward web-1 8080:80",
        "slipway forward web-1 8080:80 8443:443",
        "slipway forward web-1 0.0.0.0:8080:80",
    ),
)
@click.argument("name", shell_complete=Names("instance"))
@click.argument("forwards", metavar="[ADDRESS:]PORT[:GUESTPORT]...", nargs=-1, type=ForwardType())
@click.option("--pass", "passed", metavar="PORT", type=click.IntRange(1, 65535), help="For ssh's ProxyUseFdpass.")
@click.option("--project", metavar="PROJECT", help="The project in which NAME is looked up. [default: all]")
@common_options()
@click.pass_obj
def command(
    options: Options, name: str, forwards: tuple[Forward, ...], passed: int | None, project: str | None
) -> int | None:
    """Have TCP ports of this machine lead to ports of the guest of instance NAME (or with this id), until Ctrl-C.

    Only this machine reaches them, unless an ADDRESS says otherwise. With --pass a connection to a port of the guest is
    handed over to ssh, whose ProxyCommand this is.
    """
    if bool(forwards) == (passed is not None):
        raise click.UsageError("name the ports, such as 8080:80")
    with orchestrator(options) as slipway:
        guest = slipway.access.guest(name, project=project)
        if passed is not None:
            _pass_on(guest.connect(passed))
            return None
        from slipway.cli.forwarding import forward

        return forward(guest, lambda: slipway.access.guest(guest.instance.id), forwards, options)


def _pass_on(connection: socket.socket) -> None:
    """To whoever began us, with a byte that nobody heeds."""
    try:
        with connection, socket.socket(fileno=os.dup(1)) as caller:
            socket.send_fds(caller, [b"\0"], [connection.fileno()])
    except OSError as error:
        raise click.UsageError("--pass is for ssh's ProxyCommand, with ProxyUseFdpass=yes") from error

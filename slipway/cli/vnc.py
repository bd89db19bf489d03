"""`slipway vnc`: a guest's screen."""

from __future__ import annotations

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, Seconds, common_options, example, orchestrator


@click.command("vnc", epilog=example("slipway vnc web-1", "slipway vnc web-1 --valid 60 --output json"))
@click.argument("name", shell_complete=Names("instance"))
@click.option(
    "--valid", metavar="SECONDS", type=Seconds(), default=600.0, help="How long it lets anybody in. [default: 600]"
)
@click.option("--project", metavar="PROJECT", help="The project in which NAME is looked up. [default: all]")
@common_options()
@click.pass_obj
def command(options: Options, name: str, valid: float, project: str | None) -> None:
    """Print where VNC clients see the screen of the guest of instance NAME (or with this id), and a new password.

    Its host alone reaches it. The password lets in whoever connects before it expires, or another one is made.
    """
    from slipway.cli.output import print_json
    from slipway.cli.say import say, shown

    with orchestrator(options) as slipway:
        screen = slipway.access.open_screen(name, project=project, valid=valid)
    if options.json:
        from msgspec.structs import asdict

        print_json(asdict(screen))
        return
    until = screen.valid_until.astimezone().strftime("%H:%M:%S")
    # Not by `say`, which leaves passwords out.
    say(f"{shown(name)}: vnc://{screen.address}:{screen.port} with the password {screen.password} until {until}")

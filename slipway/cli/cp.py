"""`slipway cp`: files to a guest and from it."""

from __future__ import annotations

from typing import Any

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.sshclient import Asked, become, reach, ssh_options


@click.command(
    "cp",
    epilog=example(
        "slipway cp ./site.tar web-1:/tmp/", "slipway cp -r web-1:/var/log ./logs", "slipway cp a.txt b.txt web-1:"
    ),
)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.argument("target")
@click.option("-r", "--recursive", is_flag=True, help="Directories too, with all that is in them.")
@click.option("-p", "--preserve", is_flag=True, help="Keep times and modes.")
@ssh_options
@common_options()
@click.pass_obj
def command(
    options: Options, /, sources: tuple[str, ...], target: str, recursive: bool, preserve: bool, **asked: Any
) -> None:
    """Copy files by the system's scp: NAME:PATH is in the guest of instance NAME, anything else is here.

    What is here and has a colon in its name begins with ./ . Options and exit codes are those of `slipway ssh`.
    """
    there = {name for one in (*sources, target) if (name := _guest(one))}
    if len(there) != 1 or any(bool(_guest(one)) == bool(_guest(target)) for one in sources):
        raise click.UsageError("either TARGET or all of SOURCE must be in one guest: NAME:PATH")
    (name,) = there
    with orchestrator(options) as slipway:
        scp, where = reach(slipway, options, "scp", name, Asked(**asked))
    flags = [flag for flag, wanted in (("-r", recursive), ("-p", preserve)) if wanted]
    named = [f"{where}:{one.partition(':')[2]}" if _guest(one) else _here(one) for one in (*sources, target)]
    become([*scp, *flags, "--", *named])


def _guest(path: str) -> str:
    """The instance that is named; empty for what is here (as in scp, a slash before the colon says so)."""
    name, colon, _ = path.partition(":")
    return name if colon and "/" not in name else ""


def _here(path: str) -> str:
    return path if path.startswith(("/", ".")) else f"./{path}"

"""`slipway ssh`: a shell in a guest, or a command."""

from __future__ import annotations

import shlex
from typing import Any

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.sshclient import Asked, become, reach, ssh_options


@click.command(
    "ssh",
    epilog=example("slipway ssh web-1", "slipway ssh web-1 -- uname -a", "slipway ssh web-1 --user root --wait 120"),
)
@click.argument("name", shell_complete=Names("instance"))
@click.argument("words", metavar="[-- COMMAND...]", nargs=-1)
@ssh_options
@common_options()
@click.pass_obj
def command(options: Options, /, name: str, words: tuple[str, ...], **asked: Any) -> None:
    """Log in to the guest of instance NAME (or with this id) by the system's ssh, or run COMMAND there.

    Its exit code is that of COMMAND, and 255 where ssh fails. One word is a line for the guest's shell, several are
    a command and its arguments. The guest's key is known from its console, where cloud-init writes it, or its agent.
    """
    with orchestrator(options) as slipway:
        ssh, where = reach(slipway, options, "ssh", name, Asked(**asked))
    # As ssh has it, whose own words for the guest's shell are joined by blanks.
    line = [words[0] if len(words) == 1 else shlex.join(words)] if words else []
    become([*ssh, where, *(["--", *line] if line else [])])

"""`slipway console`: a guest's first serial port, to type at, and what the guest wrote to it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.texts import harmless

if TYPE_CHECKING:
    from socket import socket

_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""What moves a cursor, sets a title or clears a screen, and the characters that no text has."""


@click.command(
    "console",
    epilog=example("slipway console web-1", "slipway console web-1 --log --lines 20", "slipway console web-1 --follow"),
)
@click.argument("name", shell_complete=Names("instance"))
@click.option("--project", metavar="PROJECT", help="The project in which NAME is looked up. [default: all]")
@click.option("--log", is_flag=True, help="Show what the guest wrote, and do not join it.")
@click.option("--lines", metavar="N", type=click.IntRange(min=0), help="Begin the log with the last N lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with the log until the domain has ended, or Ctrl-C.")
@click.option("--force", is_flag=True, help="Take the console from whoever has it.")
@common_options()
@click.pass_obj
def command(
    options: Options, name: str, project: str | None, log: bool, lines: int | None, follow: bool, force: bool
) -> int:
    """Join the terminal and the first serial port of the guest of instance NAME (or with this id); Ctrl-] leaves it.

    Without a terminal, and with --log, --lines or --follow, it shows what the guest wrote there since it was started:
    on a terminal without its control characters, elsewhere as the guest wrote it.
    """
    from slipway.cli.failures import Code

    reads = log or lines is not None or follow or options.json
    joins = not reads and sys.stdin.isatty() and sys.stdout.isatty()
    if force and not joins:
        raise click.UsageError("--force takes the console to type at, which needs a terminal")
    with orchestrator(options) as slipway:
        if joins:
            _join(slipway.access.open_console(name, project=project, force=force), name)
            return Code.DONE
        pieces = slipway.console(name, project=project, lines=lines, follow=follow)
        try:
            _write(pieces, options)
        except KeyboardInterrupt:
            return Code.INTERRUPTED
    return Code.DONE


def _join(console: socket, name: str) -> None:
    from slipway.cli.attached import attach
    from slipway.cli.say import say, shown

    say(f"The console of {shown(name)}; Ctrl-] leaves it, Enter may be needed for a prompt.", err=True)
    why = "was left" if attach(console) else "is no more: its domain has ended, or somebody else has taken it"
    say(f"\nThe console of {shown(name)} {why}.", err=True)


def _write(pieces: Iterable[bytes], options: Options) -> None:
    from slipway.cli.output import print_json

    if not options.json and not sys.stdout.isatty():
        for piece in pieces:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        return
    for line in _lines(pieces):
        if options.json:
            print_json({"line": line.decode(errors="replace").rstrip("\r\n")})
        else:
            sys.stdout.write(readable(line.decode(errors="replace")))
            sys.stdout.flush()


def readable(text: str) -> str:
    """The text without what would change the terminal that it is shown on: what a guest colours is read as it is."""
    return harmless(_SEQUENCES.sub("", text))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, and what is left at the end: a sequence or a character is never cut in two."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest

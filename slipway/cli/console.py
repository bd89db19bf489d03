"""`slipway console`: what a guest wrote to its console."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.texts import harmless

_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""What moves a cursor, sets a title or clears a screen, and the characters that no text has."""


@click.command("console", epilog=example("slipway console web-1 --lines 20", "slipway console web-1 --follow"))
@click.argument("name", shell_complete=Names("instance"))
@click.option("--project", metavar="PROJECT", help="The project in which NAME is looked up. [default: all]")
@click.option("--lines", metavar="N", type=click.IntRange(min=0), help="Begin with the last N lines. [default: all]")
@click.option("-f", "--follow", is_flag=True, help="Go on until the domain has ended, or Ctrl-C.")
@common_options()
@click.pass_obj
def command(options: Options, name: str, project: str | None, lines: int | None, follow: bool) -> int:
    """Show what the guest of instance NAME (or with this id) wrote to its first serial port since it was started.

    On a terminal its control characters are left out; elsewhere it is as the guest wrote it.
    """
    from slipway.cli.failures import Code

    with orchestrator(options) as slipway:
        pieces = slipway.console(name, project=project, lines=lines, follow=follow)
        try:
            _write(pieces, options)
        except KeyboardInterrupt:
            return Code.INTERRUPTED
    return Code.DONE


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

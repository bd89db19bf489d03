"""Manual pages in the macros of man(7), from the commands and their options."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from textwrap import wrap

import click

from slipway import __version__
from slipway.cli.failures import Code
from slipway.cli.main import COMMANDS, main
from slipway.cli.options import VARIABLES

_CODES = {
    Code.DONE: "done",
    Code.UNEXPECTED: "an unexpected error, or what was asked for is refused",
    Code.USAGE: "bad usage, or a file with mistakes",
    Code.FAILED: "something failed, and all of it was undone",
    Code.STUCK: "something failed, and some of it could not be undone",
    Code.DIFFERENT: "differences were found",
    Code.WAITING: "a run waits for somebody's word",
    Code.INTERRUPTED: "interrupted; what is unfinished can be resumed",
}
_WIDTH = 70
"""Of a line of the source, before hyphens and the like are escaped."""
_ABOUT = {"state": "the state directory", "db": "the database, an SQLAlchemy URL"}


def page(name: str | None) -> str:
    """The page of a command, None: of `slipway` itself."""
    return "".join(f"{line}\n" for line in _lines(name) if line)


def _lines(name: str | None) -> Iterator[str]:
    top = click.Context(main, info_name="slipway")
    command = main if name is None else main.get_command(top, name)
    assert command is not None
    ctx = top if name is None else click.Context(command, info_name=name, parent=top)
    title = "slipway" if name is None else f"slipway-{name}"
    yield f'.TH "{title.upper()}" "1" "{_today()}" "Slipway {__version__}" "Slipway"'
    yield ".SH NAME"
    short = "build virtual machine instances, and take back what was done when a step fails"
    yield f"{_text(title)} \\- {_text(short if name is None else _first_small(COMMANDS[name]))}"
    yield ".SH SYNOPSIS"
    yield _synopsis(command, ctx)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command.help or "")
    if name is None:
        yield ".SH COMMANDS"
        for one, about in COMMANDS.items():
            yield from (".TP", f"\\fBslipway\\-{_text(one)}\\fR(1)", _text(about))
    elif isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for one in command.list_commands(ctx):
            found = command.get_command(ctx, one)
            assert found is not None
            yield from _subcommand(found, click.Context(found, info_name=one, parent=ctx))
    yield ".SH OPTIONS"
    yield from _options(command, ctx)
    yield from _examples(command)
    yield ".SH EXIT STATUS"
    for code, meaning in _CODES.items():
        yield from (".TP", f"\\fB{int(code)}\\fR", _text(meaning))
    yield ".SH ENVIRONMENT"
    for option, variable in VARIABLES.items():
        yield from (".TP", f"\\fB{variable}\\fR", _text(f"{_ABOUT[option]}, where --{option} does not say it"))
    yield ".SH SEE ALSO"
    others = [f"slipway-{one}" for one in COMMANDS if one != name] if name is None else ["slipway"]
    yield ", ".join(f"\\fB{_text(one)}\\fR(1)" for one in others)


def _today() -> str:
    """The date of the page; of a package that is built to be the same each time, what it says."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return f"{datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC):%Y-%m-%d}"


def _subcommand(command: click.Command, ctx: click.Context) -> Iterator[str]:
    yield f'.SS "{_text(command.name or "")}"'
    yield _synopsis(command, ctx)
    yield ".PP"
    yield from _paragraphs(command.help or "")
    yield from _options(command, ctx, own=True)
    yield from _examples(command, section=False)


def _synopsis(command: click.Command, ctx: click.Context) -> str:
    pieces = " ".join(command.collect_usage_pieces(ctx))
    return f"\\fB{_text(ctx.command_path)}\\fR {_text(pieces)}"


def _options(command: click.Command, ctx: click.Context, *, own: bool = False) -> Iterator[str]:
    """All options, or (`own`) only those that not every command has."""
    common = {option.name for option in main.params}
    for parameter in command.get_params(ctx):
        if own and (parameter.name in common or "--help" in parameter.opts):
            continue
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield from (".TP", f"\\fB{_text(record[0])}\\fR", _text(record[1]))


def _examples(command: click.Command, *, section: bool = True) -> Iterator[str]:
    lines = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
    if lines:
        if section:
            yield ".SH EXAMPLES"
        else:
            yield ".PP"
        yield from (".RS 4", ".nf", *(_text(line, fold=False) for line in lines), ".fi", ".RE")


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        yield _text(" ".join(paragraph.replace("\b", "").split()))


def _first_small(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")


def _text(text: str, *, fold: bool = True) -> str:
    """A text as roff has it: a backslash and hyphen-minus as they are, and no control line where none is meant."""
    if fold and len(text) > _WIDTH:
        return "\n".join(_text(line, fold=False) for line in wrap(text, _WIDTH, break_on_hyphens=False))
    escaped = (
        " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga").replace("^", "\\(ha")
    )
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped

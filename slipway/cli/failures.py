"""How an error ends: one clear line (or a JSON object) and the exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum

import click

from slipway.cli.say import say, shown
from slipway.errors import (
    BoardUnavailable,
    BuildInterrupted,
    CommandsNotAllowed,
    DatabaseDamaged,
    InvalidBoard,
    InvalidFile,
    InvalidRequest,
    NotConfirmed,
    PlanUnusable,
    SlipwayError,
    StoreError,
    WorkerExists,
)
from slipway.texts import named


class Code(IntEnum):
    """The exit codes."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    FAILED = 3
    STUCK = 4
    DIFFERENT = 5
    WAITING = 6
    INTERRUPTED = 130


_USAGE = (
    *(click.UsageError, InvalidFile, InvalidRequest, CommandsNotAllowed, NotConfirmed, PlanUnusable),
    *(InvalidBoard, BoardUnavailable, WorkerExists),
)

_UNWRITABLE = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT)
"""Errors of standard output: those of the record are `StoreError`s. Of a reader that has gone nothing is said."""


def report(error: BaseException, argv: Sequence[str]) -> Code:
    """Tell the user about an error that ended the command; gives the exit code.

    What was typed is looked at again, since a usage error may come before any option was read.
    """
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        # The interpreter would fail once more when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            say(f"slipway: the output cannot be written: {error.strerror}", err=True)
        return Code.UNEXPECTED
    if _verbose(argv) and not isinstance(error, (click.ClickException, click.Abort)):
        import traceback

        say("".join(traceback.format_exception(error)), err=True)
    if _json(argv):
        from slipway.cli.output import print_json

        print_json({"error": _described(error)})
    else:
        say(_text(error), err=True)
    if isinstance(error, (click.Abort, KeyboardInterrupt, BuildInterrupted)):
        return Code.INTERRUPTED
    usage = isinstance(error, _USAGE) or (isinstance(error, StoreError) and error.of_option)
    return Code.USAGE if usage else Code.UNEXPECTED


def explained(error: Exception, misfits: Callable[[], Sequence[str]]) -> Exception:
    """An error that nobody has thought of, as what it comes from, where that is a value in the record."""
    if isinstance(error, (click.ClickException, click.Abort, click.exceptions.Exit, SlipwayError, OSError)):
        return error
    found: Sequence[str] = ()
    with suppress(SlipwayError):
        found = misfits()
    return DatabaseDamaged(f"the record was changed by hand: {found[0]} ({named(error)})") if found else error


def _described(error: BaseException) -> dict[str, object]:
    described: dict[str, object] = {"type": type(error).__name__, "message": _message(error)}
    if isinstance(error, (InvalidFile, InvalidRequest)):
        described["problems"] = error.problems
    return described


def _text(error: BaseException) -> str:
    if isinstance(error, InvalidFile):
        excerpts = [*error.excerpts, *[""] * (len(error.problems) - len(error.excerpts))]
        lines = [
            (problem, *filter(None, excerpt.split("\n")))
            for problem, excerpt in zip(error.problems, excerpts, strict=True)
        ]
        return "\n".join(shown(line) for block in lines for line in block)
    if isinstance(error, click.UsageError) and error.ctx:
        return f"slipway: {_message(error)} (see '{error.ctx.command_path} --help')"
    if isinstance(error, (click.ClickException, click.Abort, SlipwayError, BuildInterrupted, KeyboardInterrupt)):
        return f"slipway: {_message(error)}"
    return f"slipway: {type(error).__name__}: {_message(error)} (--verbose shows where)"


def _message(error: BaseException) -> str:
    """One line."""
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "interrupted"
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(text.split()) if text else "no more is known"


def _json(argv: Sequence[str]) -> bool:
    pairs = zip(argv, [*argv[1:], ""], strict=True)
    return any(word in ("--output=json", "--json") or (word, value) == ("--output", "json") for word, value in pairs)


def _verbose(argv: Sequence[str]) -> bool:
    return not {"-v", "--verbose"}.isdisjoint(argv)

"""Who has typed what, for the record of the runs that come of it."""

from __future__ import annotations

import itertools
import os
import pwd
import shlex
from collections.abc import Iterator, Sequence

from slipway.texts import masked

_LONGEST = 1000


def asked_by(argv: Sequence[str]) -> str:
    """The user of this machine and the command line. The values of inputs are left out: they are on record as such,
    without those that are secret."""
    line = " ".join(shlex.quote(masked(word)) for word in ("slipway", *_without_values(argv)))
    return f"{_user()}: {line if len(line) <= _LONGEST else f'{line[:_LONGEST]}...'}"


def options_of(asked: str) -> tuple[str, ...]:
    """The options of such a command line without which nobody goes on with what it began: for advice alone, since to
    let a workflow's commands run is everybody's own to say."""
    try:
        words = shlex.split(asked.partition(": ")[2])
    except ValueError:
        # It was cut.
        return ()
    named = [pair for pair in itertools.pairwise(words) if pair[0] == "--tasks"]
    joined = [word for word in words if word.startswith("--tasks=") or word == "--allow-commands"]
    return (*itertools.chain.from_iterable(named), *joined)


def _without_values(argv: Sequence[str]) -> Iterator[str]:
    before = ""
    for word in argv:
        option, equals, pair = word.partition("=")
        if before == "--input":
            yield f"{word.partition('=')[0]}=..."
        elif option == "--input" and equals:
            yield f"--input={pair.partition('=')[0]}=..."
        else:
            yield word
        before = word


def _user() -> str:
    """By the process itself, not by its environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"

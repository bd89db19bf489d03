"""The mistakes in a file: where each one is, what is wrong, and what was probably meant."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from msgspec import Struct

_MOST_KNOWN = 1000
"""With how many names a wrong one is compared, so that many mistakes in a file of many names do not take minutes."""


class Position(NamedTuple):
    """A place in a file; line and column count from 1."""

    line: int
    column: int


class Problem(Struct, frozen=True):
    """One mistake; `wrong` and `known` are the word that was written and those that could have been meant."""

    position: Position | None
    text: str
    wrong: str = ""
    known: tuple[str, ...] = ()

    def render(self, name: str) -> str:
        """`file:line:column: what, did you mean ...`, all in one line."""
        where = f"{name}:{self.position.line}:{self.position.column}" if self.position else name
        return f"{where}: {self.text}{did_you_mean(self.wrong, self.known)}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`, did you mean "..."?` with the nearest of the known words, or nothing."""
    import difflib

    if not wrong or len(wrong) > 64:
        return ""
    near = difflib.get_close_matches(wrong, list(islice(known, _MOST_KNOWN)), n=1)
    return f", did you mean {quoted(near[0])}?" if near else ""


def quoted(value: object) -> str:
    """A value of a file for a message: as it would be written there, printable and cut short."""
    if isinstance(value, (dict, list)):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if value is None or isinstance(value, bool):
        return {None: "empty", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return str(value)
    text = value if len(value) <= 60 else f"{value[:57]}..."
    return f'"{text}"' if text.isprintable() else json.dumps(text)

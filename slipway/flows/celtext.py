"""The text of a CEL expression read from the outside: which paths it uses, and how much it could grow.

No parser: the library is that. It does not give its syntax tree away, and what a workflow needs to know before it runs
is just which steps and inputs are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

ROOTS = frozenset({"steps", "inputs", "item", "index", "run", "result"})
MACROS = frozenset({"map", "filter", "all", "exists", "exists_one", "existsOne"})
MAX_LENGTH = 1000
MAX_MACROS = 4
MAX_GROWTH = 10_000

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<text>(?:[rR][bB]?|[bB][rR]?)?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"
        |'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<name>[A-Za-z_]\w*)
    |(?P<quoted>`[^`\n]*`)
    |(?P<number>\.?[0-9][0-9A-Za-z]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)


class Token(NamedTuple):
    """`kind`: text, name, quoted, number or sign; `start`: where it begins in the expression."""

    kind: str
    value: str
    start: int


class Path(NamedTuple):
    """A path that begins with one of `ROOTS`, and where it begins in the expression."""

    parts: tuple[str, ...]
    start: int


def tokens(text: str) -> list[Token]:
    """All but blanks and comments."""
    found = (Token(match.lastgroup or "", match.group(), match.start()) for match in _TOKEN.finditer(text))
    return [token for token in found if token.kind != "space"]


def next_end(text: str, start: int) -> int:
    """Where the `}}` is that ends an expression which begins at `start`, or -1: not one in a text, a comment or a
    mapping of it."""
    depth = 0
    for match in _TOKEN.finditer(text, start):
        if match.group() == "{":
            depth += 1
        elif match.group() == "}":
            if depth == 0 and text.startswith("}}", match.start()):
                return match.start()
            depth -= 1
    return -1


def paths_in(text: str) -> tuple[Path, ...]:
    """Every path from a root in an expression, in its order; the names that macros bind are none."""
    return tuple(_paths(tokens(text)))


def _paths(found: list[Token]) -> Iterator[Path]:
    bound: list[tuple[str, int]] = []
    depth = 0
    for at, token in enumerate(found):
        if token.kind == "sign":
            depth += {"(": 1, ")": -1}.get(token.value, 0)
            while bound and bound[-1][1] > depth:
                bound.pop()
            if token.value == "(" and (name := _bound_by(found, at)):
                bound.append((name, depth))
        elif token.value in ROOTS - {name for name, _ in bound} and token.kind == "name" and not _is_member(found, at):
            yield Path(_members(found, at), token.start)


def _bound_by(found: list[Token], at: int) -> str:
    """The name that is bound in the parentheses that open here, those of a macro."""
    if at + 2 >= len(found) or found[at - 1].value not in MACROS or not _is_member(found, at - 1):
        return ""
    name, comma = found[at + 1], found[at + 2]
    return name.value if name.kind == "name" and comma.value == "," else ""


def _is_member(found: list[Token], at: int) -> bool:
    """Whether the name belongs to what stands before it: a dot alone means the outermost names."""
    if at < 2 or found[at - 1].value != ".":
        return False
    before = found[at - 2]
    return before.kind != "sign" or before.value in ")]}"


def _members(found: list[Token], at: int) -> tuple[str, ...]:
    """The root and what is written after it, up to a call or an index that is no plain one."""
    parts = [found[at].value]
    while at + 2 < len(found):
        sign, token = found[at + 1 : at + 3]
        after = found[at + 3].value if at + 3 < len(found) else ""
        if sign.value == "." and token.kind in ("name", "quoted") and after != "(":
            parts.append(token.value.strip("`"))
            at += 2
        elif sign.value == "[" and after == "]" and (plain := _plain_index(token)):
            parts.append(plain)
            at += 3
        else:
            break
    return tuple(parts)


def _plain_index(token: Token) -> str:
    if token.kind == "number" and token.value.isdecimal():
        return token.value
    return token.value[1:-1] if token.kind == "text" and re.fullmatch(r"""(['"])[^'"\\]+\1""", token.value) else ""


def too_much(text: str) -> str:
    """Why an expression could make too much out of little, or nothing: each macro may take the result of the one before
    it, and each `+` may put two of them together."""
    found = tokens(text)
    macros = sum(_is_member(found, at) and token.value in MACROS for at, token in enumerate(found))
    if macros > MAX_MACROS:
        return f"it has {macros} of map, filter, all and exists: at most {MAX_MACROS} are allowed"
    sums = sum(token.value == "+" for token in found)
    if (1 + sums / (macros + 1)) ** (macros + 1) > MAX_GROWTH:
        return f"it has {sums} of + with {macros} of map, filter, all and exists: it could grow without bounds"
    return ""

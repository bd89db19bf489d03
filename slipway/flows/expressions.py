"""Expressions in the Common Expression Language, by Google's own library; imported only where a file has one.

What goes in is made plain before: no expression reaches into a Python object. What the library bounds itself: it is not
recursive beyond 32 levels, makes 10,000 iterations at most, and its regular expressions take linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NamedTuple

from cel_expr_python import cel

from slipway.errors import ExpressionFailed
from slipway.flows.celtext import MAX_LENGTH, ROOTS, tokens, too_much
from slipway.flows.plain import MAX_VALUES, Plainer, as_secret

MAX_TEXT = 16 * 1024 * 1024
"""How many characters all texts of a result may have together."""

FUNCTIONS = (
    *("size", "contains", "startsWith", "endsWith", "matches", "has", "all", "exists", "exists_one", "map", "filter"),
    *("int", "uint", "double", "string", "bool", "bytes", "duration", "timestamp", "type", "dyn"),
)

_TYPES = {
    "string": cel.Type.STRING,
    "integer": cel.Type.INT,
    "boolean": cel.Type.BOOL,
    "list": cel.Type.List(cel.Type.DYN),
    "map": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}
_NAMES = {
    "int64": "integer", "uint64": "uint", "int": "integer", "null_type": "null", "bool": "boolean", "double": "number",
}  # fmt: skip


class Mistake(NamedTuple):
    """What is wrong with an expression, and where in it; `wrong` and `known` for a word that may have been misspelt."""

    start: int
    text: str
    wrong: str = ""
    known: tuple[str, ...] = ()


def check(text: str, types: Mapping[str, str] = {}) -> tuple[list[Mistake], str]:
    """What is wrong with an expression before it is evaluated, and the type of what it gives ("" where that is open).

    `types`: what is known of the paths in it, such as `inputs.zone`: string, integer, boolean, list or map.
    """
    if len(text) > MAX_LENGTH:
        return [Mistake(0, f"the expression is longer than {MAX_LENGTH} characters")], ""
    if reason := too_much(text):
        return [Mistake(0, f"the expression is refused: {reason}")], ""
    # A path with a type is a name of its own to the library, of which `has` cannot ask for a part.
    known = {} if any(token.value == "has" for token in tokens(text)) else types
    try:
        kind = _environment(tuple(sorted(known.items()))).compile(text).return_type()
    except RuntimeError as error:
        return list(_mistakes(text, str(error))), ""
    return [], next((name for name, one in _TYPES.items() if one == kind), "")


def evaluate(text: str, used: Mapping[tuple[str, ...], Any]) -> Any:
    """What an expression gives: null, booleans, integers, numbers, texts, lists and mappings.

    Durations are seconds, timestamps are RFC 3339. `used`: what the paths in it stand for; where a secret is in that,
    the texts that it gives are secrets. Raises `ExpressionFailed`, then without what the library says.
    """
    plainer = Plainer()
    try:
        data = _nested(used, plainer)
        value = _compiled(text).eval(data=data)
        if value.type() == cel.Type.ERROR:
            raise ValueError(_why(str(value.value())))
        result = _Unwrapping().unwrap(value)
    except (RuntimeError, ValueError, MemoryError) as error:
        why = {RuntimeError: _why(str(error)), MemoryError: "it needs too much memory"}.get(type(error), str(error))
        raise ExpressionFailed(f"${{{{ {text} }}}}: {'it failed' if plainer.secret else why}") from None
    return as_secret(result) if plainer.secret else result


def _nested(used: Mapping[tuple[str, ...], Any], plainer: Plainer) -> dict[str, Any]:
    data: dict[str, Any] = {}
    # A whole comes before its parts, which then are in it already.
    for path in sorted(used, key=len):
        inner = data
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        try:
            inner.setdefault(path[-1], plainer.convert(used[path]))
        except ValueError as error:
            raise ValueError(f"{'.'.join(path)} has {error} in it, which no expression can take") from error
    return data


@lru_cache(4096)
def _compiled(text: str) -> Any:
    if len(text) > MAX_LENGTH or (reason := too_much(text)):
        raise ValueError(reason if len(text) <= MAX_LENGTH else f"longer than {MAX_LENGTH} characters")
    try:
        return _environment(()).compile(text)
    except RuntimeError as error:
        raise ValueError("; ".join(mistake.text for mistake in _mistakes(text, str(error)))) from error


@cache
def _environment(types: tuple[tuple[str, str], ...]) -> Any:
    declared = dict.fromkeys(ROOTS, cel.Type.DYN) | {name: _TYPES[kind] for name, kind in types}
    return cel.NewEnv(variables=declared)


class _Unwrapping:
    """A result made plain, and no larger than anybody wants it."""

    def __init__(self) -> None:
        self.values = MAX_VALUES
        self.characters = MAX_TEXT

    def unwrap(self, wrapped: Any) -> Any:
        self.values -= 1
        found = wrapped.value()
        if isinstance(found, str):
            self.characters -= len(found)
        if self.values < 0 or self.characters < 0:
            raise ValueError(f"its result is larger than {MAX_VALUES} values or {MAX_TEXT // 1024**2} MiB of text")
        match found:
            case None | bool() | int() | float() | str():
                return found
            case list():
                return [self.unwrap(one) for one in found]
            case dict():
                if not all(isinstance(key, str) for key in found):
                    raise ValueError("its result has a mapping with keys that are no texts")
                return {key: self.unwrap(one) for key, one in found.items()}
            case timedelta():
                return found.total_seconds()
            case datetime():
                return found.isoformat()
            case _:
                raise ValueError(f"it gives {wrapped.type().name().lower()}, which is no value of a workflow")


# --- the library's words in ours ----------------------------------------------------------------------------------

_AT = re.compile(r"ERROR: <input>:(-?[0-9]+):(-?[0-9]+): (.*)")
_SYNTAX = re.compile(
    r"Syntax error: (?:mismatched input|extraneous input|token recognition error at:|no viable alternative at input"
    r"|missing '.*' at) '(.*?)'?(?: expecting .*)?(?: \[\w+\])?$",
    re.DOTALL,
)
_OVERLOAD = re.compile(r"found no matching overload for '(.*?)' applied to '(.*)'")
_UNDECLARED = re.compile(r"undeclared reference to '(.*?)'")


def _mistakes(text: str, message: str) -> Iterable[Mistake]:
    found = _AT.findall(message)
    if "recursion" in message or not found:
        yield Mistake(0, "the expression is nested too deep" if "recursion" in message else _why(message))
        return
    lines = text.split("\n")
    for line, column, what in found:
        start = sum(len(before) + 1 for before in lines[: int(line) - 1]) + int(column) - 1
        if "Syntax error" in what:
            # What follows a syntax error is mostly its consequence.
            yield Mistake(min(start, len(text)), _syntax(what))
            return
        yield _mistake(text, start, what.removesuffix(" [INVALID_ARGUMENT]"))


def _syntax(what: str) -> str:
    match = _SYNTAX.match(what)
    if match is None or match[1] == "<EOF>":
        return "the expression ends too early" if match else f"not a CEL expression: {what}"
    sign = match[1].strip()
    hint = {"=": ": to compare write ==", "'": ": a text is not closed", '"': ": a text is not closed"}
    words = {"and": ": write &&", "or": ": write ||", "not": ": write !"}
    return f'the expression has "{sign}" where it does not belong{words.get(sign) or hint.get(sign[:1], "")}'


def _mistake(text: str, start: int, what: str) -> Mistake:
    if match := _UNDECLARED.match(what):
        name = match[1]
        if text[start : start + 1] == "(":
            return Mistake(start - len(name), f'there is no function "{name}"', name, FUNCTIONS)
        # Of a path the library marks the last dot.
        start = text.rfind(name, 0, start + len(name)) if "." in name else start
        first = name.partition(".")[0]
        return Mistake(start, f'unknown name "{first}"', first, (*sorted(ROOTS), "true", "false", "null"))
    if match := _OVERLOAD.match(what):
        return Mistake(start, _cannot_take(match[1], match[2].strip("()")))
    if what == "invalid int literal":
        return Mistake(start, "the integer has more than 64 bits")
    return Mistake(start, what)


def _cannot_take(operator: str, types: str) -> str:
    sign = operator.strip("_@") or operator
    names = " and ".join(_NAMES.get(name, name) for name in types.split(", ")) if types else "these types"
    return f"{'a condition' if 'condition' in sign or sign == '?_:' else sign} cannot take {names}"


def _why(message: str) -> str:
    """What the library says of an evaluation, without its codes."""
    text = re.sub(r"^[A-Z_]+: | \[[A-Z_]+\]$", "", message)
    if text.startswith("Iteration budget exceeded"):
        return "it takes more than 10,000 iterations"
    if match := re.match(r"No matching overloads found : (.*?)(?:\((.*)\))?$", text):
        return _cannot_take(match[1] or "size", match[2] or "")
    if match := re.match(r"Key not found in map : (.*)", text):
        return f"there is no {match[1]} in the mapping"
    if match := re.match(r"Index error: index=(-?[0-9]+) size=([0-9]+)", text):
        return f"there is no item {match[1]} in a list of {match[2]}"
    if "SELECT to non-message" in text:
        return "what something is asked of is null, or no mapping"
    return text[:1].lower() + text[1:]


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches a regular expression, in time that grows with its length alone (RE2).

    Raises `ValueError` for what is no regular expression.
    """
    used: dict[tuple[str, ...], str] = {("inputs", "pattern"): f"^(?:{pattern})$", ("inputs", "text"): text}
    try:
        return bool(evaluate("inputs.text.matches(inputs.pattern)", used))
    except ExpressionFailed as error:
        why = str(error).partition("}}: ")[2]
        raise ValueError(
            why.removeprefix("invalid regular expression: ").removesuffix(f": {used['inputs', 'pattern']}")
        ) from error

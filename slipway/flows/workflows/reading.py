"""The values of a workflow file: what is plain, and the expressions in it, each looked up where it stands."""

from __future__ import annotations

import re
from typing import Any

from slipway.flows.celtext import MAX_LENGTH, next_end, paths_in
from slipway.flows.definition import Cel, ListValue, MapValue, Reference, Template, Value
from slipway.flows.workflows.names import Names, Place, Wrong
from slipway.flows.workflows.types import of_expression
from slipway.yamlfile.document import Document, NodePath

_OPEN = "${{"
_PLAIN = re.compile(
    r"""[A-Za-z]\w*(\.[A-Za-z_][\w-]*|\[[0-9]{1,9}\]|\["[^"\\\n]+"\]|\['[^'\\\n]+'\])*""",
    re.ASCII,
)
_PART = re.compile(r"""\.?([A-Za-z_][\w-]*)|\[([0-9]+)\]|\[["']([^"'\\\n]+)["']\]""", re.ASCII)
_CONSTANTS = ("true", "false", "null")
_TYPES: dict[str, Any] = {"string": str, "integer": int, "boolean": bool, "list": list[Any], "map": dict[str, Any]}


class Reader:
    """Makes values of one document; problems are left in it, and what has one stands for null."""

    def __init__(self, document: Document, names: Names) -> None:
        self.document = document
        self.names = names

    def value(self, path: NodePath, value: Any, place: Place) -> tuple[Value, Any]:
        """The value at a path and its type."""
        if isinstance(value, str) and _OPEN in value:
            return self._text(path, value, place)
        if isinstance(value, list):
            items = [self.value((*path, at), one, place) for at, one in enumerate(value)]
            return ListValue(tuple(one for one, _ in items)), list[Any]
        if isinstance(value, dict):
            for key in value:
                if _OPEN in key:
                    self.document.problem((*path, key), "an expression stands in a value, not in a key", key=True)
            entries = tuple((key, self.value((*path, key), one, place)[0]) for key, one in value.items())
            return MapValue(entries), dict[str, Any]
        return value, None if value is None else type(value)

    def _text(self, path: NodePath, value: str, place: Place) -> tuple[Value, Any]:
        parts: list[str | Reference | Cel] = []
        kind: Any = str
        at, broken = 0, False
        while (start := value.find(_OPEN, at)) >= 0:
            if value[at:start]:
                parts.append(value[at:start])
            begin = start + len(_OPEN)
            end = next_end(value, begin)
            if end < 0:
                self._problem(path, value, start, f"{_OPEN} is not closed with }}}}")
                return None, Any
            found, kind = self._expression(path, value, begin, end, place)
            broken = broken or found is None
            parts.append(found or "")
            at = end + 2
        if broken:
            return None, Any
        if value[at:]:
            parts.append(value[at:])
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0], kind
        return Template(tuple(parts)), str

    def _expression(
        self, path: NodePath, value: str, begin: int, end: int, place: Place
    ) -> tuple[Reference | Cel | None, Any]:
        inner = value[begin:end]
        begin += len(inner) - len(inner.lstrip())
        inner = inner.strip()
        if not inner:
            self._problem(path, value, begin, "the expression is empty: write ${{ steps.ID.outputs.NAME }}")
            return None, Any
        if _PLAIN.fullmatch(inner) and inner not in _CONSTANTS:
            parts = tuple(next(filter(None, match.groups())) for match in _PART.finditer(inner))
            return Reference(parts), self._look_up(path, value, begin, parts, place)
        return self._cel(path, value, begin, inner, place)

    def _look_up(self, path: NodePath, value: str, at: int, parts: tuple[str, ...], place: Place) -> Any:
        """The type of what a path refers to; where that is nothing, it is noted."""
        try:
            return self.names.type_of(parts, place)
        except Wrong as error:
            position = self.document.position_in(path, value, at)
            self.document.problem(path, str(error), at=position, wrong=error.wrong, known=error.known)
            return Any

    def _cel(self, path: NodePath, value: str, begin: int, inner: str, place: Place) -> tuple[Cel | None, Any]:
        from slipway.flows.expressions import check

        types: dict[str, str] = {}
        before = len(self.document.problems)
        found = paths_in(inner) if len(inner) <= MAX_LENGTH else ()
        for parts, start in found:
            kind = self._look_up(path, value, begin + start, parts, place)
            if all(part.isidentifier() for part in parts) and len(parts) > 1 and (name := of_expression(kind)):
                types[".".join(parts)] = name
            elif name := self._dashed(parts, inner[start:]):
                self.document.problems.pop()
                text = f"in an expression a name with a dash stands in brackets: write {parts[0]}['{name}']"
                self._problem(path, value, begin + start, text)
        mistakes, kind = check(inner, types)
        if len(self.document.problems) == before:
            for mistake in mistakes:
                position = self.document.position_in(path, value, begin + mistake.start)
                # What nobody has declared may be an input without its `inputs.`.
                meant = f": write inputs.{mistake.wrong}" if mistake.wrong in (self.names.inputs or ()) else ""
                wrong = "" if meant else mistake.wrong
                self.document.problem(path, f"{mistake.text}{meant}", at=position, wrong=wrong, known=mistake.known)
        uses = tuple(dict.fromkeys(Reference(parts) for parts, _ in found))
        return Cel(inner, uses), _TYPES.get(kind, Any)

    def _dashed(self, parts: tuple[str, ...], text: str) -> str:
        """The name of a step or input with a dash in it that was meant where there seems to be a subtraction."""
        known = {"steps": self.names.steps, "inputs": self.names.inputs or {}}.get(parts[0], {})
        match = re.match(rf"{parts[0]}\.([\w-]+)", text)
        return match[1] if match and len(parts) > 1 and parts[1] not in known and match[1] in known else ""

    def _problem(self, path: NodePath, value: str, offset: int, text: str) -> None:
        self.document.problem(path, text, at=self.document.position_in(path, value, offset))


def is_expression(value: Value) -> bool:
    """Whether it is one expression and nothing else."""
    return isinstance(value, (Reference, Cel))


def is_plain(value: Value) -> bool:
    """Whether there is no expression in it."""
    match value:
        case Reference() | Cel() | Template():
            return False
        case ListValue(items):
            return all(map(is_plain, items))
        case MapValue(entries):
            return all(is_plain(one) for _, one in entries)
    return True


def plain_of(value: Value) -> Any:
    """A value without expressions as YAML has it."""
    match value:
        case ListValue(items):
            return [plain_of(one) for one in items]
        case MapValue(entries):
            return {key: plain_of(one) for key, one in entries}
    return value

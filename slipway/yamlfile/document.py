"""A YAML file as plain values, with the position of each key and value, and the problems that were found in it.

A subset of YAML 1.2: its core schema's scalars (`no` is a string, `1:30` too), one document, no tags, anchors, aliases,
merge keys or duplicate keys; bounded in size, depth and integers. The parser's events are read one by one rather than
composed into nodes, so that anchors and tags are seen where they stand and nothing is built beyond the bounds.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from slipway.errors import InvalidFile
from slipway.yamlfile.mistakes import Position, Problem, quoted
from slipway.yamlfile.scalars import check_characters, resolve

MAX_SIZE = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_PROBLEMS = 100
_WIDTH, _BEFORE = 100, 60
"""How much of a line is shown with a problem, and of that how much before it, where the line is longer."""

NodePath: TypeAlias = tuple[str | int, ...]
"""Where a value stands in the tree: keys and list indexes, from the root."""

_SECRET = re.compile(
    r"""(?i)(passw|passphrase|secret|token|credential|api[_-]?key|private[_-]?key)[\w-]*["']?\s*:\s+(?!["']?(?:\$\{\{|[{]))\S
    |\btype\s*:\s*["']?secret""",
    re.VERBOSE,
)
"""A line with what may be a secret: the value of a key of such a name, and what stands beside an input's type."""

# Besides control characters: line breaks that only YAML 1.1 knows, the byte order mark, and lone surrogates.
_BAD_IN_FILE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(slots=True)
class Document:
    """A file's tree of plain values. Problems are collected in it until `finish`.

    `unusable` has the paths of values that could not be read (an alias, a number out of bounds): they are None in the
    tree, have their problem already, and need no second one. `dropped` has those that were taken out of the tree.
    """

    name: str
    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    unusable: set[NodePath] = field(default_factory=set)
    dropped: set[NodePath] = field(default_factory=set)
    text: str = ""
    _keys: dict[NodePath, Position] = field(default_factory=dict)
    _values: dict[NodePath, Position] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _spans: dict[NodePath, tuple[int, int]] = field(default_factory=dict)

    def mark(self, path: NodePath, position: Position) -> None:
        """Note where the value at `path` begins."""
        self._values[path] = position

    def mark_key(self, path: NodePath, position: Position) -> None:
        """Note where the key at `path` begins."""
        self._keys[path] = position

    def key_position(self, path: NodePath) -> Position:
        """Where the key is, or the item of a list, or the nearest thing around it."""
        return self._keys.get(path) or self.position(path)

    def position(self, path: NodePath) -> Position:
        """Where the value begins, or the nearest thing around it."""
        while path and path not in self._values:
            path = path[:-1]
        return self._values.get(path, Position(1, 1))

    def mark_span(self, path: NodePath, start: int, end: int) -> None:
        """Note from where to where in the text a scalar stands, with its quotes."""
        self._spans[path] = start, end

    def position_in(self, path: NodePath, value: str, offset: int) -> Position:
        """Where the character at `offset` of a text stands in the file; of a text with escapes or folded lines, where
        its line begins that is found there, or the text itself."""
        start, end = self._spans.get(path, (0, 0))
        written = self.text[start:end]
        if (at := written.find(value)) >= 0:
            return self._at(start + at + offset)
        before = value.rfind("\n", 0, offset) + 1
        line = value[before:].partition("\n")[0]
        if line.strip() and (at := written.find(line.strip())) >= 0:
            inside = offset - before - (len(line) - len(line.lstrip()))
            return self._at(start + at + max(0, inside))
        return self.position(path)

    def _at(self, index: int) -> Position:
        if not self._starts:
            self._starts = [0, *(match.end() for match in re.finditer("\r\n|\r|\n", self.text))]
        line = bisect_right(self._starts, index)
        return Position(line, index - self._starts[line - 1] + 1)

    def where(self, path: NodePath) -> str:
        """`file:line:column` of the key."""
        line, column = self.key_position(path)
        return f"{self.name}:{line}:{column}"

    def problem(
        self,
        path: NodePath,
        text: str,
        *,
        key: bool = False,
        at: Position | None = None,
        wrong: str = "",
        known: Iterable[str] = (),
    ) -> None:
        """Note a problem with the value at `path`, or with its key, or with what stands `at` a position in it."""
        position = at or (self.key_position(path) if key else self.position(path))
        self.problems.append(Problem(position, text, wrong, tuple(known)))

    def drop(self, path: NodePath) -> None:
        """Take a value out of the tree, and remember it in `dropped`; in a list None stays in its place."""
        self.dropped.add(path)
        parent = self.value
        for step in path[:-1]:
            try:
                parent = parent[step]
            except (KeyError, TypeError):
                return
        if not path:
            self.value = None
        elif isinstance(parent, list):
            parent[int(path[-1])] = None
        elif isinstance(parent, dict):
            parent.pop(path[-1], None)

    def finish(self) -> None:
        """Raise `InvalidFile` with all problems, if there are any."""
        if self.problems:
            raise self.error()

    def error(self) -> InvalidFile:
        """All problems, in the order in which they stand in the file; of very many only the first."""
        ordered = sorted(dict.fromkeys(self.problems), key=lambda problem: problem.position or Position(0, 0))
        lines = [problem.render(self.name) for problem in ordered[:MAX_PROBLEMS]]
        if len(ordered) > MAX_PROBLEMS:
            lines.append(f"{self.name}: and {len(ordered) - MAX_PROBLEMS} problems more")
        excerpts = tuple(self._excerpt(problem.position) for problem in ordered[:MAX_PROBLEMS])
        return InvalidFile(tuple(lines), excerpts)

    def _excerpt(self, position: Position | None) -> str:
        """The line with the place marked below it, of a long line the part around it; of one with a secret nothing."""
        lines = self._lines = self._lines or self.text.splitlines()
        if position is None or position.line > len(lines) or _SECRET.search(lines[position.line - 1]):
            return ""
        line, column = lines[position.line - 1].replace("\t", " "), position.column - 1
        start = max(0, column - _BEFORE) if len(line) > _WIDTH else 0
        shown = line[start : start + _WIDTH]
        number = f"{position.line:5} | "
        return f"{number}{shown}\n{'|':>{len(number) - 1}} {' ' * (column - start)}^"

    def fatal(self, position: Position | None, text: str) -> InvalidFile:
        """The error to raise where nothing can be read on, with all problems found before."""
        self.problems.append(Problem(position, text))
        return self.error()


def read(path: Path) -> Document:
    """Read a file. Raises `InvalidFile`."""
    return parse(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file, at most a character more than may be in it. Raises `InvalidFile`."""
    document = Document(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        raise document.fatal(None, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise document.fatal(Position(1, 1), "the file is UTF-16: save it as UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        # A character of several bytes that was cut at the limit is not the mistake.
        if len(content) > MAX_SIZE:
            raise document.fatal(None, _TOO_LARGE) from error
        before = content[: error.start].decode()
        byte = content[error.start]
        raise document.fatal(_end_of(before), f"the file is not UTF-8 (byte 0x{byte:02x})") from error


def parse(text: str, name: str) -> Document:
    """Parse the text of a file; `name` is what problems call it.

    Raises `InvalidFile` where it cannot be read at all; other problems are left in the document for `finish`.
    """
    document = Document(name, text=text)
    if len(text) > MAX_SIZE or len(text.encode(errors="replace")) > MAX_SIZE:
        raise document.fatal(None, _TOO_LARGE)
    if text.startswith("\ufeff"):
        raise document.fatal(Position(1, 1), "the file begins with a byte order mark: save it as UTF-8 without one")
    if bad := _BAD_IN_FILE.search(text):
        raise document.fatal(_end_of(text[: bad.start()]), f"character U+{ord(bad[0]):04X} is not allowed here")
    _Reader(document).read(text)
    return document


_TOO_LARGE = f"the file is larger than {MAX_SIZE // 1024} KiB"


def _end_of(text: str) -> Position:
    lines = re.split("\r\n|\r|\n", text)
    return Position(len(lines), len(lines[-1]) + 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read; `key` is what the next value belongs to, None: a key comes next."""

    path: NodePath
    value: Any
    key: str | int | None

    def put(self, value: Any) -> None:
        if isinstance(self.key, str):
            self.value[self.key] = value
        elif isinstance(self.value, list):
            self.value.append(value)
            self.key = len(self.value)
            return
        self.key = None


class _Reader:
    """Builds a document from the parser's events, without recursion."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[_Open] = []

    def read(self, text: str) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = 0
        try:
            for event in yaml.parse(text, Loader=loader):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self.document.fatal(_position(event), "a second document begins: only one is allowed")
                elif isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
                    self._take(event)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            position = Position(mark.line + 1, mark.column + 1) if mark else None
            what = getattr(error, "problem", None) or str(error)
            if mark and text[mark.index : mark.index + 1] == "\t":
                what += " (a tab: indent with spaces)"
            raise self.document.fatal(position, f"not valid YAML: {what}") from error
        if self.document.value is None and not self.document.unusable:
            raise self.document.fatal(None, "the file is empty")

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
            return
        position = _position(event)
        self._refuse_extras(event, position)
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None:
            top.key = self._key(top, event, position)
            return
        path = () if top is None or top.key is None else (*top.path, top.key)
        self.document.mark(path, position)
        if isinstance(event, yaml.ScalarEvent) and "${{" in event.value:
            self.document.mark_span(path, _index(event.start_mark), _index(event.end_mark))
        value = self._value(event, path, position)
        if top is None:
            self.document.value = value
        else:
            top.put(value)
        if isinstance(event, yaml.CollectionStartEvent):
            self.stack.append(_Open(path, value, 0 if isinstance(value, list) else None))

    def _refuse_extras(self, event: Any, position: Position) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._note(position, f"aliases (*{event.anchor}) are not allowed: write the value out")
            return
        if event.anchor:
            self._note(position, f"anchors (&{event.anchor}) are not allowed")
        if event.tag:
            self._note(position, "tags (!) are not allowed")

    def _key(self, top: _Open, event: Any, position: Position) -> str | int:
        """The key, or where it cannot be used, a number under which no key stands: its value is read and dropped."""
        if isinstance(event, yaml.CollectionStartEvent):
            raise self.document.fatal(position, "a key must be a text, not a list or a mapping")
        if isinstance(event, yaml.AliasEvent):
            return -position.line
        key: str = event.value
        try:
            check_characters(key)
            if key == "<<" and event.implicit[0]:
                raise ValueError("merge keys (<<) are not allowed: write the values out")
            if key in top.value:
                first = self.document.key_position((*top.path, key)).line
                raise ValueError(f"{quoted(key)} is given twice, first in line {first}")
        except ValueError as error:
            self._note(position, str(error))
            return -position.line
        self.document.mark_key((*top.path, key), position)
        return key

    def _value(self, event: Any, path: NodePath, position: Position) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.tag:
            self.document.unusable.add(path)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(self.stack) >= MAX_DEPTH:
                raise self.document.fatal(position, f"nested more than {MAX_DEPTH} levels deep")
            return {} if isinstance(event, yaml.MappingStartEvent) else []
        if isinstance(event, yaml.AliasEvent):
            return None
        try:
            check_characters(event.value)
            return resolve(event.value) if event.implicit[0] else event.value
        except ValueError as error:
            self._note(position, str(error))
            self.document.unusable.add(path)
            return None

    def _note(self, position: Position, text: str) -> None:
        self.document.problems.append(Problem(position, text))


def _index(mark: Any) -> int:
    return int(mark.index)


def _position(event: Any) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)

"""The wrong files as data: blocks of `=== name`, a file's text, `>>>`, and what is said of it without the file's name.

`--- NAME` within a block begins another file beside it. Run as a script it writes down what is said now, to be read.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import InvalidFile
from slipway.flows.definition import TaskSignature
from slipway.flows.loader import load_workflow
from slipway.flows.workflows.loading import Workflow

FILES = sorted(Path(__file__).parent.glob("bad_workflows*.txt"))


@dataclass(frozen=True)
class Placement:
    hosts: tuple[str, ...]
    tries: int = 1


CATALOG = {
    "schedule": TaskSignature(frozenset(), frozenset({"count"}), types={"count": int}, result=Placement),
    "claim": TaskSignature(frozenset({"placement"}), types={"placement": Any}),
    "place": TaskSignature(frozenset({"placement"}), types={"placement": Placement}, result=tuple[Placement, ...]),
    "http": TaskSignature(
        frozenset({"url"}),
        frozenset({"method", "headers", "json"}),
        types={"url": str, "method": str, "headers": Mapping[str, str], "json": Any},
        irreversible=True,
        harmless={"method": frozenset({None, "GET"})},
    ),
    "set": TaskSignature(frozenset({"value"}), types={"value": Any}),
    "build": TaskSignature(frozenset(), in_build_only=True, vital=True),
    "finish": TaskSignature(frozenset(), in_build_only=True, vital=True),
    "broken": TaskSignature(frozenset(), refused="task broken (x:y) cannot be used: it has no name"),
}


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    expected: str


def cases(file: Path) -> Iterator[Case]:
    for block in file.read_text().split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        text, _, expected = rest.partition(">>>\n")
        yield Case(name, text, expected)


def load(directory: Path, text: str) -> Workflow:
    """Of a text with several files the first one, which is `w.yaml`."""
    first, *others = re.split(r"^--- (.*)\n", text, flags=re.MULTILINE)
    for name, content in zip(others[::2], others[1::2], strict=True):
        (directory / name).write_text(content, newline="")
    file = directory / "w.yaml"
    file.write_text(first, newline="")
    return load_workflow(file, CATALOG)


def said_of(directory: Path, text: str) -> str:
    """All problems; of other files than the first with their name."""
    try:
        load(directory, text)
    except InvalidFile as error:
        said = (f"{problem}\n".replace(f"{directory}/w.yaml:", "") for problem in error.problems)
        return "".join(said).replace(f"{directory}/", "")
    return ""


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as directory:
            blocks = [
                f"=== {case.name}\n{case.text}>>>\n{said_of(Path(directory), case.text)}" for case in cases(Path(name))
            ]
        Path(name).write_text("".join(blocks))

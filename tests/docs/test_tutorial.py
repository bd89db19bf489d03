"""docs/tutorial.md as its reader does it: each file is written, each command typed, and says what stands below it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
_PART = re.compile(r"^```(\w+)\n(.*?)^```$|^    (slipway [^\n]*)$", re.MULTILINE | re.DOTALL)


def parts() -> Iterator[tuple[str, str]]:
    """Files, commands and what they say: kind and text, in order."""
    for language, text, command in _PART.findall(TUTORIAL.read_text()):
        yield ("command", command) if command else (language, text)


def settled(text: str) -> str:
    """Without what is another each time: ids, times, and how wide a column is."""
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b", "ID", text)
    text = re.sub(r"<?\b[0-9.]+ m?s\b|<1 ms", "TIME", text)
    return "".join(f"{re.sub(r' +', ' ', line).rstrip()}\n" for line in text.strip().splitlines())


def pattern(expected: str) -> str:
    """`...` is anything."""
    text = re.escape(settled(expected))
    text = re.sub(r"^\\\.\\\.\\\.\\?\n", r"(?:.*\\n)*?", text, flags=re.MULTILINE)
    return text.replace(re.escape("..."), ".*")


def typed(line: str, run: str, directory: Path) -> tuple[int, str]:
    words = shlex.split(line.partition("#")[0])[1:]
    program = [sys.executable, "-c", "from slipway.cli.main import main; main(prog_name='slipway')"]
    environment = {**os.environ, "SLIPWAY_STATE": str(directory / "state"), "COLUMNS": "200", "NO_COLOR": "1"}
    environment.pop("SLIPWAY_DB", None)
    done = subprocess.run(
        [*program, *(run if word == "RUN" else word for word in words)],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout


def test_the_tutorial_comes_to_what_it_says(tmp_path: Path) -> None:
    said, run, commands, compared = "", "", 0, 0
    for kind, text in parts():
        if kind == "command":
            code, said = typed(text, run, tmp_path)
            expected = re.search(r"# exit code (\d+)$", text)
            assert code == (int(expected[1]) if expected else 0), f"{text}\n{said}"
            run = next(iter(re.findall(r"^run ([0-9a-f]{8}) ", said, re.MULTILINE)), run)
            commands += 1
        elif kind == "text":
            assert re.fullmatch(pattern(text), settled(said)), f"{settled(said)}\n--- is not\n{settled(text)}"
            compared += 1
        else:
            name = re.match(r"# (\S+)\n", text)
            assert name is not None, text
            (tmp_path / name[1]).write_text(text)
    assert (commands, compared) >= (14, 10)

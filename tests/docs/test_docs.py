"""What the documents and the help say is typed in, as their readers do."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import yaml
from click.testing import CliRunner

from slipway.cli.main import main
from slipway.runfile import load
from tests import record

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


class Block(NamedTuple):
    """Code in a document: its language (`shell` where it is only indented), its text, and where it stands."""

    language: str
    text: str
    where: str


def blocks(path: Path) -> Iterator[Block]:
    lines = path.read_text().splitlines()
    language, begun, found = "", 0, list[str]()
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            if language:
                yield Block(language, "\n".join(found) + "\n", f"{path.name}:{begun}")
                language = ""
            else:
                language, begun, found = line[3:] or "text", number, []
        elif language:
            found.append(line)
        elif line.startswith("    ") and re.match(r"(\.venv/bin/)?slipway ", line.strip()):
            yield Block("shell", line.strip(), f"{path.name}:{number}")


BLOCKS = [block for path in DOCS for block in blocks(path)]


def of(language: str) -> list[object]:
    return [pytest.param(block, id=block.where) for block in BLOCKS if block.language == language]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory like a checkout, in which nothing is yet."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    for name in ("SLIPWAY_STATE", "SLIPWAY_DB"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


# --- commands -----------------------------------------------------------------------------------------------------


def commands(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    """All commands with their names."""
    yield ctx.command_path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from commands(found, click.Context(found, info_name=name, parent=ctx))


def examples() -> Iterator[tuple[str, str]]:
    """All examples of the help, with the command whose help it is."""
    for name, command in commands(main, click.Context(main, info_name="slipway")):
        text = re.sub(r"\\\n\s*", "", command.epilog or "")
        for line in text.splitlines():
            if line.strip().startswith("slipway "):
                yield name, line.strip()


def parse(line: str) -> None:
    """Have click read the line as it would, and do nothing."""
    text = line.removeprefix(".venv/bin/").partition("#")[0]
    # A synopsis: what may be left out, and what may be given again.
    words = shlex.split(re.sub(r"\]\.\.\.|[\[\]]", "", text).partition(" | ")[0].partition(" > ")[0])[1:]
    values = {"N": "2", "POINT": "spawn", "MODE,...": "error", "URI": "x:///"}
    words = [values.get(word, word) for word in words]
    command: click.Command = main
    ctx: click.Context | None = None
    while True:
        ctx = command.make_context(command.name, words, parent=ctx)
        rest = [*ctx._protected_args, *ctx.args]
        if not isinstance(command, click.Group) or not rest:
            return
        _, found, words = command.resolve_command(ctx, rest)
        assert found is not None
        command = found


@pytest.mark.parametrize("block", of("shell"))
def test_a_command_in_a_document_is_understood(block: Block) -> None:
    if block.text != "slipway COMMAND --help":
        parse(block.text)


def test_the_examples_of_the_help_are_understood() -> None:
    found = list(examples())
    assert len({name for name, _ in found}) > 30, "each command has one"
    for name, line in found:
        if "COMMAND" not in line:
            parse(line)
            assert line.startswith(name) or name == "slipway", "it is of this command"


def test_the_readme_is_typed_in(place: Path) -> None:
    first = re.search(r"&& \.venv/bin/(slipway run .*)", (ROOT / "README.md").read_text())
    assert first is not None
    others = [one.text for one in BLOCKS if one.where.startswith("README.md") and one.language == "shell"]
    for command in [first[1], *others]:
        _, *words = shlex.split(command.partition("#")[0])
        if words[0] == "drill":
            words += ["--only", "spawn:error:0"]
        elif "--state" not in words:
            words += ["--state", str(place / "state")]
        done = CliRunner().invoke(main, words, prog_name="slipway")
        assert done.exit_code == 0, done.output


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", of("yaml"))
def test_a_file_in_a_document_is_valid(block: Block, place: Path) -> None:
    if not block.text.startswith("schema: 1"):
        assert yaml.safe_load(block.text)
        return
    file = place / "file.yaml"
    file.write_text(block.text)
    if "\nsteps:\n" in block.text:
        done = CliRunner().invoke(main, ["validate", str(file)], prog_name="slipway")
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        return
    load(file)
    done = CliRunner().invoke(main, ["run", str(file), "--state", "state"], prog_name="slipway")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("block", of("json"))
def test_json_in_a_document_is_json(block: Block) -> None:
    for line in block.text.splitlines():
        json.loads(line)


# --- programs -----------------------------------------------------------------------------------------------------


def python(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    path = record.python_path(variables.pop("path", "."))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    return subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.parametrize("block", [one for one in of("python") if re.search(r"README|runs\.md|plan\.md", str(one))])
def test_a_program_in_a_document_runs(block: Block, place: Path) -> None:
    done = python("-W", "error::DeprecationWarning:__main__", "-c", block.text)
    assert (done.returncode, done.stderr) == (0, "")
    assert (place / "state" / "slipway.db").is_file()


@pytest.fixture
def project(place: Path) -> Path:
    """The project of docs/drill.md as it is typed in: a task, its entry point, a workflow and a test."""
    task, test = [block.text for block in blocks(ROOT / "docs" / "drill.md") if block.language == "python"]
    (place / "dnstask.py").write_text(task)
    (place / "test_dns.py").write_text(test)
    for name in ("demo.yaml", "build-with-name.yaml"):
        shutil.copy(ROOT / "tests" / "drill" / "example" / name, place)
    info = place / "dnstask-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dnstask\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[slipway.tasks]\nrecord-name = dnstask:RecordName\n")
    return place


@pytest.mark.sqlite("the plugin for pytest has its worlds in files of SQLite's")
def test_the_task_of_the_drill_has_the_leak_that_it_is_said_to_have(project: Path) -> None:
    plugin = ("-p", "slipway.pytest_plugin", "-p", "no:cacheprovider")
    done = python("-m", "pytest", "-q", *plugin, "-k", "commit", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", path=str(project))
    assert done.returncode == 1, done.stdout
    assert "bears neither the key nor the result of an effect on record" in done.stdout
    assert re.findall(r"^FAILED .*\[(commit:crash_before):", done.stdout, re.MULTILINE) == ["commit:crash_before"]


BAD_TASKS = {
    "def do(self, work) -> str:": {
        "def do(self, work):": "do() does not say what it gives, which is put on record: add an annotation such",
        "def do(self, work) -> object:": "do() says with object what it gives, which cannot be put on record",
        "def do(self, work) -> list[tuple[int, Path]]:": "do() says with Path what it gives, which cannot be put",
        "def do(self, work) -> 'Record':": "the annotations of do() name Record, which its module does not have",
        "def do(self, *work) -> str:": "it must begin with `def do(self, work` and take no `*` or `**`",
        "def do(self) -> str:": "it must begin with `def do(self, work` and take no `*` or `**`",
        "def make(self, work) -> str:": "it does not define do(self, work, ...)",
    },
    "def undo(self, work, result):": {
        "def undo(self, work, result, zone):": "undo() takes zone, which do() does not take",
        "def undo(self, work):": "it must begin with `def undo(self, work, result` and take no",
    },
    "def do(self, work) -> str:#": {
        "def do(self, work, zone) -> str:#": "undo() does not say what zone is, which is put on record: add",
    },
    "class RecordName(Task):": {
        "class RecordName:": "it is no subclass of slipway.flows.tasks.base.Task",
        "class Record(Task):": "it cannot be loaded: AttributeError: module 'dnstask' has no attribute 'RecordName'",
        "import nosuch\nclass RecordName(Task):": "it cannot be loaded: ModuleNotFoundError: No module named 'nosuch'",
        "class RecordName(Task": "it cannot be loaded: SyntaxError",
    },
    'name = "record-name"': {"x = 1": 'it has no name: add `name = "..."`'},
    'kind = "dns-record"': {"kind = 'port'": "its kind is that of slipway.flows.tasks.ports:CreatePort: give it"},
    "def durability(": {"def durable(": "it does not define durability()"},
}


COMMANDS = """
import json, sys
from click.testing import CliRunner
from slipway.cli.main import main
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(main, [*words, "--state", "state"], prog_name="slipway")
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""


def in_a_new_process(project: Path, *commands: list[str]) -> list[tuple[int, str, str]]:
    """How each command ended, with what it said: one process for all of them, since tasks are looked up once."""
    done = python("-c", COMMANDS, json.dumps(commands), path=str(project))
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("good", "bad", "why"),
    [pytest.param(g.rstrip("#"), b.rstrip("#"), why, id=b) for g, bads in BAD_TASKS.items() for b, why in bads.items()],
)
def test_a_task_that_cannot_be_used_is_refused_before_anything_is_done(
    good: str, bad: str, why: str, project: Path
) -> None:
    task = (project / "dnstask.py").read_text()
    if "zone" in bad and "def do" in bad:
        task = task.replace("def undo(self, work, result):", "def undo(self, work, result, zone):")
    (project / "dnstask.py").write_text(task.replace(good, bad, 1))
    # It is in the way of nothing else.
    plain = (project / "demo.yaml").read_text().replace("workflow: ./build-with-name.yaml", "")
    (project / "plain.yaml").write_text(plain)
    *refused, (code, _, _) = in_a_new_process(
        project, ["validate", "demo.yaml"], ["run", "demo.yaml"], ["run", "plain.yaml"]
    )
    assert code == 0
    for code, out, err in refused:
        assert (code, out) == (2, ""), err
        assert re.search(r"build-with-name\.yaml:\d+:\d+: task record-name \(dnstask:RecordName\) cannot", err)
        assert why in err
        assert len(re.findall(r"^\S+:\d+:\d+: ", err, re.MULTILINE)) == 1


# --- plans --------------------------------------------------------------------------------------------------------


def test_the_plan_in_the_document_is_what_is_shown(place: Path) -> None:
    (shown,) = [one.text for one in BLOCKS if one.where.startswith("plan.md") and one.language == "console"]
    command, _, wanted = shown.partition("\n")
    done = CliRunner().invoke(main, [*shlex.split(command)[2:], "--state", str(place / "state")], prog_name="slipway")
    assert (done.exit_code, done.output) == (0, wanted)
    assert not (place / "state").exists()

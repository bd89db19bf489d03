"""Help, usage errors, and that asking for help costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from slipway import __version__
from slipway.cli.main import COMMANDS, main

HEAVY = {
    "asyncio",
    "jsonschema",
    "logging",
    "lxml",
    "msgspec",
    "netaddr",
    "psutil",
    "rich",
    "sqlalchemy",
    "structlog",
    "taskflow",
    "transitions",
    "yaml",
}
"""What must not be loaded before a command needs it."""

COMMON = {"--state", "--db", "--output", "--verbose", "-v", "--tasks", "--board"}

_MODULES = """
import sys
from slipway.cli.main import main
try:
    main(sys.argv[1:], prog_name="slipway")
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def module(name: str) -> str:
    return f"slipway.cli.{name.replace('-', '_')}"


def modules_after(*args: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", _MODULES, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [("--help",), ("--version",)])
def test_help_loads_nothing_heavy_and_no_command(args: tuple[str, ...]) -> None:
    loaded = modules_after(*args)
    assert not HEAVY & loaded
    assert not {module(name) for name in COMMANDS} & loaded
    assert not {"slipway.orchestrator", "slipway.model", "slipway.cli.output"} & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(name: str) -> None:
    loaded = modules_after(name, "--help")
    assert not HEAVY & loaded
    assert {other for other in COMMANDS if module(other) in loaded} == {name}


@pytest.mark.sqlite("is about what a run loads for the file")
def test_a_run_loads_what_it_needs_and_not_another_database(run_file: Callable[..., str], tmp_path: Path) -> None:
    loaded = modules_after("run", run_file(), "--state", str(tmp_path / "state"), "--parallel", "1")
    assert "sqlalchemy.dialects.sqlite" in loaded
    assert not {"sqlalchemy.dialects.postgresql", "rich", "structlog", "slipway.drill", "slipway.testing"} & loaded
    assert not {"multiprocessing", "httpx", "alembic", "email.mime", "lxml", "slipway.operations.power"} & loaded
    # A first run has nothing to compare and nothing to mend.
    assert not {"slipway.operations.audit", "slipway.operations.mends", "slipway.operations.repair"} & loaded
    # What goes forward loads TaskFlow's tasks, and nothing of its engines, patterns and storage.
    assert "taskflow.task" in loaded
    assert not {"networkx", "automaton", "futurist", "tenacity", "taskflow.storage"} & loaded
    assert not [name for name in loaded if name.startswith(("taskflow.patterns", "taskflow.engines.action_engine"))]


def test_a_run_that_has_something_to_look_at_loads_the_audit(run_file: Callable[..., str], tmp_path: Path) -> None:
    again = ("run", run_file(), "--state", str(tmp_path / "state"))
    modules_after(*again)
    loaded = modules_after(*again)
    assert "slipway.operations.audit" in loaded
    assert not {"slipway.operations.mends", "slipway.operations.repair", "taskflow"} & loaded


@pytest.mark.parametrize("words", [("list",), ("show", "web"), ("port", "list")], ids=" ".join)
def test_a_command_that_only_looks_loads_what_builds_need_nowhere(
    words: tuple[str, ...], run_file: Callable[..., str], tmp_path: Path
) -> None:
    state = str(tmp_path / "state")
    modules_after("run", run_file(), "--state", state)
    loaded = modules_after(*words, "--state", state)
    assert "slipway.states.store" in loaded
    heavy = {"taskflow", "networkx", "transitions", "lxml", "jsonschema", "yaml", "psutil", "rich", "http"}
    assert not {*heavy, "slipway.runfile", "slipway.flows", "slipway.checks", "slipway.operations.lifecycle"} & loaded


def test_validate_loads_neither_taskflow_nor_sqlalchemy(run_file: Callable[..., str]) -> None:
    assert not {"taskflow", "sqlalchemy", "rich"} & modules_after("validate", run_file())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_shows_an_example_and_the_common_options(
    name: str, slipway: Callable[..., Result]
) -> None:
    shown = slipway(name, "--help")
    assert shown.exit_code == 0
    assert f"Examples:\n    slipway {name}" in shown.stdout
    for option in ("--state DIR", "--db URL", "--output [text|json]", "--verbose", "--help"):
        assert option in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_every_command_is_in_the_help_with_its_short_text(slipway: Callable[..., Result]) -> None:
    shown = slipway("--help").stdout
    assert "Examples:" in shown
    context = click.Context(main)
    for name, short in COMMANDS.items():
        assert f"  {name} " in shown
        assert short in shown
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_version(slipway: Callable[..., Result]) -> None:
    assert slipway("--version").stdout == f"slipway {__version__}\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("lsit",), "there is no command 'lsit', did you mean \"list\"? (see 'slipway --help')"),
        (("run",), "Missing argument 'FILE'. (see 'slipway run --help')"),
        (("list", "--nope"), "No such option"),
        (("run", "x.yaml", "--parallel", "0"), "Invalid value for '--parallel'"),
        (("delete",), "Missing argument 'NAME...'."),
        (("list", "--output", "xml"), "Invalid value for '--output'"),
        (("list", "--state", ""), "Invalid value for '--state': it is empty"),
    ],
)
def test_bad_usage_is_one_line_and_2(args: tuple[str, ...], text: str, slipway: Callable[..., Result]) -> None:
    done = slipway(*args)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("slipway: ")
    assert text in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("output", [("--output", "json"), ("--output=json",)])
def test_bad_usage_in_json(output: tuple[str, ...], slipway: Callable[..., Result]) -> None:
    done = slipway("run", *output)
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {"error": {"type": "MissingParameter", "message": "Missing argument 'FILE'."}}
    assert done.stderr == ""


def test_without_a_command_the_help_is_shown_and_2(slipway: Callable[..., Result]) -> None:
    done = slipway()
    assert done.exit_code == 2
    assert "Commands:" in done.stderr


def test_the_reference_names_every_command_and_option() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    context = click.Context(main)
    for name in COMMANDS:
        section = text.partition(f"\n## slipway {name}\n")[2].partition("\n## ")[0]
        command = main.get_command(context, name)
        assert command is not None
        for option in (option for parameter in command.params for option in parameter.opts if option.startswith("-")):
            assert f"`{option}" in (section if option not in COMMON else text), f"{name} {option}"

"""What a shell completes, and the manual pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from slipway.cli.main import COMMANDS, main

Call = Callable[..., Result]
FileWriter = Callable[..., str]


@pytest.fixture
def complete(environment: dict[str, str]) -> Callable[..., list[str]]:
    """What bash would offer for the last word."""

    def call(*words: str) -> list[str]:
        env = {
            **environment,
            "_SLIPWAY_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(("slipway", *words)),
            "COMP_CWORD": str(len(words)),
        }
        done = CliRunner().invoke(main, [], env=env, prog_name="slipway")
        return [line.partition(",")[2] for line in done.stdout.splitlines() if line]

    return call


of_the_file = pytest.mark.sqlite("names are completed from the file alone, by SQLite itself")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("st",), ["stop", "start"]),
        pytest.param(("stop", "w"), ["web"], marks=of_the_file),
        pytest.param(("stop", "web", ""), ["gate"], marks=of_the_file),
        pytest.param(("console", "g"), ["gate"], marks=of_the_file),
        (("stop", "--sta"), ["--stack", "--status", "--state"]),
        pytest.param(("delete", "--stack", ""), ["demo"], marks=of_the_file),
        pytest.param(("list", "--host", "no"), ["node-1"], marks=of_the_file),
        (("list", "--status", "ACT"), ["ACTIVE"]),
        pytest.param(("list", "--project", "d"), ["demo"], marks=of_the_file),
        (("list", "--output", ""), ["text", "json"]),
        (("runs", "sh"), ["show"]),
        (("stop", "no%"), []),
    ],
    ids=lambda value: " ".join(value),
)
def test_what_is_offered(
    words: tuple[str, ...], offered: list[str], complete: Callable[..., list[str]], slipway: Call, run_file: FileWriter
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    assert sorted(complete(*words)) == sorted(offered)


def test_nothing_is_offered_and_nothing_made_without_a_record(
    complete: Callable[..., list[str]], environment: dict[str, str]
) -> None:
    assert complete("stop", "") == []
    assert not Path(environment["SLIPWAY_STATE"]).exists()


@of_the_file
def test_names_are_completed_without_what_takes_long(
    slipway: Call, run_file: FileWriter, environment: dict[str, str]
) -> None:
    assert slipway("run", run_file()).exit_code == 0
    program = (
        "import sys\ntry:\n from slipway.cli.main import main; main(prog_name='slipway')\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    asked = {"_SLIPWAY_COMPLETE": "bash_complete", "COMP_WORDS": "slipway show w", "COMP_CWORD": "2"}
    env = {**os.environ, **environment, **asked}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "plain,web\n"
    assert not {"sqlalchemy", "msgspec", "rich", "taskflow"} & set(done.stderr.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_understood_by_its_shell(shell: str, slipway: Call, tmp_path: Path) -> None:
    done = slipway("completion", shell)
    assert done.exit_code == 0
    assert "_SLIPWAY_COMPLETE" in done.stdout
    if shutil.which(shell) is None:
        pytest.skip(f"not installed: {shell}")
    script = tmp_path / "script"
    script.write_text(done.stdout)
    subprocess.run([shell, "-n", str(script)], check=True, timeout=60)


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_a_page_has_all_that_the_command_has(name: str | None, slipway: Call) -> None:
    done = slipway("man", *([name] if name else []))
    assert done.exit_code == 0
    text = done.stdout.replace("\\-", "-").replace("\n", " ")
    top = click.Context(main, info_name="slipway")
    command = main if name is None else main.get_command(top, name)
    assert command is not None
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert all(option in text for option in parameter.opts), parameter.opts
    for example in [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]:
        assert example.replace("\\", "\\e") in text
    assert name is not None or all(f"slipway-{one}" in text for one in COMMANDS)


def test_the_pages_are_without_fault(slipway: Call, tmp_path: Path) -> None:
    assert slipway("man", "--write", str(tmp_path / "man1")).exit_code == 0
    pages = sorted((tmp_path / "man1").iterdir())
    assert len(pages) == len(COMMANDS) + 1
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True, check=False)
        assert lint.stdout == ""
    elif shutil.which("groff"):
        for page in pages:
            done = subprocess.run(["groff", "-man", "-ww", "-z", page], capture_output=True, text=True, check=True)
            assert done.stderr == ""
    else:
        pytest.skip("not installed: mandoc, groff")


@pytest.mark.parametrize("words", [("nope",), ("stop", "--write", "."), ("--write", "/proc/nowhere")], ids=" ".join)
def test_bad_usage(words: tuple[str, ...], slipway: Call) -> None:
    done = slipway("man", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert slipway("completion", "powershell").exit_code == 2

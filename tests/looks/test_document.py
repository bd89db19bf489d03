"""What docs/looking.md has its readers type in does what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from slipway.cli.main import main

ROOT = Path(__file__).parents[2]
COMMANDS = re.findall(r"^    (slipway .+)$", (ROOT / "docs" / "looking.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One in which the first example was built."""
    state = str(tmp_path_factory.mktemp("state"))
    done = CliRunner().invoke(main, ["run", str(ROOT / "examples" / "three-tier.yaml"), "--state", state])
    assert done.exit_code == 0, done.output
    return state


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_typed_in(command: str, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*shlex.split(command)[1:], "--state", state], prog_name="slipway")
    assert done.exit_code == 0, done.output
    assert done.stdout or list(tmp_path.glob("*.html"))

"""Every example runs as its first lines say, and comes to what stands in `expected/`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXPECTED = Path(__file__).parent / "expected"
SLIPWAY = Path(sys.executable).with_name("slipway")

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMcDyzZvKPxxUnpDLp92gCsvV/BLvejDPdKBu63Mffqs me"

EXAMPLES = {"smallest": 0, "three-tier": 0, "cannot-fit": 3, "reschedule": 0, "routers": 0}
"""Each with its exit code."""


def slipway(*arguments: str, state: Path) -> tuple[int, str]:
    command = [str(SLIPWAY), *arguments, "--state", str(state)]
    environment = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def settled(text: str, state: Path) -> str:
    """The text without what differs from run to run: times, drawn MACs, and which order parallel builds took."""
    text = re.sub(r"(<?\d+(\.\d+)? m?s)\b", "TIME", text.replace(str(state), "STATE"))
    text = re.sub(r"2001:db8:10:0:f816:3eff:fe[0-9a-f]{2}:[0-9a-f]{1,4}", "EUI-64", text)
    return re.sub(r" +", " ", text)


@pytest.mark.parametrize(("name", "code"), EXAMPLES.items(), ids=EXAMPLES.keys())
def test_an_example_comes_to_what_is_expected(name: str, code: int, tmp_path: Path) -> None:
    ended, text = slipway("run", f"examples/{name}.yaml", "--parallel", "1", state=tmp_path)
    assert ended == code
    expected = EXPECTED / f"{name}.txt"
    if os.environ.get("WRITE_EXPECTED"):
        expected.write_text(settled(text, tmp_path))
    assert settled(text, tmp_path) == expected.read_text()
    assert slipway("audit", state=tmp_path) == (0, "no differences\n")
    again, text = slipway("run", f"examples/{name}.yaml", "--output", "json", state=tmp_path)
    assert again == code
    assert not [line for line in map(json.loads, text.splitlines()) if line["event"] == "instance.create.start"]
    assert slipway("destroy", f"examples/{name}.yaml", state=tmp_path)[0] == 0
    assert json.loads(slipway("list", "--output", "json", state=tmp_path)[1]) == []


def test_every_example_is_tried() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.yaml")} == set(EXAMPLES)


def test_the_real_examples_are_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they come to is for the tests of real machines."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "id_ed25519.pub").write_text(f"{KEY}\n")
    shutil.copytree(ROOT / "examples" / "real", tmp_path / "examples" / "real")
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "key.pub").write_text(f"{KEY}\n")
    files = sorted((tmp_path / "examples" / "real").glob("*.yaml"))
    assert files
    for file in files:
        for made in re.findall(r"\.\./\.\./(demo/[\w./-]+)", file.read_text()):
            (tmp_path / made).parent.mkdir(exist_ok=True)
            (tmp_path / made).touch()
        assert slipway("validate", str(file), state=tmp_path)[0] == 0, file.name


def test_the_embedding_example_runs() -> None:
    done = subprocess.run([sys.executable, "examples/embed.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["instance.create.start", "web-1"]
    assert "web-1 was built" in lines
    assert "web-1 is ACTIVE on node-1 with 192.168.0.2" in lines
    assert "0 differences between record and reality" in lines
    assert ["instance.delete.end", "web-1"] in [line.split() for line in lines]
    assert "web-2 is ACTIVE on node-1 with 10.0.0.2" in lines
    assert "the same request again gives the same instance: True" in lines
    assert [line.partition(":")[0] for line in lines[-4:-2]] == ["name", "flavor.vcpus"]
    assert lines[-1].split() == ["instance.delete.end", "web-2"]


def test_the_example_of_a_flow_runs() -> None:
    done = subprocess.run([sys.executable, "examples/flow.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "ticket 1 is open",
        "ticket 1: approved is ACTIVE; approved: True",
        "approved, web-1 are there",
        "ticket 1 is open",
        "ticket 1: refused is ACTIVE; approved: False",
        "ticket 1 is closed again",
        "the flow failed: not approved",
        "approved, web-1 are there",
    ]


def test_the_example_of_asyncio_runs() -> None:
    program = [sys.executable, "examples/embed_async.py"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Ann's run: SUCCEEDED",
        *("  run.start", "  step.start rest", "  step.end rest", "  step.start hello", "  step.end hello", "  run.end"),
        "three more: SUCCEEDED, SUCCEEDED, SUCCEEDED",
        "Eve's run: CANCELLED",
    ]


README = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("program", README, ids=range(len(README)))
def test_the_programs_of_the_readme_run_and_pass_mypy(program: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(tmp_path / "program.py")]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout

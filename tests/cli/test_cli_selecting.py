"""Many instances told the same: which are meant, what is asked first, and how it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipway.cli.main import main
from slipway.cli.options import STATES
from slipway.states.machines import VmState

Call = Callable[..., Result]

FILE = """\
schema: 1
name: shop
hosts:
  node-1: {vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim}
  node-2: {vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim}
flavors:
  small: {vcpus: 1, memory: 512MiB, disk: 2GiB}
images:
  tiny: {kernel: ./vmlinux, initrd: ./initrd.gz}
instances:
  web: {flavor: small, image: tiny, networks: [], count: 3, host: node-1, metadata: {tier: front, team: a=b}}
  db_1: {flavor: small, image: tiny, networks: [], host: node-2, metadata: {tier: back, team: a=b}}
  dbx1: {flavor: small, image: tiny, networks: [], host: node-2}
project: demo
"""


@pytest.fixture(autouse=True)
def _built(slipway: Call, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(FILE.replace("db_1", "db-1"))
    other = tmp_path / "other.yaml"
    only = "\ninstances: {web-1: {flavor: small, image: tiny, networks: []}}\nproject: other\n"
    other.write_text(FILE.replace("name: shop", "name: rest").partition("\ninstances")[0] + only)
    for file in (path, other):
        assert slipway("run", str(file)).exit_code == 0


def states(slipway: Call, state: str) -> list[str]:
    found = json.loads(slipway("list", "--output", "json").stdout)
    return [one["name"] for one in found if one["vm_state"] == state]


@pytest.mark.parametrize(
    ("words", "stopped"),
    [
        (("--name", "web-*"), ["web-1", "web-2", "web-3", "web-1"]),
        (("--name", "web-[13]", "--project", "demo"), ["web-1", "web-3"]),
        (("--name", "WEB-*", "--name", "db?1"), ["db-1", "dbx1"]),
        (("--name", "db_1", "--name", "%", "--name", "db-1"), ["db-1"]),
        (("--stack", "shop", "--host", "node-2"), ["db-1", "dbx1"]),
        (("--label", "team=a=b", "--label", "tier=front"), ["web-1", "web-2", "web-3"]),
        (("--status", "active", "--project", "other"), ["web-1"]),
        (("--state", "ACTIVE", "--name", "db*"), ["db-1", "dbx1"]),
        (("--all", "--project", "demo"), ["db-1", "dbx1", "web-1", "web-2", "web-3"]),
    ],
    ids=" ".join,
)
def test_those_are_meant_of_which_all_is_true(words: tuple[str, ...], stopped: list[str], slipway: Call) -> None:
    done = slipway("stop", *words, "--yes", "--parallel", "3")
    assert done.exit_code == 0, done.output
    assert done.stdout.rstrip().endswith(f"{len(stopped)} done")
    assert sorted(states(slipway, "STOPPED")) == sorted(stopped)
    again = slipway("stop", *words, "--yes", "--output", "json")
    if "ACTIVE" in words or "active" in words:
        assert again.exit_code == 1
        assert json.loads(again.stdout)["error"]["type"] == "InstanceNotFound"
    else:
        result = json.loads(again.stdout.splitlines()[-1])
        assert {one["status"] for one in result["instances"]} == {"unchanged"}


@pytest.mark.parametrize("verb", ["stop", "start", "reboot", "pause", "unpause", "delete"])
def test_without_a_terminal_it_is_to_be_said_that_they_are_meant(verb: str, slipway: Call) -> None:
    for more in ((), ("--output", "json")):
        done = slipway(verb, "--name", "web-*", "--project", "demo", *more)
        assert done.exit_code == 2
        assert f"this would {verb} 3 instances (web-1, web-2, web-3); --yes says that they are meant" in done.output
    everything = slipway(verb, "--name", "*")
    assert f"this would {verb} every instance on record, 6 instances (db-1," in everything.stderr
    assert len(states(slipway, "ACTIVE")) == 6


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--name", "wbe-*"), 1, "no instance is meant by --name 'wbe-*'"),
        (
            ("--label", "tier=front", "--project", "other"),
            1,
            "no instance is meant by --label tier=front --project other",
        ),
        (("web-*",), 1, "to select by a pattern: --name 'web-*'"),
        (("web-1", "--all"), 2, "name instances or select them: web-1 and --all exclude each other"),
        (("--all", "--host", "node-1"), 2, "--all means every instance: --host and it exclude each other"),
        (("--project", "demo"), 2, "Missing argument 'NAME...'."),
        (("--label", "tier"), 2, "'tier' is no NAME=VALUE"),
        (("--status", "RUNNING"), 2, "'RUNNING' is not one of"),
        (("--name", ""), 2, "an empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_means_nothing_is_told_and_changes_nothing(
    words: tuple[str, ...], code: int, text: str, slipway: Call
) -> None:
    done = slipway("delete", *words, "--yes")
    assert done.exit_code == code
    assert text in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(states(slipway, "ACTIVE")) == 6


def test_all_of_nothing_is_no_mistake(slipway: Call) -> None:
    assert slipway("delete", "--all", "--project", "demo", "--yes").exit_code == 0
    again = slipway("delete", "--all", "--project", "demo", "--yes")
    assert (again.exit_code, again.stdout) == (0, "There are no instances.\n")
    assert states(slipway, "ACTIVE") == ["web-1"]


def test_what_one_refuses_does_not_keep_the_others(slipway: Call, environment: dict[str, str]) -> None:
    assert slipway("stop", "dbx1").exit_code == 0
    done = slipway("reboot", "--name", "d*", "--yes")
    assert done.exit_code == 1
    assert re.search(r"^dbx1 +STOPPED .*is STOPPED, where no reboot is possible", done.stdout, re.MULTILINE)
    assert re.search(r"^db-1 +ACTIVE ", done.stdout, re.MULTILINE)
    assert done.stdout.rstrip().endswith("1 done, 1 refused")
    result = json.loads(slipway("reboot", "db-1", "dbx1", "--output", "json").stdout.splitlines()[-1])
    assert [(one["name"], one["status"]) for one in result["instances"]] == [("db-1", "done"), ("dbx1", "refused")]
    alone = slipway("reboot", "dbx1", "--output", "json")
    assert (alone.exit_code, json.loads(alone.stdout)["error"]["type"]) == (1, "UnexpectedState")


def test_the_question(terminal: Callable[..., Any], slipway: Call) -> None:
    asked = terminal("stop", "--stack", "shop", "--host", "node-2", columns=120)
    asked.wait_for(r"Stop 2 instances \(db-1, dbx1\)\? \[y/N\]")
    asked.press("n\n")
    assert asked.wait() == 130
    assert states(slipway, "STOPPED") == []
    asked = terminal("stop", "--stack", "shop", "--host", "node-2", columns=120)
    asked.wait_for(r"Stop 2 instances \(db-1, dbx1\)\? \[y/N\]")
    asked.press("y\n")
    assert asked.wait() == 0
    assert states(slipway, "STOPPED") == ["db-1", "dbx1"]


def test_a_state_is_no_directory_unless_it_is_written_as_one(
    slipway: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(STATES) == [str(state) for state in VmState]
    (tmp_path / "state").rename(tmp_path / "ACTIVE")
    monkeypatch.chdir(tmp_path)
    done = slipway("stop", "--state", "./ACTIVE", "--state", "ACTIVE", "--name", "d*", "--yes")
    assert done.exit_code == 0, done.output
    assert done.stdout.rstrip().endswith("2 done")
    runner = CliRunner().invoke(main, ["list", "--state", str(tmp_path / "ACTIVE")], prog_name="slipway")
    assert runner.stdout.count("STOPPED") == 2

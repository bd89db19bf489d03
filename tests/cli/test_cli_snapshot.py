"""`slipway snapshot` as its users have it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import Result

Slipway = Callable[..., Result]


@pytest.fixture(autouse=True)
def built(slipway: Slipway, run_file: Callable[..., str]) -> None:
    assert slipway("run", run_file()).exit_code == 0


def test_a_snapshot_is_made_listed_restored_and_deleted(slipway: Slipway) -> None:
    assert slipway("snapshot", "list", "web").stdout == "web has no snapshots\n"
    assert slipway("snapshot", "create", "web", "first").exit_code == 0
    listed = slipway("snapshot", "list", "web").stdout.splitlines()
    assert listed[0].split() == ["NAME", "MADE", "AT", "SLOTS", "SIZE", "GUEST", "CONSISTENT"]
    assert "no (as after a power cut)" in listed[1]
    shown = json.loads(slipway("snapshot", "show", "web", "first", "--output", "json").stdout)
    assert (shown["name"], shown["disks"], shown["state"], shown["consistent"]) == ("first", [0], "running", False)
    assert slipway("snapshot", "restore", "web", "first", "--yes").exit_code == 0
    assert slipway("snapshot", "delete", "web", "first").exit_code == 0
    assert json.loads(slipway("snapshot", "list", "web", "--output", "json").stdout) == []


def test_a_restore_asks_and_does_nothing_where_nobody_answers(slipway: Slipway) -> None:
    slipway("snapshot", "create", "web", "first")
    refused = slipway("snapshot", "restore", "web", "first")
    assert refused.exit_code != 0
    assert "its guest is stopped" in refused.stderr
    assert "--yes agrees to this" in refused.stderr
    assert "snapshot-restore" not in slipway("runs", "list").stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("restore", "web", "frist", "--yes"), 'did you mean "first"?'),
        (("delete", "web", "frist"), 'did you mean "first"?'),
        (("show", "web", "frist"), 'did you mean "first"?'),
        (("create", "web", "first"), "has a snapshot first already"),
        (("create", "web", "a/b"), "no name of a snapshot"),
        (("list", "wep"), "no instance wep"),
        (("lst", "web"), 'did you mean "list"?'),
    ],
)
def test_what_is_wrong_is_said_in_one_line(slipway: Slipway, words: tuple[str, ...], says: str) -> None:
    slipway("snapshot", "create", "web", "first")
    refused = slipway("snapshot", *words)
    assert refused.exit_code in (1, 2)
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_clone_is_built_and_what_cannot_be_is_said(slipway: Slipway) -> None:
    made = slipway("clone", "web", "web-2", "--output", "json")
    (ended,) = json.loads(made.stdout.splitlines()[-1])["instances"]
    assert (made.exit_code, ended["name"], ended["status"]) == (0, "web-2", "done"), made.stderr
    names = {one["name"]: one for one in json.loads(slipway("list", "--output", "json").stdout)}
    assert names["web-2"]["vm_state"] == "ACTIVE"
    assert names["web-2"]["addresses"] != names["web"]["addresses"]
    taken = slipway("clone", "web", "gate")
    assert (taken.exit_code, "has an instance gate already" in taken.stderr) == (1, True)

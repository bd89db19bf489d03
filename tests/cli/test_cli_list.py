"""`slipway list` in pages, orders and columns of one's own, and while something changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from slipway import Orchestrator
from slipway.cli import list as listing
from slipway.cli.list import COLUMNS, SORTED
from slipway.model.selection import Selection, SortKey
from slipway.operations.several import read
from slipway.states.store import Store

Call = Callable[..., Result]

FILE = """\
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim}
flavors:
  small: {vcpus: 1, memory: 512MiB, disk: 2GiB}
images:
  tiny: {kernel: ./vmlinux, initrd: ./initrd.gz}
instances:
  web: {flavor: small, image: tiny, networks: [], count: 5, metadata: {tier: front}}
  db: {flavor: small, image: tiny, networks: []}
project: demo
"""


@pytest.fixture(autouse=True)
def _built(slipway: Call, tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(FILE)
    assert slipway("run", str(path), "--parallel", "1").exit_code == 0
    assert slipway("stop", "web-4").exit_code == 0
    assert slipway("delete", "web-2").exit_code == 0


def names(done: Result) -> list[str]:
    assert done.exit_code == 0, done.output
    return [one["name"] for one in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), ["db", "web-1", "web-3", "web-4", "web-5"]),
        (("--sort", "name:desc"), ["web-5", "web-4", "web-3", "web-1", "db"]),
        (("--sort", "state"), ["db", "web-1", "web-3", "web-5", "web-4"]),
        (("--sort", "created", "--limit", "2"), ["web-1", "web-3"]),
        (("--sort", "launched:desc", "--limit", "2"), ["db", "web-5"]),
        (("--limit", "2"), ["db", "web-1"]),
        (("--limit", "2", "--after", "web-1"), ["web-3", "web-4"]),
        (("--after", "web-5"), []),
        (("--sort", "name:desc", "--after", "web-4", "--limit", "1"), ["web-3"]),
        (("--label", "tier=front", "--state", "ACTIVE"), ["web-1", "web-3", "web-5"]),
        (("--deleted",), ["web-2"]),
        (("--deleted", "--sort", "deleted:desc", "--name", "web-*"), ["web-2"]),
        (("--name", "nobody"), []),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("page", [1, 2, 500])
def test_in_pages_and_orders(
    page: int, words: tuple[str, ...], found: list[str], slipway: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.operations.several.PAGE", page)
    monkeypatch.setattr(listing, "_PAGE", page)
    assert names(slipway("list", *words, "--output", "json")) == found
    text = slipway("list", *words, "--columns", "name")
    assert text.stdout.split()[1:] == found or "no instances like that" in text.stdout or words == ("--after", "web-5")


def test_pages_of_a_record_that_changes(environment: dict[str, str]) -> None:
    store = Store(f"sqlite:///{environment['SLIPWAY_STATE']}/slipway.db")
    with Orchestrator(environment["SLIPWAY_STATE"]) as slipway:
        found = read(store, Selection(), page=2)
        first = [next(found).name, next(found).name]
        slipway.delete("web-1")
        slipway.delete("web-3")
        assert (first, [one.name for one in found]) == (["db", "web-1"], ["web-4", "web-5"])
    store.close()


def test_columns(slipway: Call) -> None:
    text = slipway("list", "--columns", "name, state,metadata,launched", "--name", "web-[14]").stdout.splitlines()
    assert text[0].split() == ["NAME", "STATE", "METADATA", "LAUNCHED"]
    assert text[1].split()[:3] == ["web-1", "ACTIVE", "tier=front"]
    found = json.loads(slipway("list", "--columns", ",".join(COLUMNS), "--name", "web-4", "--output", "json").stdout)
    assert list(found[0]) == list(COLUMNS)
    assert (found[0]["state"], found[0]["flavor"], found[0]["metadata"]) == ("STOPPED", "small", {"tier": "front"})
    assert set(SORTED) == {str(key) for key in SortKey}
    shown = slipway("list", "--columns", ",".join(COLUMNS))
    assert shown.stdout.splitlines()[0].split() == [name.upper() for name in COLUMNS]


def test_later_pages_stand_below_the_first(slipway: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_PAGE", 2)
    lines = slipway("list", "--columns", "name,state,host").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "db", "web-1", "web-3", "web-4", "web-5"]
    assert {line.index("node-1") for line in lines[1:3]} == {lines[0].index("HOST")}
    whole = slipway("list").stdout.splitlines()[0]
    assert whole.split() == ["NAME", "PROJECT", "STATE", "HOST", "ADDRESSES", "FAULT"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--columns", "nmae"), "there is no column 'nmae', did you mean \"name\"?"),
        (("--columns", ""), "there is no column ''; there are name, id,"),
        (("--columns", "name,NAME"), "a column is named twice"),
        (("--sort", "age"), "'age' is no order: one of name,"),
        (("--sort", "name:up"), "'name:up' is no order"),
        (("--limit", "0"), "Invalid value for '--limit'"),
        (("--deleted", "--status", "ACTIVE"), "those that were deleted are listed by --deleted"),
        (("--status", "DELETED"), "those that were deleted are listed by --deleted"),
    ],
)
def test_bad_usage(words: tuple[str, ...], text: str, slipway: Call) -> None:
    done = slipway("list", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr


def test_a_place_that_is_not_in_the_list(slipway: Call) -> None:
    assert slipway("list", "--after", "nobody").exit_code == 1
    gone = slipway("list", "--sort", "name", "--status", "ACTIVE", "--after", "web-4")
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert "is in the list, after which it could go on" in gone.stderr


def test_watch(terminal: Callable[..., Any], slipway: Call) -> None:
    screen = terminal("list", "--watch", "--interval", "0.1", "--name", "web-[35]", "--columns", "name,state")
    screen.wait_for(r"web-3 +ACTIVE\s+web-5 +ACTIVE")
    assert slipway("stop", "web-3").exit_code == 0
    screen.wait_for(r"web-3 +STOPPED\s+web-5 +ACTIVE")
    screen.press("\x03")
    assert screen.wait() == 130


@pytest.fixture
def api(environment: dict[str, str]) -> Iterator[Orchestrator]:
    with Orchestrator(environment["SLIPWAY_STATE"]) as slipway:
        yield slipway


def test_selected_by_a_program(api: Orchestrator) -> None:
    chosen = api.select("web-*", project="demo", states=("ACTIVE",), labels={"tier": "front"})
    assert [one.name for one in chosen] == ["web-1", "web-3", "web-5"]
    assert {(one.name, one.status.value) for one in chosen.stop()} == {
        ("web-1", "done"),
        ("web-3", "done"),
        ("web-5", "done"),
    }
    # They are not ACTIVE any more: each time it is those that are meant by then.
    assert list(chosen) == []
    assert [one.status.value for one in api.select("web-*").start()] == ["done"] * 4
    refused = [one for one in api.select("web-*", states=("ACTIVE",)).start() if one.error]
    assert refused == []
    assert [one.name for one in api.select(deleted=True)] == ["web-2"]
    assert [one.deleted_at is None for one in api.select(deleted=True)] == [False]

"""`slipway host`: what is typed, what is said, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import Result

Slipway: TypeAlias = Callable[..., Result]

FILE = """
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 32GiB, disk: 500GiB, labels: {ssd: nvme}}
  node-2: {vcpus: 8, memory: 16GiB, disk: 500GiB, zone: rack-b}
networks: {net: {subnets: {subnet: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  fast: {flavor: small, image: tiny, networks: [net], requires: {ssd: nvme}}
  web: {flavor: small, image: tiny, networks: [net], zone: rack-b}
"""


@pytest.fixture
def slipway_here(slipway: Slipway, tmp_path: Path) -> Slipway:
    """The command, after the file was run."""
    (tmp_path / "demo.yaml").write_text(FILE)
    assert slipway("run", str(tmp_path / "demo.yaml")).exit_code == 0
    return slipway


def read(done: Result) -> Any:
    assert done.exit_code == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_host_is_listed_and_shown_with_what_is_on_it(slipway_here: Slipway) -> None:
    one, two = read(slipway_here("host", "list", "--output", "json"))
    assert (one["name"], one["labels"], one["enabled"], one["instances"]) == ("node-1", {"ssd": "nvme"}, True, 1)
    assert one["vcpus"] == {"total": 8, "limit": 32, "used": 1, "free": 31}
    assert two["zone"] == "rack-b"
    shown = read(slipway_here("host", "show", "node-1", "--output", "json"))
    assert ([i["name"] for i in shown["instances"]], shown["left"]) == (["fast"], [])
    text = slipway_here("host", "show", "node-1").stdout
    assert "ssd=nvme" in text
    assert "31.5GiB" in text


def test_a_host_is_added_changed_and_removed(slipway_here: Slipway) -> None:
    added = ("host", "add", "node-3", "--vcpus", "4", "--memory", "8GiB", "--disk", "20GiB", "--label", "gpu=a100")
    (one,) = read(slipway_here(*added, "--output", "json"))
    assert (one["memory"]["total"], one["labels"]) == (8 << 30, {"gpu": "a100"})
    again = slipway_here(*added)
    assert (again.exit_code, "slipway host set" in again.stderr) == (1, True)
    (one,) = read(slipway_here("host", "set", "node-3", "--zone", "rack-c", "--no-label", "gpu", "--output", "json"))
    assert (one["zone"], one["labels"], one["vcpus"]["total"]) == ("rack-c", {}, 4)
    assert slipway_here("host", "remove", "node-3").stdout == "removed: node-3\n"
    assert len(read(slipway_here("host", "list", "--output", "json"))) == 2


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("set", "node-1", "--memory", "256MiB"), "512MiB of memory are claimed, 256MiB could be given out"),
        (("set", "node-1", "--no-label", "ssd"), "keeps its label ssd=nvme: instance fast requires it"),
        (("set", "node-1", "--label", "ssd=sata"), "keeps its label ssd=nvme: instance fast requires it"),
        (("set", "node-2", "--zone", "rack-c"), "stays in zone rack-b: instance web asked for it"),
        (("set", "node-1", "--disk", "1GiB", "--disk-ratio", "1"), "2GiB of disk are claimed, 1GiB could be given out"),
        (("remove", "node-1"), "host node-1 has 1 instance (fast): delete them first"),
        (("show", "nope"), "no host nope is on record"),
        (("disable", "node-1", "nope"), "no host nope is on record"),
        (("forget-failures", "nope"), "no host nope is on record"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    typed: tuple[str, ...], said: str, slipway_here: Slipway
) -> None:
    before = slipway_here("host", "list", "--output", "json").stdout
    done = slipway_here("host", *typed)
    assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    assert slipway_here("host", "list", "--output", "json").stdout == before


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (("set", "node-1"), "there is nothing to set"),
        (("set", "node-1", "--memory", "8gb"), "is not a size with a unit, such as 32GiB, did you mean 8GiB?"),
        (("set", "node-1", "--vcpus", "0"), "vcpus: must be at least 1"),
        (("set", "node-1", "--label", "ssd"), "is not KEY=VALUE"),
        (("set", "node-1", "--label", "a b=c"), "labels[0]"),
        (("set", "node-1", "--label", "a=1", "--no-label", "a"), "label a is to be set and taken away"),
        (("drain", "node-1"), "--move moves them to other hosts, --stop stops them"),
        (("lits",), 'did you mean "list"?'),
    ],
)
def test_bad_usage_is_told(typed: tuple[str, ...], said: str, slipway_here: Slipway) -> None:
    done = slipway_here("host", *typed)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_host_that_was_disabled_stays_so_when_its_file_is_run_again(slipway_here: Slipway, tmp_path: Path) -> None:
    assert slipway_here("host", "disable", "node-1", "--reason", "a broken fan").exit_code == 0
    (tmp_path / "demo.yaml").write_text(FILE.replace("node-1: {vcpus: 8", "node-1: {vcpus: 9"))
    slipway_here("run", str(tmp_path / "demo.yaml"))
    one, _ = read(slipway_here("host", "list", "--output", "json"))
    assert (one["vcpus"]["total"], one["enabled"], one["disabled"]) == (9, False, "a broken fan")
    more = FILE.replace("instances:", "instances:\n  more: {flavor: small, image: tiny, networks: [net], host: node-1}")
    (tmp_path / "demo.yaml").write_text(more)
    failed = slipway_here("run", str(tmp_path / "demo.yaml"))
    assert (failed.exit_code, "node-1: it is disabled: a broken fan" in failed.stdout) == (3, True)
    (one,) = read(slipway_here("host", "enable", "node-1", "--output", "json"))
    assert (one["enabled"], one["disabled"]) == (True, None)


def test_a_drained_host_has_nothing_running_and_again_does_nothing(slipway_here: Slipway) -> None:
    drained = slipway_here("host", "drain", "node-1", "--stop")
    assert (drained.exit_code, "slipway host enable node-1" in drained.stdout) == (0, True)
    states = {one["name"]: one["vm_state"] for one in read(slipway_here("list", "--output", "json"))}
    assert states == {"fast": "STOPPED", "web": "ACTIVE"}
    one, two = read(slipway_here("host", "list", "--output", "json"))
    assert (one["disabled"], two["disabled"]) == ("drained", None)
    assert read(slipway_here("host", "drain", "node-1", "--stop", "--output", "json")) == []


def test_a_drained_host_is_empty_but_for_what_cannot_move_which_is_told_with_the_reason(
    slipway_here: Slipway, tmp_path: Path
) -> None:
    more = FILE.replace("instances:", "instances:\n  more: {flavor: small, image: tiny, networks: [net], host: node-1}")
    (tmp_path / "demo.yaml").write_text(more)
    assert slipway_here("run", str(tmp_path / "demo.yaml")).exit_code == 0
    drained = slipway_here("host", "drain", "node-1", "--move")
    assert drained.exit_code != 0
    assert "it has no label ssd, which must be nvme" in drained.stdout + drained.stderr
    there = {one["name"]: (one["host"], one["vm_state"]) for one in read(slipway_here("list", "--output", "json"))}
    assert there == {"fast": ("node-1", "ACTIVE"), "more": ("node-2", "ACTIVE"), "web": ("node-2", "ACTIVE")}
    assert slipway_here("host", "set", "node-2", "--label", "ssd=nvme").exit_code == 0
    assert slipway_here("host", "drain", "node-1", "--move").exit_code == 0
    assert read(slipway_here("host", "show", "node-1", "--output", "json"))["instances"] == []
    assert "Nothing to move." in slipway_here("host", "drain", "node-1", "--move").stdout
    assert slipway_here("host", "remove", "node-1").exit_code == 0


def test_a_named_guest_is_shut_down_only_where_somebody_has_said_so(slipway_here: Slipway) -> None:
    assert slipway_here("host", "set", "node-2", "--label", "ssd=nvme").exit_code == 0
    refused = slipway_here("move", "fast", "--to", "node-2")
    assert refused.exit_code == 2
    assert "shut 1 guest down" in refused.stdout + refused.stderr
    assert slipway_here("move", "fast", "--to", "node-2", "--yes").exit_code == 0
    (fast,) = [one for one in read(slipway_here("list", "--output", "json")) if one["name"] == "fast"]
    assert fast["host"] == "node-2"


def test_what_was_on_a_dead_host_is_built_again_only_where_somebody_knows_that_it_is_dead(
    slipway_here: Slipway, tmp_path: Path
) -> None:
    assert slipway_here("host", "set", "node-2", "--label", "ssd=nvme").exit_code == 0
    refused = slipway_here("evacuate", "node-1")
    assert (refused.exit_code, "--dead says that node-1 is certainly off" in refused.stderr) == (2, True)
    asked = slipway_here("evacuate", "node-1", "--dead")
    assert (asked.exit_code, "what is on their disks there is lost" in asked.stderr) == (2, True)
    alive = slipway_here("evacuate", "node-1", "--dead", "--yes")
    assert (alive.exit_code != 0, "it is not dead" in alive.stdout + alive.stderr) == (True, True)
    (domain,) = tmp_path.glob("**/world/node-1/domains/*.json")
    domain.write_text(domain.read_text().replace('"running"', '"shutdown"'))
    assert slipway_here("evacuate", "node-1", "--dead", "--yes").exit_code == 0
    assert {one["host"] for one in read(slipway_here("list", "--output", "json"))} == {"node-2"}
    assert read(slipway_here("evacuate", "node-1", "--dead", "--output", "json")) == []
    (one, _) = read(slipway_here("host", "list", "--output", "json"))
    assert one["disabled"] == "declared dead"


def test_failed_builds_are_counted_shown_and_forgotten(slipway: Slipway, tmp_path: Path) -> None:
    failing = FILE.replace("zone: rack-b}\nnet", "zone: rack-b, simulate: {fail: [spawn]}}\nnet")
    (tmp_path / "demo.yaml").write_text(failing)
    assert slipway("run", str(tmp_path / "demo.yaml")).exit_code == 3
    assert [one["failed_builds"] for one in read(slipway("host", "list", "--output", "json"))] == [0, 1]
    (one,) = read(slipway("host", "forget-failures", "node-2", "--output", "json"))
    assert one["failed_builds"] == 0

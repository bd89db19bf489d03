"""`slipway explain`: what was seen, what is true now, and nothing changed."""

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
  node-1: {vcpus: 2, memory: 4GiB, disk: 50GiB, ratios: {cpu: 1}, labels: {ssd: nvme}}
  node-2: {vcpus: 8, memory: 16GiB, disk: 50GiB, zone: rack-b}
networks: {net: {subnets: {subnet: {cidr: 10.0.0.0/24}}}}
flavors:
  small: {vcpus: 1, memory: 1GiB, disk: 2GiB}
  large: {vcpus: 4, memory: 64GiB, disk: 2GiB, requires: {ssd: nvme}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
server_groups: {apart: {policy: anti-affinity}}
instances:
  one: {flavor: small, image: tiny, networks: [net], group: apart}
  two: {flavor: small, image: tiny, networks: [net], group: apart, depends_on: [one]}
  three: {flavor: small, image: tiny, networks: [net], group: apart, depends_on: [two]}
  big: {flavor: large, image: tiny, networks: [net], depends_on: [two]}
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "demo.yaml"
    file.write_text(FILE)
    return str(file)


def read(done: Result) -> Any:
    assert done.exit_code == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def best(one: Any) -> str | None:
    return next((verdict["host"] for verdict in one["now"] if not verdict["refusals"]), None)


def test_a_file_is_explained_before_anything_is_on_record_as_it_then_comes(
    slipway: Slipway, path: str, environment: dict[str, str]
) -> None:
    told = read(slipway("explain", path, "--output", "json"))
    assert not Path(environment["SLIPWAY_STATE"]).exists()
    assert [(one["name"], best(one)) for one in told] == [
        ("one", "node-1"),
        ("two", "node-2"),
        ("three", None),
        ("big", None),
    ]
    assert slipway("run", path).exit_code == 3
    there = {one["name"]: one["host"] for one in read(slipway("list", "--output", "json"))}
    assert there == {one["name"]: best(one) for one in told}


def test_every_reason_is_told_and_the_largest_that_would_fit(slipway: Slipway, path: str) -> None:
    big = read(slipway("explain", path, "--output", "json"))[3]
    reasons = {verdict["host"]: [one["filter"] for one in verdict["refusals"]] for verdict in big["now"]}
    assert reasons == {"node-1": ["vcpus", "memory"], "node-2": ["labels", "memory"]}
    assert big["largest"] == [{"host": "node-1", "room": {"vcpus": 1, "memory": 3 << 30, "disk": 48 << 30}}]
    text = slipway("explain", path).stdout
    assert "it has no label ssd, which must be nvme; 15GiB of 16GiB memory are free, 64GiB needed" in text
    assert "The largest that would fit: 1 vCPU, 3GiB of memory and 48GiB of disk (on node-1)" in text


def test_what_was_seen_stays_and_what_is_true_now_is_asked_again(slipway: Slipway, path: str) -> None:
    slipway("run", path)
    before = read(slipway("explain", "one", "--output", "json"))
    assert before["then"]["hosts"] == ["node-1", "node-2"]
    assert before["then"]["seen"][0]["free"] == {"vcpus": 2, "memory": 4 << 30, "disk": 50 << 30}
    # Its own claim is given back in what is asked now.
    assert before["now"][0]["free"] == {"vcpus": 2, "memory": 4 << 30, "disk": 50 << 30}
    slipway("host", "disable", "node-1", "--reason", "a fan")
    after = read(slipway("explain", "one", "--output", "json"))
    assert after["then"] == before["then"]
    said = {verdict["host"]: [one["reason"] for one in verdict["refusals"]] for verdict in after["now"]}
    assert said["node-1"] == ["it is disabled: a fan"]
    assert said["node-2"] == ["another member of group apart (anti-affinity) is on it"]


def test_a_failure_is_explained_by_the_record_and_anew(slipway: Slipway, path: str) -> None:
    slipway("run", path)
    text = slipway("explain", "big").stdout
    assert "When it was to be scheduled, by the record: NoValidHost: no host fits big: node-1:" in text
    assert "Now, asked again:" in text
    assert "node-2" in text
    (one,) = slipway("explain", "big", "--limit", "1").stdout.splitlines()[-2:-1]
    assert one == "and 1 more, of which 0 fit: --limit shows more, --output json all"


def test_to_explain_changes_nothing(slipway: Slipway, path: str, environment: dict[str, str]) -> None:
    slipway("run", path)

    def files() -> dict[str, bytes]:
        found = Path(environment["SLIPWAY_STATE"]).rglob("*")
        return {str(file): file.read_bytes() for file in found if file.is_file() and not file.name.endswith("-shm")}

    before = files()
    slipway("explain", path)
    slipway("explain", "one")
    assert files() == before


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (("nope",), 1, "nope"),
        (("nope.yaml",), 2, "nope.yaml"),
        (("FILE", "--project", "demo"), 2, "--project is for a name"),
        (("one", "--limit", "0"), 2, "--limit"),
    ],
)
def test_bad_usage_is_told(typed: tuple[str, ...], code: int, said: str, slipway: Slipway, path: str) -> None:
    slipway("run", path)
    done = slipway("explain", *(path if word == "FILE" else word for word in typed))
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr

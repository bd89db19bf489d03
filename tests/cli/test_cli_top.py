"""`slipway top` on simulated hosts: what the record has, and who cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from slipway import Orchestrator
from slipway.cli.main import main
from slipway.runfile import loads

FILE = """
schema: 1
hosts:
  a: {vcpus: 8, memory: 8GiB, disk: 100GiB}
  b: {vcpus: 8, memory: 8GiB, disk: 100GiB, simulate: {fail: [domain_uses]}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  one: {flavor: small, image: tiny, networks: [], host: a}
  two: {flavor: small, image: tiny, networks: [], host: a}
  three: {flavor: small, image: tiny, networks: [], host: b}
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Orchestrator(tmp_path) as orchestrator:
        orchestrator.run(loads(FILE, "top.yaml"))
        orchestrator.stop("two")
    return tmp_path


def top(state: Path, *words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["--state", str(state), "top", "--interval", "0.1", *words])
    return done.exit_code, done.stdout, done.stderr


def test_who_runs_is_shown_and_who_cannot_be_asked_is_told(state: Path) -> None:
    code, out, err = top(state)
    assert code == 0
    head, row = out.splitlines()
    assert head.split() == ["NAME", "PROJECT", "HOST", "CPU", "MEMORY", "READ/S", "WRITTEN/S", "IN/S", "OUT/S"]
    assert row.split() == ["one", "default", "a", "0", "%", "512MiB", "of", "512MiB", "0B", "0B", "0B", "0B"]
    assert "domain_uses" in err


def test_json(state: Path) -> None:
    code, out, _ = top(state, "--output", "json")
    assert code == 0
    told = json.loads(out)
    (guest,) = told["guests"]
    assert (guest["name"], guest["cpu"], guest["resident"], guest["memory_used"]) == ("one", 0.0, 512 << 20, None)
    assert len(told["unasked"]) == 1


def test_of_another_project_nothing_is_shown(state: Path) -> None:
    code, out, _ = top(state, "--project", "none")
    assert (code, out) == (0, "no guest runs\n")

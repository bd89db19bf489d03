"""Faults in a run file, or in a file of their own: off unless they are asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.cli.main import main
from slipway.errors import InvalidFile
from slipway.runfile import loads

FILE = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [net, net]}}
"""
FAULTS = "faults: [{at: network.create_port, call: 2, mode: error, raise: PortLimitExceeded}]\n"


def run(tmp_path: Path, text: str, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    file = tmp_path / "demo.yaml"
    file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(file), "--state", str(tmp_path / "state"), "--parallel", "1", *words])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def test_off_unless_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(tmp_path, FILE + FAULTS, capsys=capsys)
    assert code == 0
    assert "do not go off without --allow-faults" in err


def test_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(tmp_path, FILE + FAULTS, "--allow-faults", capsys=capsys)
    assert code == 3
    assert "PortLimitExceeded: network net: injected at network.create_port, call 2" in out + err


def test_a_file_of_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("schema: 1\nfaults: [{at: compute.spawn, mode: lost_reply}]\n")
    code, out, _ = run(tmp_path, FILE, "--faults", str(faults), "--output", "json", capsys=capsys)
    assert code == 3
    assert "injected at compute.spawn, call 1" in out
    assert json.loads(out.splitlines()[-1])


def test_a_crash_is_one_and_can_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text(FILE + "faults: [{at: compute.spawn, mode: crash_after}]\n")
    words = [sys.executable, "-c", "from slipway.cli.main import main; main()", "run", str(file), "--allow-faults"]
    environment = {**os.environ, "SLIPWAY_STATE": str(tmp_path / "state")}
    assert subprocess.run(words, env=environment, capture_output=True, check=False).returncode == -9
    with pytest.raises(SystemExit) as ended:
        main(["resume", "--state", str(tmp_path / "state")])
    assert ended.value.code == 0
    assert "web-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("{at: network.create_prot}", 'did you mean "network.create_port"?'),
        (
            "{at: commit, raise: PortLimitExceded}",
            'did you mean "PortLimitExceeded"?',
        ),
        ("{at: commit, call: 0}", "call must be at least 1"),
        ("{at: commit, mode: explode}", "explode"),
        ("{call: 2}", "at"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(fault: str, text: str) -> None:
    with pytest.raises(InvalidFile) as found:
        loads(FILE + f"faults: [{fault}]\n", "demo.yaml")
    (problem,) = found.value.problems
    assert problem.startswith("demo.yaml:8:")
    assert text in problem

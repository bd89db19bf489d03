"""`slipway drill --verb`: a change of instances as a user types it, and what must not be typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.flows.tasks.disks import CreateDisk
from slipway.model.machine import Disk
from tests.drill.test_drill_cli import FILE, drill

TWO = FILE.replace("hosts: {", "hosts: {node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}, ")
ATTACH = ("--verb", "attach-disk web-1 --size 1GiB")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(TWO)
    return path


def test_a_verb_goes_forward_and_back(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = drill(
        capsys, file, *ATTACH, "--only", "create_disk:crash_after", "--only", "delete_disk:error.bug"
    )
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["forward", "disks"], ["back", "undo"]]
    assert "2 runs in" in out
    assert out.rstrip().endswith("1 resumed, 1 stuck")


def test_those_before_the_last_come_first(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--verb", "stop web-1 --force", "--verb", "slipway start web-1", "--only", "start:crash_before")
    code, out, _ = drill(capsys, file, *words, "--output", "json", "--jobs", "1")
    (case,) = json.loads(out)["cases"]
    assert code == 0
    assert (case["ends"], case["outcome"]) == ({"web-1": "ACTIVE"}, "resumed")


def test_a_leak_of_a_verb_is_told_with_the_line_that_reproduces_it(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def undo(self: CreateDisk, work: object, result: Disk | None) -> None:
        del self, work, result

    monkeypatch.setattr(CreateDisk, "undo", undo)
    code, out, _ = drill(capsys, file, *ATTACH, "--only", "redefine:error.abort:0", "--jobs", "1")
    assert code == 5
    assert "A3: after the recovery: instance web-1 is ACTIVE with 2 of kind disk for 1" in out
    assert f"slipway drill {file} --only redefine:error.abort:0 --seed 0 --verb 'attach-disk web-1 --size 1GiB'" in out


def test_what_serves_a_nic_that_could_not_be_bound_again_is_its_own(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its port is bound to no host then, and what is on record as stuck holds the DHCP server's port."""
    words = ("--verb", "host drain node-2 --move", "--remote-network", "--only", "back/show_port:error.abort")
    code, out, _ = drill(capsys, file, *words, "--output", "json", "--jobs", "1")
    assert (code, {case["outcome"] for case in json.loads(out)["cases"] if case["step"] == "releases"}) == (
        0,
        {"stuck"},
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("atach-disk web-1", 'did you mean "attach-disk"'),
        ("list", "is no command that can be drilled"),
        ("snapshot list web-1", "is no command that can be drilled"),
        ("attach-disk web-1 --sice 1GiB", "--sice"),
        ("attach-disk web-1 --size 1", "is not a size with a unit"),
        ("attach-disk web-1", "say --size or --volume"),
        ("attach-disk 'web-1", "No closing quotation"),
        ("", "is no command that can be drilled"),
    ],
)
def test_what_cannot_be_typed_is_refused(line: str, said: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = drill(capsys, file, "--verb", line)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("attach-disk web-9 --size 1GiB", "no instance web-9 is on record"),
        ("detach-disk web-1 --disk vdz", "vdz"),
        ("start web-1", "the verb changes nothing"),
    ],
)
def test_what_fails_without_a_fault_is_not_drilled(
    line: str, said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = drill(capsys, file, "--verb", line)
    assert (code, out) == (1, "")
    assert said in err

"""`slipway image`, and run files that name images: one machine with real disks, whose guests are simulated."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from slipway.cli.main import main
from slipway.cli.shapes import schema_of

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img (qemu-utils) is not installed"),
]

MIB = 1 << 20
FILE = """\
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, disks: qcow2}
networks:
  demo-net: {subnets: {demo-subnet: {cidr: 192.168.0.0/24}}}
flavors:
  small: {vcpus: 1, memory: 512MiB, disk: 16MiB}
images:
  entry: {path: "image:golden"}
instances:
  web: {flavor: small, image: golden, networks: [demo-net]}
  gate: {flavor: small, image: entry, networks: [demo-net]}
"""


def test_an_image_from_its_file_to_a_guest_and_back(tmp_path: Path) -> None:
    def slipway(*words: object, code: int = 0) -> Result:
        done = CliRunner().invoke(main, [*map(str, words), "--state", str(tmp_path / "state")])
        assert done.exit_code == code, done.output
        return done

    def said(*words: object, code: int = 0) -> Any:
        found = json.loads(slipway(*words, "--output", "json", code=code).stdout)
        if code == 0:
            Draft202012Validator(schema_of(" ".join(map(str, words[:2])))).validate(found)
        return found

    raw, file = tmp_path / "golden.raw", tmp_path / "demo.yaml"
    raw.write_bytes(b"golden".ljust(MIB, b"\0") + os.urandom(MIB))
    file.write_text(FILE)
    problem = slipway("validate", file, code=2).stderr
    assert problem.count("unknown image 'golden'") + problem.count('unknown image "golden"') == 2
    assert said("image", "add", "golden", raw, code=1)["error"]["type"] == "ImageUnacceptable"
    added = said("image", "add", "golden", raw, "--format", "raw")
    assert (added["name"], added["size"], added["disks"]) == ("golden", 2 * MIB, [])

    slipway("run", file)
    assert slipway("plan", file, "--check").exit_code == 0
    (shown,) = said("image", "list")
    assert len(shown["disks"]) == 2
    refused = said("image", "delete", "golden", code=1)["error"]
    assert (refused["type"], "on node-1" in refused["message"]) == ("ImageInUse", True)
    assert said("image", "prune", "--older-than", "0s", "--added") == []
    # Another image by that name changes no guest that is there.
    raw.write_bytes(b"newer".ljust(MIB, b"\0"))
    slipway("image", "add", "golden", raw, "--format", "raw", "--replace")
    assert slipway("plan", file, "--check").exit_code == 0

    assert said("image", "create", "copy", "--from", "web", code=1)["error"]["type"] == "UnexpectedState"
    assert [one["name"] for one in said("image", "list", "--all")] == ["golden", None]
    slipway("stop", "web")
    (disk,) = [one["path"] for one in said_of(slipway("show", "web", "--output", "json")) if one["role"] == "root"]
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 8M 1M", "-c", "discard 8M 1M", disk], check=True)
    made = said("image", "create", "copy", "--from", "web")
    assert (made["size"], made["source"]) == (16 * MIB, "root disk of instance web")
    info = subprocess.run(
        ["qemu-img", "info", "--output=json", tmp_path / "state" / "images" / made["sha256"]],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "backing-filename" not in json.loads(info.stdout)
    assert made["taken"] < 2 * MIB, "what is empty takes no room"
    content = tmp_path / "content"
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, content], check=True)
    slipway("rebuild", "web", "--image", "image:copy", "--yes")
    again = tmp_path / "again"
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, again], check=True)
    assert again.read_bytes() == content.read_bytes()

    slipway("delete", "web", "gate")
    assert "copy" in slipway("image", "show", "copy").stdout
    assert [one["name"] for one in said("image", "delete", "copy", "golden")] == ["copy", "golden"]
    assert len(said("image", "prune", "--older-than", "0s")) == 1
    assert said("image", "list", "--all") == []
    assert "debian-13" in slipway("image", "list", "--catalogue").stdout


def said_of(done: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["disks"]
    return found

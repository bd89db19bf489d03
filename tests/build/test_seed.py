"""When an instance gets a seed, and what of it stays on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.model.machine import DiskRole
from slipway.runfile import RunFile, loads


def file(entry: str) -> RunFile:
    return loads(
        f"""
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB}}}}
networks:
  served: {{subnets: {{a: {{cidr: 10.0.0.0/24}}}}}}
  silent: {{subnets: {{b: {{cidr: 10.1.0.0/24, enable_dhcp: false}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
keypairs: {{me: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5}}
instances: {{one: {{flavor: small, image: tiny, {entry}}}}}
""",
        "seed.yaml",
    )


def seeds(state: Path) -> list[int]:
    """The slots of all seeds that there are."""
    disks = [json.loads(path.read_text()) for path in state.glob("world/*/disks/*.json")]
    return [disk["slot"] for disk in disks if disk["role"] == DiskRole.SEED]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("networks: [served]", []),
        ("networks: [served, silent]", [1]),
        ("networks: [], disks: [1GiB], keypairs: [me]", [2]),
        ("networks: [], files: {/etc/motd: {content: x}}", [1]),
        ('networks: [], user_data: ""', [1]),
        ("networks: [], metadata: {role: db}", [1]),
    ],
)
def test_a_seed_is_made_where_there_is_something_to_tell(tmp_path: Path, entry: str, expected: list[int]) -> None:
    with Orchestrator(tmp_path) as orchestrator:
        orchestrator.run(file(entry))
        assert seeds(tmp_path) == expected
        assert orchestrator.audit() == ()
        orchestrator.delete("one")
        assert seeds(tmp_path) == []


def test_of_files_the_digests_stay(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as orchestrator:
        says = file("networks: [], files: {/etc/key: {content: hunter2}}")
        orchestrator.run(says)
        (kept,) = orchestrator.show("one").instance.request.files
        assert (kept.path, kept.mode, kept.content, len(kept.sha256 or "")) == ("/etc/key", "0644", None, 64)
        assert orchestrator.run(says).ended[0].status == "unchanged"
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()] == []

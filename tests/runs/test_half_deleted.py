"""A step that deletes an instance and fails: the one that takes its place finds its name and its addresses free."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode

SITE = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {front: {subnets: {a: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: /images/tiny, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [front]}}
"""
FLOW = """
schema: 1
name: replace
steps:
- id: delete
  uses: delete-instance
  with: {instance: %s}
  revert:
    uses: build-instance
    with:
      name: web
      flavor: {vcpus: 1, memory: 512MiB, disk: 2GiB}
      image: {path: /images/tiny, format: qcow2}
      networks: [{network: front, fixed_ip: 10.0.0.2}]
"""


def site(tmp_path: Path, instance: str) -> str:
    """An instance on record, and a workflow that deletes that one."""
    file = loads(SITE, "site.yaml")
    with Orchestrator(tmp_path / "state", settings=file.settings) as slipway:
        slipway.run(file)
    (tmp_path / "flow.yaml").write_text(FLOW % instance)
    return str(tmp_path / "flow.yaml")


@pytest.mark.parametrize("call", ["destroy", "delete_disk"])
def test_what_is_half_deleted_is_deleted_before_another_takes_its_place(call: str, tmp_path: Path) -> None:
    path = site(tmp_path, "web")
    faults = Faults(Fault(call, Mode.ERROR, 0))
    with Orchestrator(tmp_path / "state", store=faults.store, drivers=faults.drivers) as slipway:
        (before,) = slipway.list()
        run = slipway.runs.run(path)
        (after,) = slipway.list()
        assert (run.state, after.vm_state, after.addresses) == ("FAILED", "ACTIVE", before.addresses)
        assert after.id != before.id
        assert slipway.audit() == ()


def test_nothing_takes_the_place_of_what_never_was(tmp_path: Path) -> None:
    path = site(tmp_path, "nobody")
    with Orchestrator(tmp_path / "state") as slipway:
        before = slipway.list()
        assert slipway.runs.run(path).state == "FAILED"
        assert slipway.list() == before

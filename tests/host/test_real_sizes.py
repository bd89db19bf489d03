"""Another size and another name for a guest that really runs: what libvirt and qemu-img say of it then."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.host.conftest import Machines
from tests.host.test_real_past_us import built, fault, found, qemu, virsh

pytestmark = pytest.mark.host


def test_a_disk_grows_while_its_guest_runs_and_the_rest_by_a_stop(machines: Machines) -> None:
    uri, seen = machines.libvirtd.uri, []
    with built(machines) as (orchestrator, instance):
        before, path = qemu(machines), machines.state / "disks" / "node-1" / f"{instance.id}-0.qcow2"
        grown = orchestrator.changes.resize("one", disk=2 << 30)
        assert (grown.vm_state, fault(grown), qemu(machines)) == ("ACTIVE", "", before)
        virsh(uri, instance, lambda domain: seen.append(domain.blockInfo(str(path))[0]))
        assert seen == [2 << 30]
        larger = orchestrator.changes.resize("one", vcpus=2, memory=2 * instance.request.flavor.memory, stops=True)
        assert (larger.vm_state, fault(larger), found(orchestrator)) == ("ACTIVE", "", [])
        virsh(uri, instance, lambda domain: seen.append((domain.maxVcpus(), domain.maxMemory() << 10)))
        assert seen[-1] == (2, 2 * instance.request.flavor.memory)
        data = machines.state / "disks" / "node-1" / f"{instance.id}-2.qcow2"
        assert fault(orchestrator.changes.attach_disk("one", 1 << 20)) == ""
        assert fault(orchestrator.changes.grow_disk("one", "2", 1 << 21)) == ""
        virsh(uri, instance, lambda domain: seen.append(domain.blockInfo(str(data))[0]))
        assert (seen[-1], found(orchestrator)) == (1 << 21, [])
        orchestrator.stop("one", force=True)
        stopped = orchestrator.changes.resize("one", disk=3 << 30)
        assert (stopped.vm_state, fault(stopped), found(orchestrator)) == ("STOPPED", "", [])
        said: dict[str, Any] = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", path]))
        assert said["virtual-size"] == 3 << 30


def test_another_name_while_it_runs(machines: Machines) -> None:
    titles: list[str] = []
    with built(machines) as (orchestrator, instance):
        before = qemu(machines)
        renamed = orchestrator.changes.rename("one", "two")
        assert (renamed.name, fault(renamed), qemu(machines)) == ("two", "", before)
        virsh(machines.libvirtd.uri, instance, lambda domain: titles.append(domain.metadata(1, None)))
        assert (titles, found(orchestrator)) == (["two"], [])

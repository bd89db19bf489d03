"""What is done to real machines past us, with virsh or rm: what is told of it, and that a guest that runs goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slipway.model.record import Instance
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.conftest import Guest
from tests.host.conftest import Machines
from tests.host.hosts import RealHost
from tests.waiting import until

pytestmark = pytest.mark.host


@contextmanager
def built(machines: Machines, **says: Any) -> Iterator[tuple[Orchestrator, Instance]]:
    with machines.open() as orchestrator:
        (ended,) = orchestrator.run(machines.file(**says)).ended
        assert ended.status.value == "built", ended.instance
        assert ended.instance is not None
        yield orchestrator, ended.instance


def virsh(uri: str, instance: Instance, change: Callable[[Any], object]) -> None:
    """What virsh would do with the domain."""
    import libvirt

    connection = libvirt.open(uri)
    try:
        change(connection.lookupByUUIDString(instance.id))
    finally:
        connection.close()


def fault(instance: Instance) -> str:
    return "" if instance.fault is None else f"{instance.fault.type}: {instance.fault.message}"


def found(orchestrator: Orchestrator) -> list[str]:
    return [f"{one.difference} {one.kind}: {one.detail}" for one in orchestrator.audit()]


def qemu(machines: Machines) -> list[int]:
    return [one.pid for one in machines.libvirtd.machines()]


def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    return path


@pytest.mark.parametrize("gone", ["overlay", "image", "kernel", "initrd", "volume"])
@pytest.mark.parametrize("how", [{"force": True}, {"timeout": 5.0}], ids=["force", "asked"])
def test_a_reboot_of_a_guest_whose_files_are_gone_is_refused_and_it_runs_on(
    machines: Machines, tmp_path: Path, gone: str, how: dict[str, Any]
) -> None:
    kernel, initrd, volume = (tmp_path / name for name in ("kernel", "initrd", "volume"))
    shutil.copy(machines.guest.kernel, kernel)
    shutil.copy(machines.guest.initrd, initrd)
    volume.write_bytes(bytes(1 << 20))
    says = f"{Guest(kernel, initrd).image}, path: {image(tmp_path)}, format: qcow2"
    with built(machines, image=says, entry=f"disks: [{{volume: {volume}, format: raw}}]") as (orchestrator, instance):
        before, disks = qemu(machines), machines.state / "disks" / "node-1"
        (base,) = (path for path in (machines.state / "images").iterdir() if len(path.name) == 64)
        files = {"overlay": disks / f"{instance.id}-0.qcow2", "image": base, "kernel": kernel, "initrd": initrd}
        path = files.get(gone, volume)
        os.rename(path, f"{path}.aside")
        assert [text for text in found(orchestrator) if gone == "overlay" or str(path) in text]
        ended = orchestrator.reboot("one", **how)
        assert (ended.vm_state, qemu(machines)) == ("ACTIVE", before)
        assert fault(ended).startswith("StartImpossible: one cannot be started: ")
        assert (gone == "overlay" and "disk 0" in fault(ended)) or str(path) in fault(ended)
        os.rename(f"{path}.aside", path)
        ended = orchestrator.reboot("one", **how)
        assert (ended.vm_state, fault(ended), found(orchestrator)) == ("ACTIVE", "", [])
        assert qemu(machines) != before
        orchestrator.delete("one")


def test_a_domain_that_is_suspended(machines: Machines) -> None:
    uri = machines.libvirtd.uri
    with built(machines) as (orchestrator, instance):
        virsh(uri, instance, lambda domain: domain.suspend())
        (told,) = found(orchestrator)
        assert "its domain is paused" in told
        assert orchestrator.start("one").vm_state == "ACTIVE"
        assert found(orchestrator) == []
        until(lambda: "slipway" in machines.console(instance).lower(), "the guest's marker")
        virsh(uri, instance, lambda domain: domain.suspend())
        ended = orchestrator.stop("one", timeout=30)
        assert (ended.vm_state, fault(ended)) == ("STOPPED", "")
        orchestrator.start("one")
        virsh(uri, instance, lambda domain: domain.suspend())
        ended = orchestrator.reboot("one", force=True)
        assert (ended.vm_state, fault(ended), found(orchestrator)) == ("ACTIVE", "", [])
        virsh(uri, instance, lambda domain: domain.suspend())
        assert orchestrator.delete("one").vm_state == "DELETED"
        assert found(orchestrator) == []


def test_a_guest_that_is_paused_on_purpose(machines: Machines) -> None:
    with built(machines) as (orchestrator, _):
        paused = orchestrator.pause("one")
        assert (paused.vm_state, fault(paused), found(orchestrator)) == ("PAUSED", "", [])
        assert orchestrator.repair() == ()
        went_on = orchestrator.unpause("one")
        assert (went_on.vm_state, fault(went_on), found(orchestrator)) == ("ACTIVE", "", [])
        orchestrator.pause("one")
        ended = orchestrator.stop("one", timeout=30)
        assert (ended.vm_state, fault(ended), found(orchestrator)) == ("STOPPED", "", [])


def test_a_domain_that_is_undefined_and_destroyed(machines: Machines) -> None:
    uri = machines.libvirtd.uri
    with built(machines) as (orchestrator, instance):
        before = qemu(machines)
        virsh(uri, instance, lambda domain: domain.undefine())
        (told,) = found(orchestrator)
        assert "it is defined no more" in told
        ended = orchestrator.reboot("one", force=True)
        assert (ended.vm_state, qemu(machines)) == ("ACTIVE", before)
        assert "it is defined no more" in fault(ended)
        virsh(uri, instance, lambda domain: domain.destroy())
        (told,) = found(orchestrator)
        assert told.startswith("missing domain")
        for verb in (orchestrator.start, orchestrator.stop, orchestrator.start):
            ended = verb("one")
            assert ended.vm_state == "STOPPED"
        assert fault(ended).startswith("DomainNotFound: node-1: there is no domain of instance")
        assert orchestrator.delete("one").vm_state == "DELETED"
        assert found(orchestrator) == []


def test_what_virsh_changes_is_found(real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path: Path) -> None:
    import libvirt

    host = real_hosts[0]
    file = loads(host.file(guest).replace("vcpus: 1,", "vcpus: 2,"), "changed.yaml")
    later = libvirt.VIR_DOMAIN_AFFECT_CONFIG
    try:
        with Orchestrator(tmp_path / "state") as orchestrator:
            (ended,) = orchestrator.run(file).ended
            assert ended.instance is not None
            assert found(orchestrator) == []
            uri, instance = host.libvirtd.uri, ended.instance
            (port,) = orchestrator.network.list_ports(device_id=instance.id)
            nic = f"<interface type='ethernet'><mac address='{port.mac_address}'/></interface>"
            for change, said in (
                (lambda domain: domain.setVcpusFlags(1, later), "it has 1 vCPU instead of 2"),
                (lambda domain: domain.setMemoryFlags(32 << 10, later), "it has 32768 KiB of memory instead of 65536"),
                (lambda domain: domain.detachDeviceFlags(nic, later), f"its NIC {port.mac_address} is detached"),
            ):
                virsh(uri, instance, change)
                (told,) = found(orchestrator)
                assert f"{said}, from its next start" in told
            orchestrator.delete("one")
            orchestrator.destroy(file)
            assert found(orchestrator) == []
    finally:
        host.clear()

"""A domain that was made by hand on a real libvirt becomes an instance on its disk, and its guest boots from there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import libvirt
import pytest

from slipway import errors
from slipway.model.request import Volume
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.conftest import BOOT, Guest
from tests.host.hosts import RealHost, things
from tests.waiting import until

pytestmark = pytest.mark.host

MAC = "52:54:00:00:00:07"
XML = f"""<domain type='qemu'><name>old</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{{kernel}}</kernel><initrd>{{initrd}}</initrd>
<cmdline>{BOOT}</cmdline></os><features><acpi/></features><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{{disk}}'/>
<target dev='vda' bus='virtio'/></disk>
<interface type='ethernet'><mac address='{MAC}'/><target dev='old0' managed='yes'/><model type='virtio'/></interface>
<serial type='pty'/></devices></domain>"""


def test_its_guest_boots_as_an_instance_and_a_delete_leaves_its_disk(
    real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path: Path
) -> None:
    host, state, disk = real_hosts[0], tmp_path / "state", tmp_path / "old.qcow2"
    before = things([host], state)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "64M"], check=True)
    host.libvirtd.ensure_running()
    libvirtd = libvirt.open(host.libvirtd.uri)
    try:
        made = libvirtd.defineXML(XML.format(kernel=guest.kernel, initrd=guest.initrd, disk=disk))
        with Orchestrator(state) as slipway:
            text = f"name: shop\n{host.file(guest)}".partition("instances:")[0]
            file = loads(text, "shop.yaml")
            slipway.run(file)
            made.create()
            with pytest.raises(errors.ImportRefused, match="it runs"):
                slipway.import_domain("shop", "old", host.name, networks=["net"])
            made.destroy()
            assert slipway.audit() == (), "what bears no tag is nobody's difference"
            instance = slipway.import_domain("shop", "old", host.name, networks=["net"])
            assert (instance.vm_state, instance.stack, instance.fault) == ("ACTIVE", "shop", None)
            assert instance.request.disks == (Volume(str(disk), "qcow2"),)
            assert host.domains() == [f"old-{instance.id[:8]}"], "the old definition is gone"
            (port,) = slipway.network.list_ports(device_id=instance.id)
            assert port.mac_address == MAC
            until(lambda: b"slipway-guest: ready" in b"".join(slipway.console("old")), "the guest to boot")
            assert slipway.audit() == ()
            slipway.destroy(file)
            assert (slipway.list(), slipway.network.list_ports(), slipway.audit()) == ([], (), ())
        assert disk.exists(), "it was somebody's before"
    finally:
        libvirtd.close()
    host.clear()
    assert things([host], state) == before

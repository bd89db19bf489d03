"""The commands on real machines without a daemon: each is a process with a QEMU driver of its own in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from examples.real.daemon import QEMU_CONF
from tests.conftest import Guest
from tests.host.libvirtd import Libvirtd, until

pytestmark = pytest.mark.host


class Place:
    def __init__(self, directory: Path, libvirtd: Libvirtd, guest: Guest) -> None:
        self.directory, self.libvirtd = directory, libvirtd
        # Among the daemon's own, where paths are short enough for sockets.
        root = libvirtd.root / "e"
        (root / "etc").mkdir(parents=True)
        (root / "etc" / "qemu.conf").write_text(QEMU_CONF)
        self.file = directory / "machines.yaml"
        host = f'compute: libvirt, disks: qcow2, uri: "qemu:///embed?root={root}", accel: tcg'
        self.file.write_text(f"""
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 1TiB, {host}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{kernel: {guest.kernel}, initrd: {guest.initrd}}}}}
instances: {{one: {{flavor: tiny, image: guest, networks: [], count: 2}}}}
""")

    def slipway(self, *arguments: str) -> Any:
        command = str(Path(sys.executable).with_name("slipway"))
        done = subprocess.run(
            self.libvirtd.inside(command, *arguments, "--state", str(self.directory / "state"), "--output", "json"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            # What a daemon would write to its own log.
            env={**os.environ, "LIBVIRT_LOG_OUTPUTS": f"3:file:{self.directory}/libvirt.log"},
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert done.stderr == ""
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def place(libvirtd: Libvirtd, guest: Guest, tmp_path: Path) -> Place:
    return Place(tmp_path, libvirtd, guest)


def has_booted(log: Path) -> bool:
    return "slipway-guest: ready" in log.read_text(errors="replace")


def test_machines_outlive_the_command_that_made_them(place: Place) -> None:
    place.slipway("run", str(place.file))
    assert len(place.libvirtd.machines()) == 2
    for one in place.slipway("list"):
        assert one["vm_state"] == "ACTIVE"
        log = place.directory / "state" / "instances" / "node-1" / f"{one['id']}.log"
        until(partial(has_booted, log), "the guest's marker")
    place.slipway("audit")
    place.slipway("destroy", str(place.file))
    assert place.libvirtd.machines() == []
    place.slipway("audit")
    assert list((place.directory / "state").rglob("*.qcow2")) == []

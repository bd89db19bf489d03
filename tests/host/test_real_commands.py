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
from tests.conftest import BOOT, Guest
from tests.host.libvirtd import Libvirtd
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.host

TWO = "one: {flavor: tiny, image: guest, networks: [], count: 2}"


class Place:
    def __init__(self, directory: Path, libvirtd: Libvirtd, guest: Guest) -> None:
        self.directory, self.libvirtd, self._guest = directory, libvirtd, guest
        # Among the daemon's own, where paths are short enough for sockets.
        self._root = libvirtd.root / f"e{len(list(libvirtd.root.glob('e[0-9]')))}"
        (self._root / "etc").mkdir(parents=True)
        self.configure(QEMU_CONF)
        self.file = directory / "machines.yaml"
        self.write(TWO)

    def configure(self, text: str) -> None:
        (self._root / "etc" / "qemu.conf").write_text(text)

    def write(self, instances: str) -> None:
        """The run file."""
        host = f'compute: libvirt, disks: qcow2, uri: "qemu:///embed?root={self._root}", accel: tcg'
        guest = self._guest.image
        self.file.write_text(f"""
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 1TiB, {host}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images:
  guest: {{{guest}}}
  writer: {{{guest.replace(BOOT, f"{BOOT} slipway.write=vdb")}}}
instances: {{{instances}}}
""")

    def slipway(self, *arguments: str) -> Any:
        command = str(Path(sys.executable).with_name("slipway"))
        done = subprocess.run(
            self.libvirtd.inside(command, *arguments, "--state", str(self.directory / "state"), "--output", "json"),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
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


def ready(place: Place) -> dict[str, str]:
    """What each instance's guest has written once it has booted."""
    said = {}
    for one in place.slipway("list"):
        assert one["vm_state"] == "ACTIVE"
        log = place.directory / "state" / "instances" / "node-1" / f"{one['id']}.log"
        until(partial(has_booted, log), "the guest's marker")
        said[one["name"]] = log.read_text(errors="replace")
    return said


def has_booted(log: Path) -> bool:
    return "slipway-guest: ready" in log.read_text(errors="replace")


def test_machines_outlive_the_command_that_made_them(place: Place) -> None:
    place.slipway("run", str(place.file))
    assert len(place.libvirtd.machines()) == 2
    assert len(ready(place)) == 2
    place.slipway("audit")
    place.slipway("destroy", str(place.file))
    assert place.libvirtd.machines() == []
    place.slipway("audit")
    assert list((place.directory / "state").rglob("*.qcow2")) == []


# --- volumes that are brought along ---------------------------------------------------------------------------------

OWNS_ALL = QEMU_CONF.replace("dynamic_ownership = 0", "dynamic_ownership = 1")
"""A libvirt that makes its own whatever QEMU opens, and does not remember whose it was."""

NOBODY = 12345
BEFORE = b"written beforehand".ljust(1 << 20, b"\0")
AFTER = BEFORE[:512] + b"written by the guest".ljust(len(BEFORE) - 512, b"\0")


def convert(path: Path, form: str, to: Path, to_form: str) -> None:
    subprocess.run(["qemu-img", "convert", "-f", form, "-O", to_form, path, to], check=True)


def test_a_volume_is_given_back_with_what_the_guest_wrote(place: Place, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_bytes(BEFORE)
    volumes = {form: tmp_path / f"volume.{form}" for form in ("raw", "qcow2")}
    for form, volume in volumes.items():
        convert(plain, "raw", volume, form)
        os.chown(volume, NOBODY, NOBODY)
        volume.chmod(0o640)
    place.configure(OWNS_ALL)
    entry = "{{flavor: tiny, image: writer, networks: [], disks: [{{volume: {1}, format: {0}}}]}}"
    place.write(", ".join(f"{form}: {entry.format(form, volume)}" for form, volume in volumes.items()))
    place.slipway("run", str(place.file))
    assert all("slipway-guest: read vdb written beforehand" in said for said in ready(place).values())
    place.slipway("destroy", str(place.file))
    for form, volume in volumes.items():
        convert(volume, form, plain, "raw")
        assert plain.read_bytes() == AFTER, form
        now = volume.stat()
        assert (now.st_uid, now.st_gid, now.st_mode & 0o777) == (NOBODY, NOBODY, 0o640), form

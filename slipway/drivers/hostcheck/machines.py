"""libvirt, QEMU and disk images: whether guests run here, and under what."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.drivers.files import make_directories
from slipway.drivers.hostcheck.finding import Finding, Result
from slipway.drivers.images import qemu_img
from slipway.errors import SlipwayError
from slipway.model.machine import Acceleration

if TYPE_CHECKING:
    from slipway.drivers.compute.libvirt.connection import Connection

_PACKAGES = "apt-get install qemu-system-x86 libvirt-daemon-system"
_PATIENCE = {Acceleration.KVM: 5.0, Acceleration.TCG: 60.0}
"""Seconds for the guest, which needs less than half a second; KVM that takes longer is no use."""


def check_disks() -> Iterator[Finding]:
    """Whether images can be made and looked at."""
    with tempfile.TemporaryDirectory(prefix="slipway-check-") as directory:
        image = str(Path(directory, "image.qcow2"))
        try:
            qemu_img.create(image, 1 << 20)
            qemu_img.info(image, "qcow2")
        except SlipwayError as error:
            yield Finding("qemu-img", True, Result.FAILS, str(error), "apt-get install qemu-utils util-linux")
        else:
            yield Finding("qemu-img", True, Result.WORKS, "an image was made and looked at")


def check_machines(uri: str, state: Path) -> Iterator[Finding]:
    """Whether libvirt at that URI can be reached and guests boot there, with their files in the state directory."""
    try:
        from slipway.drivers.compute.libvirt.connection import Connection
    except ModuleNotFoundError as error:
        detail = f"the Python module {error.name} is not installed"
        yield Finding("libvirt", True, Result.FAILS, detail, "pip install 'slipway[libvirt]'")
        yield from _nothing("libvirt cannot be asked")
        return
    connection = Connection("this machine", uri)
    try:
        version = connection.ask("looking for QEMU", lambda libvirtd: int(libvirtd.getVersion()))
    except SlipwayError as error:
        yield Finding("libvirt", True, Result.FAILS, str(error), f"{_PACKAGES}, and start libvirtd")
        yield from _nothing("libvirt cannot be asked")
        return
    text = f"{uri} answers, its QEMU is {version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
    yield Finding("libvirt", True, Result.WORKS, text)
    for acceleration in Acceleration:
        yield _guest(connection, state, acceleration)


def _nothing(why: str) -> Iterator[Finding]:
    yield Finding("kvm", False, Result.UNTRIED, why)
    yield Finding("tcg", True, Result.UNTRIED, why)


def _guest(connection: Connection, state: Path, acceleration: Acceleration) -> Finding:
    from slipway.drivers.compute.libvirt.acceleration import boots

    name, needed = acceleration.name.lower(), acceleration is Acceleration.TCG
    directory = state.absolute() / "acceleration"
    within = _PATIENCE[acceleration]
    remedies = {
        "kvm": "guests run under TCG, which is many times slower; for KVM the processor's virtualization must be on",
        "tcg": f"{_PACKAGES}; QEMU must be able to read {directory}, see docs/real-machines.md",
    }
    try:
        make_directories(directory)
        with tempfile.TemporaryDirectory(prefix="check-", dir=directory) as scratch:
            booted = connection.ask(
                f"booting a guest under {name.upper()}",
                lambda libvirtd: boots(libvirtd, f"{scratch}/guest", acceleration, within=within),
                within=within + 30,
            )
    except (SlipwayError, OSError) as error:
        return Finding(name, needed, Result.FAILS, str(error), remedies[name])
    if booted:
        return Finding(name, needed, Result.WORKS, "a guest has booted")
    return Finding(name, needed, Result.FAILS, "no guest has booted", remedies[name])

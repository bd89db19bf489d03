"""A libvirtd of the tests' own, seen from the outside."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.waiting import until

PROGRAMS = (
    "qemu-system-x86_64", "qemu-img", "libvirtd", "unshare", "setpriv", "nsenter", "ip", "busybox", "cpio", "dnsmasq",
    "nft",
)  # fmt: skip


WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Before a command that must not outlive us, however we end."""


def missing() -> str | None:
    """Why there can be no real machines here."""
    if os.geteuid() != 0:
        return "real machines need root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def empty(connection: Any) -> None:
    """Destroy every machine of the hypervisor, whose ever it is."""
    import libvirt

    for domain in connection.listAllDomains():
        persistent = domain.isPersistent()
        # QEMU may end by itself meanwhile.
        with suppress(libvirt.libvirtError):
            domain.destroy()
        if persistent:
            domain.undefine()
    assert not connection.listAllDomains()


class Libvirtd:
    """The daemon in namespaces of its own; `root` should be a short path, for a socket is in it."""

    def __init__(self, root: Path, netns: str | None = None) -> None:
        """Its network namespace is the one of that name, or else a new one."""
        self.root = root
        self.socket = root / "run" / "libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        namespaces = ["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]
        network = ["unshare", "--net"] if netns is None else ["nsenter", f"--net=/run/netns/{netns}", "unshare"]
        launcher = [sys.executable, str(Path("examples/real/daemon.py").absolute()), str(root)]
        with open(root / "libvirtd.log", "wb") as log:
            self._unshare = subprocess.Popen([*WITH_US, *network, *namespaces, *launcher], stdout=log, stderr=log)
        self.wait()

    def wait(self) -> None:
        """Until it answers."""
        until(lambda: self.socket.exists() and self.daemon() and self._answers(), "libvirtd")

    def _answers(self) -> bool:
        import libvirt

        try:
            return bool(libvirt.open(self.uri).close() == 0)
        except libvirt.libvirtError:
            return False

    def daemon(self) -> psutil.Process | None:
        return next((one for one in self._processes() if one.info["name"] == "libvirtd"), None)

    def kill(self) -> None:
        """Kill the daemon; its machines live on."""
        process = self.daemon()
        assert process is not None
        process.send_signal(signal.SIGKILL)
        until(lambda: self.daemon() is None, "libvirtd's end")

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """A daemon that is there and answers nothing."""
        # Connections of the tests' own that are garbage would be closed while nobody answers.
        gc.collect()
        process = self.daemon()
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        (launcher,) = psutil.Process(self._unshare.pid).children()
        launcher.send_signal(signal.SIGUSR1)
        self.wait()

    def ensure_running(self) -> None:
        if self.daemon() is None:
            self.restart()

    def inside(self, *command: str) -> list[str]:
        """The command, to be run where the daemon is: what it leaves behind ends with the namespaces."""
        (launcher,) = psutil.Process(self._unshare.pid).children()
        return ["nsenter", "--target", str(launcher.pid), "--mount", "--pid", "--net", "--", *command]

    def machines(self, instance_id: str = "") -> list[psutil.Process]:
        """The processes of QEMU, of one instance if wanted; those that end are gone already."""
        found = [one for one in self._processes() if one.info["name"].startswith("qemu-system")]
        return [one for one in found if instance_id in " ".join(one.info["cmdline"] or ())]

    def _processes(self) -> list[psutil.Process]:
        """With name and command line as `info`: asked for later, they may be those of a process that is gone."""
        below = {one.pid for one in psutil.Process(self._unshare.pid).children(recursive=True)}
        found = psutil.process_iter(["name", "cmdline", "status"])
        return [one for one in found if one.pid in below and one.info["status"] != psutil.STATUS_ZOMBIE]

    def clear(self) -> None:
        """Destroy every machine."""
        import libvirt

        connection = libvirt.open(self.uri)
        empty(connection)
        connection.close()

    def close(self) -> None:
        """End it and all that it started."""
        self._unshare.kill()
        self._unshare.wait()

"""A libvirtd of its own, with everything that it keeps in one directory: `python daemon.py DIR`.

Run as the first process of new mount, process and network namespaces: what it starts ends with it, whoever is killed,
and nothing of the host's own libvirt is touched. SIGUSR1 starts the daemon again after it was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
namespaces = []
seccomp_sandbox = 0
"""
"""No logging daemon, no rights to take away, no control groups: what a container may not have."""


def main(root: Path) -> None:
    for there, name in (("/etc/libvirt", "etc"), ("/var/lib/libvirt", "lib"), ("/var/log/libvirt", "log"),
                        ("/var/cache/libvirt", "cache"), ("/run/libvirt", "run")):  # fmt: skip
        (root / name).mkdir(parents=True, exist_ok=True)
        Path(there).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", root / name, there], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (root / "etc" / "qemu.conf").write_text(QEMU_CONF)
    (root / "etc" / "libvirtd.conf").write_text(
        f'unix_sock_dir = "{root}/run"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\nhost_uuid = "{uuid4()}"\n'
    )
    command = ["libvirtd", "-f", f"{root}/etc/libvirtd.conf", "-p", f"{root}/run/libvirtd.pid"]
    again = [True]
    signal.signal(signal.SIGUSR1, lambda _number, _frame: again.append(True))
    while True:
        if again:
            again.pop()
            if os.fork() == 0:
                os.execvp(command[0], command)
        # The domains' processes are ours to reap: they outlive the daemon that forked them off.
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

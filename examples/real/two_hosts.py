"""Makes two hosts of this one: two network namespaces with a libvirtd each, joined by a cable.

    python examples/real/two_hosts.py up DIR       what is missing is named, and installed with --install
    slipway run examples/real/two-hosts.yaml
    python examples/real/two_hosts.py down DIR

The hosts are called hyper-a and hyper-b. Their NICs `uplink` are the ends of the cable. Each libvirtd keeps all that it
has in DIR/HOST, and listens at DIR/HOST/run/libvirt-sock; DIR must be a short path, for a socket's has 108 characters.
Nothing of this computer's own libvirt is touched, and `down` ends what `up` began, the machines among it. Needs root.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HOSTS = {"hyper-a": "172.31.255.1/30", "hyper-b": "172.31.255.2/30"}
"""Each host, and its address on the cable, over which VXLANs go."""
NIC = "uplink"
PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "libvirtd": "libvirt-daemon-system",
    "dnsmasq": "dnsmasq-base",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "busybox": "busybox-static",
    "cpio": "cpio",
}
"""What a real host needs, by a program of it, and the package of Debian's that has it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--install", action="store_true", help="install what is missing with apt-get")
    given = parser.parse_args()
    directory: Path = given.directory.absolute()
    if os.geteuid() != 0:
        print("two_hosts: needs root", file=sys.stderr)
        return 2
    if given.what == "down":
        down(directory)
        return 0
    missing = sorted({package for program, package in PACKAGES.items() if shutil.which(program) is None})
    if missing and not given.install:
        print(f"two_hosts: not installed: {' '.join(missing)}; --install does it with apt-get", file=sys.stderr)
        return 2
    if missing:
        print(f"installing {' '.join(missing)}")
        run("apt-get", "update", "-q")
        run("apt-get", "install", "-y", "-q", "--no-install-recommends", *missing)
    up(directory)
    return 0


def up(directory: Path, *, quiet: bool = False) -> None:
    """Make what is not there, wait until both daemons answer, and say where."""
    for host in HOSTS:
        if not Path("/run/netns", host).exists():
            run("ip", "netns", "add", host)
    if not all(map(_has_nic, HOSTS)):
        ends = [("name", NIC, "netns", host) for host in HOSTS]
        run("ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1])
    for host, address in HOSTS.items():
        run("ip", "-n", host, "address", "replace", address, "dev", NIC)
        run("ip", "-n", host, "link", "set", NIC, "up")
        _begin(host, directory / host)
    for host in HOSTS:
        _wait_for(directory / host)
        if not quiet:
            print(f"{host}: qemu+unix:///system?socket={directory}/{host}/run/libvirt-sock")


def down(directory: Path) -> None:
    """End both daemons with all that they started, and remove what `up` made."""
    for host in HOSTS:
        process = _running(directory / host)
        if process is not None:
            os.kill(process, signal.SIGKILL)
        if Path("/run/netns", host).exists():
            run("ip", "netns", "del", host)
        shutil.rmtree(directory / host, ignore_errors=True)


def _begin(host: str, root: Path) -> None:
    """Start the host's daemon, unless it runs: the first process of namespaces that end with it."""
    if _running(root) is not None:
        return
    root.mkdir(parents=True, exist_ok=True)
    daemon = Path(__file__).with_name("daemon.py")
    namespaces = ("--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc")
    inside = ("nsenter", f"--net=/run/netns/{host}", "unshare", *namespaces, sys.executable, str(daemon), str(root))
    with open(root / "libvirtd.log", "wb") as log:
        process = subprocess.Popen(inside, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    (root / "pid").write_text(str(process.pid))


def _running(root: Path) -> int | None:
    """The process of the host's daemon; None where it has ended, or another one has its number by now."""
    try:
        process = int((root / "pid").read_text())
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return process if str(root).encode() in command.split(b"\0") else None


def _has_nic(host: str) -> bool:
    return subprocess.run(["ip", "-n", host, "link", "show", NIC], capture_output=True, check=False).returncode == 0


def _wait_for(root: Path) -> None:
    """Until the daemon listens, for as long as there is one, and at most five minutes."""
    give_up = time.monotonic() + 300
    while not (root / "run" / "libvirt-sock").exists():
        if _running(root) is None or time.monotonic() > give_up:
            raise SystemExit(f"two_hosts: libvirtd does not begin; see {root}/libvirtd.log")
        time.sleep(0.05)


def run(*command: str) -> None:
    """Run it, or end with its own words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"two_hosts: {' '.join(command)}: {done.stderr.strip()}")


if __name__ == "__main__":
    raise SystemExit(main())

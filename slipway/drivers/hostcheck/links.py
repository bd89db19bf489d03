"""Bridges, VLANs, filters and DHCP, each tried in a network namespace of its own that is deleted at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.drivers.hostcheck.finding import Finding, Result
from slipway.errors import WiringError

PATIENCE = 10.0
"""Seconds for what takes a few milliseconds."""

_SPOOFING = """
table bridge slipway-check {
  chain c {
    type filter hook forward priority 0;
    ether saddr 02:00:00:00:00:01 ip saddr 192.0.2.1 accept
    ether type arp arp saddr ip 192.0.2.1 accept
    drop
  }
}
"""


class Failed(Exception):
    """A command could not be run, or failed; the text says why, in its own words."""


def run(*command: str, stdin: str = "") -> str:
    """What the command writes. Raises `Failed`."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError as error:
        raise Failed(f"{command[0]} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from error
    if done.returncode != 0:
        # What nft says after its first line is the rule once more.
        raise Failed(next(iter(done.stderr.split("\n")), "").strip() or f"{command[0]} ended with {done.returncode}")
    return done.stdout


NAMES = ("namespaces", "bridges", "vlan", "nftables", "connection tracking", "dnsmasq")
_OPTIONAL = ("vlan", "connection tracking")


def check_network() -> Iterator[Finding]:
    """Each check in its turn; those that need root, or what was found not to work, are not tried."""
    if os.geteuid() != 0:
        for name in NAMES:
            yield _untried(name, "only root can try it", "run it once more as root" if name == NAMES[0] else "")
        return
    name = f"slipway-check-{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
    except Failed as error:
        yield Finding("namespaces", True, Result.FAILS, str(error), "apt-get install iproute2; CAP_SYS_ADMIN is needed")
        for other in NAMES[1:]:
            yield _untried(other, "it would be tried in a network namespace")
        return
    try:
        yield Finding("namespaces", True, Result.WORKS, "one was made")
        yield from _in_namespace(name)
    finally:
        run("ip", "netns", "delete", name)


def _in_namespace(name: str) -> Iterator[Finding]:
    yield _try(
        "bridges",
        "a bridge with a tap in it was made",
        "a kernel with the modules bridge and tun",
        ("ip", "-n", name, "link", "add", "bridge0", "type", "bridge"),
        ("ip", "-n", name, "tuntap", "add", "tap0", "mode", "tap"),
        ("ip", "-n", name, "link", "set", "tap0", "master", "bridge0"),
        ("ip", "-n", name, "address", "add", "192.0.2.1/24", "dev", "bridge0"),
        ("ip", "-n", name, "link", "set", "bridge0", "up"),
    )
    yield _try(
        "vlan",
        "a sub-interface was made",
        "networks of type vlan need a kernel with the module 8021q",
        ("ip", "-n", name, "link", "add", "link", "bridge0", "name", "bridge0.5", "type", "vlan", "id", "5"),
    )
    nft = ("ip", "netns", "exec", name, "nft", "-f", "-")
    yield _try("nftables", "rules for a bridge were loaded", "apt-get install nftables", nft, stdin=_SPOOFING)
    yield _tracking(name)
    try:
        with _dnsmasq(name):
            yield Finding("dnsmasq", True, Result.WORKS, "it listened for DHCP on a bridge")
    except Failed as error:
        yield Finding("dnsmasq", True, Result.FAILS, str(error), "apt-get install dnsmasq-base")


def _try(name: str, works: str, remedy: str, *commands: Sequence[str], stdin: str = "") -> Finding:
    needed = name not in _OPTIONAL
    try:
        for command in commands:
            run(*command, stdin=stdin)
    except Failed as error:
        return Finding(name, needed, Result.FAILS, str(error), remedy)
    return Finding(name, needed, Result.WORKS, works)


def _tracking(name: str) -> Finding:
    """As the filters have it: by whichever of the kernel's two ways there is."""
    what = "connection tracking"
    try:
        from slipway.drivers.wiring.linuxbridge.nft import tracking
        from slipway.drivers.wiring.linuxbridge.ruleset import Tracking

        found = tracking(name)
    except ModuleNotFoundError as error:
        detail = f"the Python module {error.name} is not installed"
        return Finding(what, False, Result.FAILS, detail, "pip install 'slipway[libvirt]'")
    except WiringError as error:
        modules = "security groups need it: modprobe nf_conntrack_bridge, or modprobe br_netfilter"
        remedy = modules if shutil.which("nft") else "apt-get install nftables"
        return Finding(what, False, Result.FAILS, str(error), remedy)
    module = "nf_conntrack_bridge" if found is Tracking.BRIDGE else "br_netfilter"
    return Finding(what, False, Result.WORKS, f"the kernel tracks the connections of bridges by {module}")


def _untried(name: str, why: str, remedy: str = "") -> Finding:
    return Finding(name, name not in _OPTIONAL, Result.UNTRIED, why, remedy)


@contextmanager
def _dnsmasq(namespace: str) -> Iterator[None]:
    """A server that runs until the end. Raises `Failed` when it does not begin."""
    with tempfile.TemporaryDirectory(prefix="slipway-check-") as directory:
        ready, said = Path(directory, "pid"), Path(directory, "said")
        files = [f"--pid-file={ready}", f"--dhcp-leasefile={directory}/leases", "--conf-file=/dev/null", "--user=root"]
        what = ["--interface=bridge0", "--bind-interfaces", "--port=0", "--dhcp-range=192.0.2.10,192.0.2.20"]
        command = ["ip", "netns", "exec", namespace, "dnsmasq", "--keep-in-foreground", *files, *what]
        with open(said, "wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            give_up = time.monotonic() + PATIENCE
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise Failed(said.read_text(errors="replace").strip() or "dnsmasq did not begin to listen")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait()

"""Hosts that are network namespaces with a libvirtd each, and what is to be found on them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psutil

from tests.conftest import Guest
from tests.host.libvirtd import Libvirtd

NIC = "uplink"
"""The end of the cable between the two."""

Things = dict[str, list[str]]
"""What there is, by kind, in words that tell it from others."""


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class NetworkHost:
    """A network namespace that is a host; `name` is that of both."""

    name: str

    def ip(self, *arguments: str) -> str:
        return run("ip", "-n", self.name, *arguments)

    def links(self) -> list[str]:
        found = json.loads(self.ip("-json", "-details", "link"))
        return sorted(
            " ".join(str(link.get(key, "")) for key in ("ifname", "ifalias", "master"))
            + f" {link.get('linkinfo', {}).get('info_kind', '')} {'UP' in link['flags']}"
            for link in found
        )

    def rules(self) -> list[str]:
        return run("ip", "netns", "exec", self.name, "nft", "list", "ruleset").splitlines()

    def namespaces(self) -> list[str]:
        """Those of its DHCP servers and routers: their names end with a digest of the host's."""
        mark = hashlib.sha256(self.name.encode()).hexdigest()[:8]
        return sorted(path.name for path in Path("/run/netns").iterdir() if path.name.endswith(mark))

    def machines(self) -> list[str]:
        """Domains and the processes of QEMU."""
        return []

    def clear(self) -> None:
        """End what a test has left: another one may have the host next, and some of it would outlive the namespace."""
        # Again, for a supervisor may have started another server.
        while found := [*_serving(f"/dhcp/{self.name}/"), *_serving(f"/routers/{self.name}/")]:
            for one in found:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        for name in self.namespaces():
            run("ip", "netns", "del", name)
        if not Path("/run/netns", self.name).exists():
            return
        self.flush()
        for link in self.links():
            if link.startswith(("tap", "brq", "vxlan-")):
                self.ip("link", "del", link.split(" ", 1)[0])

    def flush(self) -> None:
        """Delete the tables of nftables that are ours, of whichever family."""
        for rule in self.rules():
            if table := re.fullmatch(r"table (\w+) (slipway-\S+) {", rule):
                run("ip", "netns", "exec", self.name, "nft", "delete", "table", *table.groups())


@dataclass(frozen=True)
class RealHost(NetworkHost):
    """One with a libvirtd in it."""

    libvirtd: Libvirtd

    def entry(self, says: str = "") -> str:
        """Its entry in a run file."""
        drivers = "compute: libvirt, disks: qcow2, wiring: linuxbridge, accel: tcg"
        where = f'uri: "{self.libvirtd.uri}", netns: {self.name}, physical_nic: {NIC}'
        return f"{self.name}: {{vcpus: 8, memory: 64GiB, disk: 1TiB, {drivers}, {where}{says}}}"

    def file(self, guest: Guest, more: str = "") -> str:
        """A run file with an instance that has one NIC, and `more` in its entry."""
        return f"""
schema: 1
hosts: {{{self.entry()}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.9.0.0/24}}}}}}}}
flavors: {{tiny: {{vcpus: 1, memory: 64MiB, disk: 1GiB}}}}
images: {{guest: {{{guest.image}}}}}
instances: {{one: {{flavor: tiny, image: guest, networks: [net]{more}}}}}
"""

    def domains(self) -> list[str]:
        import libvirt

        connection = libvirt.open(self.libvirtd.uri)
        try:
            return sorted(domain.name() for domain in connection.listAllDomains())
        finally:
            connection.close()

    def machines(self) -> list[str]:
        return [*self.domains(), *map(str, self.libvirtd.machines())]

    def clear(self) -> None:
        """Its machines too."""
        self.libvirtd.ensure_running()
        self.libvirtd.clear()
        super().clear()


def things(hosts: Sequence[NetworkHost], state: Path) -> Things:
    """All that a build may leave on the hosts or in the state directory."""
    found = {
        "processes": sorted(" ".join(one.info["cmdline"]) for one in processes(state)),
        "files": sorted(str(path.relative_to(state)) for path in state.rglob("*") if _is_an_instance_s(path)),
    }
    for host in hosts:
        found |= {
            f"links of {host.name}": host.links(),
            f"rules of {host.name}": host.rules(),
            f"machines of {host.name}": host.machines(),
            f"namespaces of {host.name}": host.namespaces(),
        }
    return found


def _is_an_instance_s(path: Path) -> bool:
    """Not the record, nor what is kept for the next one."""
    kept = path.parent.name == "images" or path.name.startswith(("slipway.db", "state-id", ".lock", "version.json"))
    return path.is_file() and not kept


def processes(state: Path) -> list[psutil.Process]:
    """DHCP servers, routers' and their supervisors: they have the state directory in their command lines."""
    return [*_serving(f"{state}/dhcp/"), *_serving(f"{state}/routers/")]


def _serving(where: str) -> list[psutil.Process]:
    """With name and command line as `info`: asked for later, they may be those of a process that is gone."""
    found = psutil.process_iter(["name", "cmdline"])
    return [one for one in found if where in " ".join(one.info["cmdline"] or ())]


@contextmanager
def two_hosts() -> Iterator[tuple[RealHost, RealHost]]:
    """Two hosts joined by a cable, with addresses on it over which VXLANs go."""
    tag = uuid4().hex[:6]
    names = f"slp-{tag}-a", f"slp-{tag}-b"
    with ExitStack() as stack:
        for name in names:
            run("ip", "netns", "add", name)
            stack.callback(run, "ip", "netns", "del", name)
        ends = [("name", NIC, "netns", name) for name in names]
        run("ip", "link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        hosts = []
        for number, name in enumerate(names, 1):
            run("ip", "-n", name, "address", "add", f"172.31.255.{number}/30", "dev", NIC)
            run("ip", "-n", name, "link", "set", NIC, "up")
            # In a short path, for sockets are in it.
            directory = stack.enter_context(
                TemporaryDirectory(prefix="slipway-", dir="/tmp", ignore_cleanup_errors=True)
            )
            libvirtd = Libvirtd(Path(directory), name)
            stack.callback(libvirtd.close)
            hosts.append(RealHost(name, libvirtd))
        yield hosts[0], hosts[1]

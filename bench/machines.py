"""From the command to the lease: Slipway, `virsh create` of a ready XML, virt-install; and many guests at once.

Slipway takes part twice: as the command, and embedded in a Python program that has it open.

The same guest, kernel, devices and accelerator on the same warm libvirtd (`virsh` gets the XML that Slipway wrote), and
the same to be set up each time: a disk, a bridge, a tap, the filters at it, a DHCP server in a namespace of its own
with one entry. By hand these are `qemu-img`, `ip`, `nft` (with the rules that Slipway made) and `dnsmasq` commands, one
after the other. The lease is what the guest writes of itself to its serial port.
Needs root and what `examples/real/two_hosts.py` needs; virt-install takes part where it is installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from lxml import etree

from bench.common import TMPFS, as_installed, in_turn, scratch, table, tell
from examples.real import guest, two_hosts
from slipway import Orchestrator, load
from slipway.model.record import Event
from slipway.operations.batch import Status

HOST = "hyper-a"
MEMORY = 128
"""MiB of the guest."""
BRIDGE, TAP, SERVER, SPACE = "bench-br", "bench-tap", "bench-dhcp", "bench-dhcp"
MAC, ADDRESS = "fa:16:3e:99:00:05", "10.99.0.5"
LEASE = "slipway-guest: nic "
BOOT = "console=ttyS0 quiet"

SLIPWAY, EMBEDDED, VIRSH, INSTALL = "slipway run", "slipway, embedded", "virsh create", "virt-install"


@dataclass(frozen=True)
class Place:
    """Where it all happens: a host of `two_hosts`, a guest to boot, and a directory."""

    directory: Path
    kernel: Path
    initrd: Path
    accel: str

    @property
    def ready(self) -> Path:
        """The XML of the guest as Slipway wrote it last."""
        return self.directory / "ready.xml"

    @property
    def rules(self) -> Path:
        """The filters at the tap of the guest that is started by hand."""
        return self.directory / "ready.nft"

    @property
    def disk(self) -> Path:
        """The disk of the guest that is started by hand."""
        return self.directory / "bench.qcow2"

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.directory}/{HOST}/run/libvirt-sock"

    def run_file(self, count: int) -> Path:
        host = f'compute: libvirt, disks: qcow2, wiring: linuxbridge, netns: {HOST}, uri: "{self.uri}"'
        path = self.directory / "machines.yaml"
        nic = "{port: one}" if count == 1 else "bench"
        path.write_text(f"""
schema: 1
hosts:
  {HOST}: {{vcpus: 64, memory: 64GiB, disk: 1TiB, accel: {self.accel}, {host}}}
networks:
  bench:
    subnets: {{bench-v4: {{cidr: 10.99.0.0/24}}}}
    ports: {{one: {{mac_address: "{MAC}", fixed_ip: {ADDRESS}}}}}
flavors: {{tiny: {{vcpus: 1, memory: {MEMORY}MiB, disk: 1GiB}}}}
images: {{guest: {{kernel: {self.kernel}, initrd: {self.initrd}, cmdline: "{BOOT}"}}}}
instances: {{web: {{flavor: tiny, image: guest, networks: [{nic}], count: {count}}}}}
""")
        return path


@dataclass
class Measured:
    """Seconds of one start: until the lease, until the command came back, and of each step where they are known."""

    lease: float
    command: float
    steps: Mapping[str, float] = field(default_factory=dict)

    @property
    def own(self) -> float:
        """What is neither libvirt's create nor the guest's boot."""
        return self.command - self.steps.get("spawn", 0.0) - self.steps.get("wait", 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.machines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each starts a guest (default 5)")
    parser.add_argument("--guests", type=int, default=8, help="how many at once in the end (default 8)")
    parser.add_argument("--accel", choices=("tcg", "kvm"), default="tcg", help="how guests run (default tcg)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    with scratch(TMPFS) as directory:
        place = Place(directory, *guest.make(directory / "guest"), options.accel)
        two_hosts.up(directory, quiet=True)
        try:
            with Orchestrator(directory / "embedded") as orchestrator:
                results = _measured(place, options, orchestrator)
        finally:
            two_hosts.down(directory)
    tell(results, _text(results), as_json=options.json)


def _measured(place: Place, options: argparse.Namespace, orchestrator: Orchestrator) -> dict[str, Any]:
    contestants: dict[str, Callable[[], Measured]] = {
        SLIPWAY: lambda: _slipway(place),
        EMBEDDED: lambda: _embedded(place, orchestrator),
        VIRSH: lambda: _virsh(place),
    }
    if shutil.which(INSTALL):
        contestants[INSTALL] = lambda: _virt_install(place)
    # It writes the XML that virsh starts.
    _slipway(place)
    times: dict[str, list[Measured]] = {name: [] for name in contestants}
    for number, name in in_turn(list(contestants), options.rounds):
        measured = contestants[name]()
        if number >= 0:
            times[name].append(measured)
    ours = times[SLIPWAY]
    return {
        "contestants": {
            name: {
                "lease": statistics.median(one.lease for one in mine),
                "command": statistics.median(one.command for one in mine),
                "to slipway": statistics.median(a.lease / b.lease for a, b in zip(mine, ours, strict=True)),
            }
            for name, mine in times.items()
        },
        "steps": {
            name: {step: statistics.median(one.steps[step] for one in mine) for step in ours[0].steps}
            | {"all but spawn and wait": statistics.median(one.own for one in mine)}
            for name, mine in times.items()
            if name in (SLIPWAY, EMBEDDED)
        },
        "guests": options.guests,
        "all leases": _slipway(place, options.guests).lease,
    }


def _text(results: Mapping[str, Any]) -> str:
    rows = [[name, *figures.values()] for name, figures in results["contestants"].items()]
    parts = [
        table(["seconds", "until the lease", "until it came back", "to slipway run"], rows),
        table(["seconds", *results["steps"]], [[step, *_across(results, step)] for step in results["steps"][SLIPWAY]]),
        f"{results['guests']} guests at once have their leases after {results['all leases']:.1f} s.",
    ]
    return "\n\n".join(parts)


def _across(results: Mapping[str, Any], step: str) -> list[float]:
    return [steps[step] for steps in results["steps"].values()]


# --- slipway ------------------------------------------------------------------------------------------------------


def _slipway(place: Place, count: int = 1) -> Measured:
    file, state = place.run_file(count), place.directory / "state"
    command = [sys.executable, "-c", "from slipway.cli.main import main; main()"]
    ending = ["--state", str(state), "--output", "json"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "run", str(file), "--parallel", str(count), *ending],
        capture_output=True,
        text=True,
        check=False,
        env=as_installed(),
    )
    came_back = time.monotonic() - began
    try:
        if done.returncode:
            sys.exit(f"slipway run ended with {done.returncode}: {done.stdout}{done.stderr}")
        lease = _leased(_logs(state, count), began)
        _keep(place, next((state / "instances" / HOST).glob("*.xml")))
    finally:
        gone = subprocess.run([*command, "destroy", str(file), *ending], capture_output=True, text=True, check=False)
    if gone.returncode:
        sys.exit(f"slipway destroy ended with {gone.returncode}: {gone.stdout}{gone.stderr}")
    shutil.rmtree(state)
    told = (event for event in map(json.loads, done.stdout.splitlines()) if event.get("step"))
    return Measured(lease, came_back, _steps((e["event"], e["step"], datetime.fromisoformat(e["at"])) for e in told))


def _embedded(place: Place, orchestrator: Orchestrator) -> Measured:
    events: list[Event] = []
    began = time.monotonic()
    file = load(place.run_file(1))
    try:
        result = orchestrator.run(file, on_event=events.append)
        came_back = time.monotonic() - began
        if any(ended.status is not Status.BUILT for ended in result.ended):
            sys.exit(f"slipway, embedded: {result.ended}")
        lease = _leased(_logs(place.directory / "embedded", 1), began)
    finally:
        orchestrator.destroy(file)
    return Measured(lease, came_back, _steps((event.type, event.step, event.at) for event in events if event.step))


def _keep(place: Place, xml: Path) -> None:
    """What virsh and nft are given later: the XML, and the rules with the names of the bridge and tap made by hand."""
    shutil.copy(xml, place.ready)
    (bridge,) = (
        link["ifname"] for link in json.loads(_run(["ip", "-n", HOST, "-j", "link", "show", "type", "bridge"]))
    )
    (tap,) = (target.get("dev") for target in etree.parse(xml).iterfind("devices/interface/target"))
    rules = _run(["ip", "netns", "exec", HOST, "nft", "list", "ruleset"])
    place.rules.write_text(rules.replace(bridge, BRIDGE).replace(tap, TAP))


def _logs(state: Path, count: int) -> Sequence[Path]:
    logs = list((state / "instances" / HOST).glob("*.log"))
    assert len(logs) == count, logs
    return logs


def _steps(told: Iterable[tuple[str, str, datetime]]) -> dict[str, float]:
    """Seconds of each step of one instance; what comes before the first one is the command's own start."""
    begun: dict[str, datetime] = {}
    steps: dict[str, float] = {}
    for event, step, at in told:
        if event == "step.start":
            begun[step] = at
        elif event == "step.end":
            steps[step] = steps.get(step, 0.0) + (at - begun[step]).total_seconds()
    return steps


def _leased(logs: Sequence[Path], began: float) -> float:
    """Seconds until each guest has said that it has an address."""
    give_up = time.monotonic() + 120
    waiting = list(logs)
    while waiting:
        waiting = [log for log in waiting if not _has_lease(log)]
        if time.monotonic() > give_up:
            sys.exit(f"no lease within 120 s: {waiting[0].read_text(errors='replace')[-500:]}")
        time.sleep(0.01)
    return time.monotonic() - began


def _has_lease(log: Path) -> bool:
    with suppress(FileNotFoundError):
        text = log.read_text(errors="replace")
        return any(LEASE in line and "10.99.0." in line for line in text.splitlines())
    return False


# --- by hand ------------------------------------------------------------------------------------------------------


def _by_hand(place: Place, start: Sequence[str], stop: Sequence[str], log: Path) -> Measured:
    """Set the network up, start the guest, wait for its lease, and take all of it back."""
    log.unlink(missing_ok=True)
    pid = place.directory / "dnsmasq.pid"
    began = time.monotonic()
    for command in _network_up(place, pid):
        _run(command)
    try:
        _run(start)
        came_back = time.monotonic() - began
        lease = _leased([log], began)
        _run(stop)
    finally:
        _run(["kill", pid.read_text().strip()])
        _run(["ip", "netns", "del", SPACE])
        _run(["ip", "-n", HOST, "link", "del", TAP])
        _run(["ip", "-n", HOST, "link", "del", BRIDGE])
        _run(["ip", "netns", "exec", HOST, "nft", "flush", "ruleset"])
    return Measured(lease, came_back)


def _network_up(place: Place, pid: Path) -> list[list[str]]:
    here = ["ip", "-n", HOST]
    there = ["ip", "-n", SPACE]
    served = ["--interface=ns-bench", "--bind-interfaces", "--except-interface=lo", "--no-hosts", "--no-resolv"]
    leases = ["--dhcp-range=10.99.0.0,static,255.255.255.0", f"--dhcp-host={MAC},{ADDRESS}", "--dhcp-authoritative"]
    shown_to_ip = ["nf_call_iptables", "1", "nf_call_ip6tables", "1"]
    files = [f"--pid-file={pid}", f"--dhcp-leasefile={place.directory}/dnsmasq.leases", "--conf-file=/dev/null"]
    return [
        ["qemu-img", "create", "-q", "-f", "qcow2", str(place.disk), "1G"],
        [*here, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0", *shown_to_ip],
        [*here, "link", "set", BRIDGE, "up"],
        [*here, "tuntap", "add", TAP, "mode", "tap"],
        [*here, "link", "set", TAP, "master", BRIDGE, "up"],
        ["ip", "netns", "exec", HOST, "nft", "-f", str(place.rules)],
        ["ip", "netns", "add", SPACE],
        [*here, "link", "add", SERVER, "type", "veth", "peer", "name", "ns-bench", "netns", SPACE],
        [*here, "link", "set", SERVER, "master", BRIDGE, "up"],
        [*there, "address", "add", "10.99.0.2/24", "dev", "ns-bench"],
        [*there, "link", "set", "ns-bench", "up"],
        ["ip", "netns", "exec", SPACE, "dnsmasq", "--port=0", *served, *leases, *files],
    ]


def _virsh(place: Place) -> Measured:
    log, xml = place.directory / "virsh.log", place.directory / "virsh.xml"
    domain = etree.parse(place.ready).getroot()
    for path, attribute, value in (
        ("devices/disk/source", "file", str(place.disk)),
        ("devices/interface/mac", "address", MAC),
        ("devices/interface/target", "dev", TAP),
        ("devices/serial/log", "file", str(log)),
    ):
        (element,) = domain.iterfind(path)
        element.set(attribute, value)
    for path, text in (("name", "bench-virsh"), ("uuid", str(uuid.uuid4()))):
        (element,) = domain.iterfind(path)
        element.text = text
    xml.write_bytes(etree.tostring(domain))
    virsh = ["virsh", "-q", "-c", place.uri]
    return _by_hand(place, [*virsh, "create", str(xml)], [*virsh, "destroy", "bench-virsh"], log)


def _virt_install(place: Place) -> Measured:
    log = place.directory / "install.log"
    start = [
        *(INSTALL, "--connect", place.uri, "--name", "bench-install", "--memory", str(MEMORY), "--vcpus", "1"),
        *("--virt-type", _type(place), "--machine", "q35", "--osinfo", "linux2022"),
        *("--disk", f"path={place.disk},format=qcow2,bus=virtio"),
        *("--import", "--transient", "--boot", f"kernel={place.kernel},initrd={place.initrd},kernel_args={BOOT}"),
        *("--network", f"type=ethernet,mac={MAC},target.dev={TAP},model=virtio"),
        *("--xml", "./devices/interface/target/@managed=no"),
        *("--serial", f"file,path={log}", "--noautoconsole"),
        *("--graphics", "vnc,listen=127.0.0.1", "--video", "vga", "--rng", "/dev/urandom"),
    ]
    stop = ["virsh", "-q", "-c", place.uri, "destroy", "bench-install"]
    return _by_hand(place, start, stop, log)


def _type(place: Place) -> str:
    return "kvm" if place.accel == "kvm" else "qemu"


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()

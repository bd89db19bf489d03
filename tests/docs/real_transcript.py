"""docs/transcript-real.md: day two of two real hosts, as it is typed, with what it says.

`python -m tests.docs.real_transcript` writes it anew, as root, in some minutes; a slow test types all of it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from click.testing import CliRunner

from slipway.cli.main import main
from tests.conftest import Guest, make_guest
from tests.docs.transcript import plain
from tests.host.hosts import RealHost, processes, run, two_hosts
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "transcript-real.md"

HEAD = """# A day with two real hosts

Every command below was typed in this order, on `examples/real/two-hosts.yaml` with two libvirtds, each in a network
namespace of its own, and guests that had booted. Times, durations and ids are replaced; `$A` and `$B` are the URIs of
the hosts' libvirts, and what does not begin with `slipway` is somebody's hand. `python -m tests.docs.real_transcript`
writes this page anew.
"""


@dataclass
class World:
    """The two hosts, where the page is typed, and what was said so far."""

    hosts: dict[str, RealHost]
    said: list[str] = field(default_factory=list)
    codes: list[tuple[str, int]] = field(default_factory=list)
    state: Path = Path("state")

    def slipway(self, command: str) -> None:
        """Type it."""
        environment = {"SLIPWAY_STATE": str(self.state), "COLUMNS": "120", "NO_COLOR": "1"}
        done = CliRunner().invoke(main, shlex.split(command), prog_name="slipway", env=environment)
        self.codes.append((command, done.exit_code))
        code = f"\n(exit code {done.exit_code})" if done.exit_code else ""
        self.tell(f"slipway {command}", f"{done.output.strip()}{code}")

    def tell(self, command: str, said: str = "") -> None:
        """Write down a command, and what it said."""
        lines = [f"$ {command}", *said.splitlines()]
        text = self._plain("\n".join(lines))
        self.said.append("".join(f"    {line}".rstrip() + "\n" for line in text.splitlines()))
        print(self.said[-1], file=sys.stderr)

    def _plain(self, text: str) -> str:
        for (name, host), variable in zip(self.hosts.items(), ("$A", "$B"), strict=True):
            text = text.replace(host.libvirtd.uri, variable).replace(host.name, name)
        text = plain(text.replace(f"{Path.cwd()}/", ""))
        for drawn, instead in _DRAWN:
            text = drawn.sub(instead, text)
        return text

    def shown(self, name: str = "web-1") -> dict[str, object]:
        done = CliRunner().invoke(main, ["show", name, "--output", "json"], env={"SLIPWAY_STATE": str(self.state)})
        found: dict[str, object] = json.loads(done.stdout)
        return found

    @property
    def id(self) -> str:
        return str(self.shown()["id"])

    @property
    def here(self) -> str:
        """The host of web-1."""
        return str(self.shown()["host"])

    @property
    def there(self) -> str:
        return next(name for name in self.hosts if name != self.here)

    @property
    def host(self) -> RealHost:
        return self.hosts[self.here]

    @property
    def domain(self) -> str:
        return f"web-1-{self.id[:8]}"

    def ports(self) -> Sequence[dict[str, Any]]:
        done = CliRunner().invoke(main, ["port", "list", "--output", "json"], env={"SLIPWAY_STATE": str(self.state)})
        return [one for one in json.loads(done.stdout) if one["device_id"] == self.id]

    def virsh(self, command: str) -> None:
        words = ["virsh", "-c", self.host.libvirtd.uri, *shlex.split(command)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        self.tell(shlex.join(words).replace(f"'{self.host.libvirtd.uri}'", self.host.libvirtd.uri))

    def hand(self, command: str) -> None:
        """A command of the host's own."""
        run(*shlex.split(command))
        self.tell(command)

    def until_booted(self, name: str = "web-1") -> None:
        """Wait, as nobody at a terminal would have to be told."""

        def ready() -> bool:
            done = CliRunner().invoke(main, ["console", name], env={"SLIPWAY_STATE": str(self.state)})
            return "slipway-guest: ready" in done.output

        until(ready, f"the guest of {name}")


_DRAWN = (
    (re.compile(r"\bweb-(\d)-[0-9a-f]{8}\b"), r"web-\1-ID"),
    # In the columns of a table what follows stays where it was.
    (re.compile(r"\b(tapx?|brq)[0-9a-f]{8}-[0-9a-f]{2}  "), r"\1ID           "),
    (re.compile(r"\b(tapx?|brq)[0-9a-f]{8}-[0-9a-f]{2}\b"), r"\1ID"),
    (re.compile(r"\bfa:16:3e(:[0-9a-f]{2}){3}  "), f"{'MAC':<19}"),
    (re.compile(r"\bfa:16:3e(:[0-9a-f]{2}){3}\b"), "MAC"),
    (re.compile(r"^ +\d+\.\d{3}(?=  )", re.MULTILINE), f"{'T':>6}"),
)

Step = str | Callable[[World], None]
BOOTED: Step = lambda world: world.until_booted()  # noqa: E731
"""It takes some seconds."""


def typed(text: str) -> Step:
    """A command with what is known only then: {there}, {domain}, {id}, {address}, {mac}, {tap}."""

    def step(world: World) -> None:
        words = _known(world, text)
        if words.startswith("virsh "):
            world.virsh(words.removeprefix("virsh "))
        elif words.startswith("slipway "):
            world.slipway(words.removeprefix("slipway "))
        else:
            world.hand(words)

    return step


def _known(world: World, text: str) -> str:
    port = world.ports()[-1]
    return text.format(
        there=world.there,
        domain=world.domain,
        id=world.id,
        address=port["fixed_ips"][0]["ip_address"],
        mac=port["mac_address"],
        tap=f"tap{str(port['id'])[:11]}",
        netns=world.host.name,
        here=world.here,
    )


def killed_stop(world: World) -> None:
    """A worker that dies in the middle of a stop."""
    words = [sys.executable, "-c", "from slipway.cli.main import main; main()", "stop", "web-1"]
    environment = {**os.environ, "SLIPWAY_STATE": str(world.state)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: world.shown()["task_state"] is not None, "the stop to begin")
        process.send_signal(signal.SIGKILL)
    world.tell("slipway stop web-1 & kill -KILL $!")


def restarted(world: World) -> None:
    """All that is gone when a host was switched off and on, but its disks and libvirt's definitions."""
    world.virsh(f"destroy {world.domain}")
    world.said.pop()
    host = world.host
    host.flush()
    for one in processes(world.state.absolute()):
        if f"/dhcp/{world.here}/" in " ".join(one.info["cmdline"]):
            with suppress(psutil.NoSuchProcess):
                one.kill()
    for name in host.namespaces():
        run("ip", "netns", "del", name)
    for link in host.links():
        if link.startswith(("tap", "brq", "vxlan-")):
            with suppress(subprocess.CalledProcessError):
                host.ip("link", "del", link.split(" ", 1)[0])
    world.tell(f"# {world.here} is switched off, and on again: guests, bridges, taps, rules and DHCP servers are gone")


FOUND: tuple[Step, ...] = ("audit", "repair --yes", "audit")

PARTS: tuple[tuple[str, tuple[Step, ...]], ...] = (
    ("Build", ("run two-hosts.yaml", "list", BOOTED, lambda world: world.until_booted("web-2"))),
    (
        "Attach, detach, grow",
        (
            "attach-interface web-1 --network back",
            typed("slipway detach-interface web-1 --nic {address}"),
            "attach-disk web-1 --size 1GiB",
            "grow-disk web-1 --disk vdc --size 2GiB",
            "show web-1",
            "detach-disk web-1 --disk vdc",
        ),
    ),
    (
        "Keep",
        (
            "snapshot create web-1 before",
            "snapshot list web-1",
            "snapshot restore web-1 before --yes",
            "snapshot delete web-1 before",
            BOOTED,
        ),
    ),
    (
        "Move",
        (
            typed("slipway move web-1 --to {there} --yes"),
            "delete web-2",
            typed("slipway move web-1 --to {there} --live"),
            typed("slipway move web-1 --to {there} --yes"),
            BOOTED,
            "audit",
        ),
    ),
    ("virsh suspend", (typed("virsh suspend {domain}"), *FOUND)),
    ("virsh undefine and destroy", (typed("virsh undefine {domain}"), typed("virsh destroy {domain}"), *FOUND, BOOTED)),
    ("A NIC detached by virsh", (typed("virsh detach-interface {domain} ethernet --mac {mac} --persistent"), *FOUND)),
    ("Memory changed by virsh", (typed("virsh setmem {domain} 65536 --config"), *FOUND)),
    ("virsh edit", (lambda world: edited(world), *FOUND)),
    ("Our element removed", (typed("virsh metadata {domain} urn:slipway:instance:1 --remove --config"), *FOUND)),
    ("Started by libvirt", (typed("virsh autostart {domain}"), *FOUND)),
    ("A tap deleted", (typed("ip -n {netns} link del {tap}"), *FOUND)),
    ("A DHCP server's leases deleted", (typed("find state/dhcp -name leases -delete"), *FOUND)),
    ("All of its files deleted", (typed("rm -r state/dhcp/{here}"), *FOUND)),
    (
        "A disk deleted under a guest that runs",
        (
            typed("rm state/disks/{here}/{id}-0.qcow2"),
            "audit",
            "reboot web-1",
            "repair --yes",
            "stop web-1 --force",
            "repair --yes",
            "start web-1",
            BOOTED,
            "audit",
        ),
    ),
    (
        "A kernel moved",
        (
            "!mv guest/vmlinuz guest/vmlinuz.away",
            "audit",
            "reboot web-1",
            "!mv guest/vmlinuz.away guest/vmlinuz",
            "audit",
        ),
    ),
    ("A worker killed", (killed_stop, *FOUND, "start web-1", BOOTED)),
    ("A host started anew", (restarted, "audit", "up", "audit")),
    ("Take it back", ("destroy two-hosts.yaml", "audit")),
)


def edited(world: World) -> None:
    """The tap's name, as an editor changes it."""
    editor = "sed -i s/tap/tapx/"
    words = ["virsh", "-c", world.host.libvirtd.uri, "edit", world.domain]
    subprocess.run(words, env={**os.environ, "EDITOR": editor}, check=True, capture_output=True)
    world.tell(f"EDITOR='{editor}' {' '.join(words)}")


def page(guest: Guest) -> tuple[str, Sequence[tuple[str, int]]]:
    """The text, by typing all of it, and each command with its exit code."""
    with tempfile.TemporaryDirectory() as directory, two_hosts() as (a, b):
        before = Path.cwd()
        os.chdir(directory)
        world = World({"hyper-a": a, "hyper-b": b})
        try:
            Path("guest").mkdir()
            shutil.copy(guest.kernel, "guest/vmlinuz")
            shutil.copy(guest.initrd, "guest/initrd.gz")
            Path("two-hosts.yaml").write_text(_example(world))
            text = "\n".join([HEAD, *_parts(world)])
        finally:
            os.chdir(before)
            for host in (a, b):
                host.clear()
    return text, world.codes


def _example(world: World) -> str:
    text = (ROOT / "examples" / "real" / "two-hosts.yaml").read_text()
    for name, host in world.hosts.items():
        text = re.sub(rf"qemu\S*/{name}/run/libvirt-sock", host.libvirtd.uri, text)
        text = text.replace(f"netns: {name}", f"netns: {host.name}")
    return text.replace("../../demo/guest", "guest")


def _parts(world: World) -> Iterator[str]:
    for title, steps in PARTS:
        world.said.clear()
        for step in steps:
            if callable(step):
                step(world)
            elif step.startswith("!"):
                world.hand(step[1:])
            else:
                world.slipway(step)
        yield f"## {title}\n"
        yield from world.said


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        PAGE.write_text(page(make_guest(Path(made)))[0])

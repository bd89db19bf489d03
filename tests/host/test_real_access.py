"""A guest that people reach from its host: its console, SSH, its ports, its screen. One guest for all of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.drivers.wiring.linuxbridge.reach import dial
from slipway.errors import ConsoleUnavailable
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.cli.conftest import Terminal
from tests.conftest import BOOT, Guest
from tests.host.hosts import RealHost
from tests.host.reachable import PAGE, Reachable, missing, reachable
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.host

COMMAND = str(Path(sys.executable).with_name("slipway"))


@dataclass
class Site:
    """An instance whose guest has booted."""

    orchestrator: Orchestrator
    host: RealHost
    state: Path
    guest: Reachable

    def slipway(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, *arguments],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=self.env,
        )

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "SLIPWAY_STATE": str(self.state), "HOME": str(self.state.parent)}

    def terminal(self, *arguments: str) -> Terminal:
        return Terminal(arguments, {**self.env, "TERM": "xterm"}, rows=24, columns=120)


@pytest.fixture(scope="module")
def site(
    real_hosts: tuple[RealHost, RealHost], guest: Guest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    if reason := missing():
        pytest.skip(reason)
    host, made = real_hosts[0], reachable(guest)
    state = tmp_path_factory.mktemp("access") / "state"
    file = loads(
        f"""
schema: 1
hosts: {{{host.entry()}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.9.0.0/24}}}}}}}}
security_groups: {{open: {{rules: [{{protocol: tcp, ports: "22-80", from: 10.9.0.0/24}}]}}}}
flavors: {{tiny: {{vcpus: 1, memory: 192MiB, disk: 1GiB}}}}
images: {{guest: {{{made.guest.image.replace(BOOT, f"{BOOT} quiet")}}}}}
instances: {{one: {{flavor: tiny, image: guest, networks: [net], security_groups: [open]}}}}
settings: {{max_attempts: 1}}
""",
        "access.yaml",
    )
    with Orchestrator(state, settings=file.settings) as orchestrator:
        orchestrator.run(file)
        try:
            until(lambda: b"END SSH HOST KEY" in b"".join(orchestrator.console("one")), "the guest's keys")
            yield Site(orchestrator, host, state, made)
        finally:
            orchestrator.destroy(file)
            host.clear()


@pytest.fixture
def terminal(site: Site) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def begin(*arguments: str) -> Terminal:
        opened.append(site.terminal(*arguments))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


def test_a_console_is_typed_at_and_left_by_a_key(site: Site, terminal: Callable[..., Terminal]) -> None:
    console = terminal("console", "one")
    console.wait_for("Ctrl-] leaves it")
    console.press("\recho $((6 * 7))-ok\r")
    console.wait_for("42-ok")
    with pytest.raises(ConsoleUnavailable, match=r"instance one: somebody has the console .* --force"):
        site.orchestrator.access.open_console("one")
    taken = terminal("console", "one", "--force")
    console.wait_for("is no more: its domain has ended, or somebody else has taken it")
    assert console.wait() == 0
    taken.press("\recho $((7 * 7))-ok\r")
    taken.wait_for("49-ok")
    taken.press("\x1d")
    taken.wait_for("The console of one was left.")
    assert taken.wait() == 0
    assert "49-ok" in site.slipway("console", "one", "--lines", "5").stdout
    again = site.orchestrator.access.open_console("one")
    again.close()


def test_a_shell_and_files_by_ssh_from_a_guest_that_is_known(site: Site, tmp_path: Path) -> None:
    """By the key that its console tells; another one in its place is refused."""
    key = ("--identity", str(site.guest.key))
    done = site.slipway("ssh", "one", *key, "--", "sh", "-c", "echo to the guest; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "to the guest\n", "")
    instance = site.orchestrator.show("one").instance
    known = site.state / "known_hosts"
    assert known.read_text() == f"{instance.id} {site.guest.host_key}\n"
    assert known.stat().st_mode & 0o777 == 0o600

    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a file").write_text("of ours")
    assert site.slipway("cp", *key, "-r", str(tmp_path / "there"), "one:/tmp/").returncode == 0
    done = site.slipway("cp", *key, "one:/tmp/there/a file", str(tmp_path / "back"))
    assert (done.returncode, done.stderr, (tmp_path / "back").read_text()) == (0, "", "of ours")
    assert site.slipway("cp", str(tmp_path / "back"), "one:/tmp/", "two:/tmp/").returncode == 2

    other = another_key(tmp_path)
    assert site.orchestrator.access.host_keys(instance) == (site.guest.host_key,)
    known.write_text(f"{instance.id} {other}\n")
    # What the console tells counts more than what was kept.
    assert site.slipway("ssh", "one", *key, "--", "true").returncode == 0
    assert site.guest.host_key in known.read_text()


def another_key(directory: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / "other"], check=True)
    return " ".join((directory / "other.pub").read_text().split()[:2])


def test_an_agent_tells_the_key_where_the_console_does_not(site: Site) -> None:
    instance = site.orchestrator.show("one").instance
    (log,) = site.state.rglob("*.log")
    before = log.read_bytes()
    log.write_bytes(b"nothing")
    (site.state / "known_hosts").unlink(missing_ok=True)
    try:
        until(lambda: site.orchestrator.access.host_keys(instance), "the agent's answer")
        assert site.orchestrator.access.host_keys(instance) == (site.guest.host_key,)
    finally:
        log.write_bytes(before)


def test_many_connections_at_once_through_a_forwarded_port(site: Site) -> None:
    command = [COMMAND, "forward", "one", "0:80", "0:81", "--output", "json"]
    # In a session of its own, for which Ctrl-C is not ignored.
    with subprocess.Popen(command, env=site.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        web, nothing = (json.loads(forward.stdout.readline()) for _ in range(2))
        assert (web["address"], web["guest_port"], nothing["guest_port"]) == ("127.0.0.1", 80, 81)

        def get(_number: int) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{web['port']}/", timeout=PATIENCE) as answer:
                return str(answer.read().decode())

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(get, range(60))) == {PAGE}
        taken = site.slipway("forward", "one", f"{web['port']}:80")
        assert (taken.returncode, taken.stdout) == (2, "")
        assert f"nobody can listen at 127.0.0.1:{web['port']}: Address already in use" in taken.stderr
        with socket.create_connection(("127.0.0.1", nothing["port"]), timeout=PATIENCE) as connection:
            assert connection.recv(1) == b""
        forward.send_signal(signal.SIGINT)
        _, said = forward.communicate(timeout=PATIENCE)
    assert forward.returncode == 130
    assert said.startswith("slipway: one: 10.9.0.2:81 is not reached: no answer within 5 s, asked from 10.9.0.")


def test_a_screen_is_seen_by_a_password_that_expires(site: Site) -> None:
    site.host.ip("link", "set", "lo", "up")
    first = json.loads(site.slipway("vnc", "one", "--output", "json").stdout)
    assert first["address"] == "127.0.0.1"
    assert lets_in(site, first)
    assert not lets_in(site, {**first, "password": "guessed"})
    second = json.loads(site.slipway("vnc", "one", "--valid", "0", "--output", "json").stdout)
    assert second["password"] != first["password"]
    assert not lets_in(site, first), "another one has taken its place"
    assert not lets_in(site, second), "it has expired"


def lets_in(site: Site, screen: dict[str, Any]) -> bool:
    """Whether QEMU takes the password (RFC 6143, 7.2.2: DES of what it sends, each byte of the key reversed)."""
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in screen["password"].encode().ljust(8, b"\0"))
    cipher = ("openssl", "enc", "-des-ecb", "-nopad", "-provider", "legacy", "-provider", "default", "-K", key.hex())
    with dial(site.host.name, screen["address"], screen["port"], within=PATIENCE) as there:
        there.settimeout(PATIENCE)
        assert there.recv(12, socket.MSG_WAITALL) == b"RFB 003.008\n"
        there.sendall(b"RFB 003.008\n")
        count = there.recv(1)[0]
        assert there.recv(count, socket.MSG_WAITALL) == b"\x02", "only by a password"
        there.sendall(b"\x02")
        sent = there.recv(16, socket.MSG_WAITALL)
        there.sendall(subprocess.run(cipher, input=sent, capture_output=True, check=True).stdout)
        return there.recv(4, socket.MSG_WAITALL) == b"\0\0\0\0"


def test_nothing_is_reached_of_a_guest_that_is_off(site: Site) -> None:
    """The last one here: it ends the guest."""
    site.orchestrator.stop("one", force=True)
    for command in (("ssh", "one"), ("forward", "one", "0:80"), ("cp", "one:/etc/passwd", "x")):
        done = site.slipway(*command)
        assert (done.returncode, done.stderr) == (1, "slipway: the guest of one does not run: its domain is shutdown\n")
    with pytest.raises(ConsoleUnavailable, match="does not run"):
        site.orchestrator.access.open_screen("one")
    with pytest.raises(ConsoleUnavailable, match="does not run"):
        site.orchestrator.access.open_console("one")

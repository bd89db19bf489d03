"""docs/first-quarter.md: from nothing to a web server's answer, as it is typed, with what it says.

`python -m tests.docs.first_quarter` writes its transcript anew, as root, in a minute; a slow test types all of it.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.conftest import BOOT, Guest, make_guest
from tests.docs.transcript import plain
from tests.host.hosts import RealHost, two_hosts
from tests.host.reachable import Reachable, reachable
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-quarter.md"
EXAMPLE = ROOT / "examples" / "real" / "web.yaml"
BEGIN, END = "<!-- typed -->\n", "<!-- end -->\n"
OUTSIDE = "172.31.255.2"
"""Another machine on the host's wire."""

COMMAND = str(Path(sys.executable).with_name("slipway"))


@dataclass
class Typed:
    """Where the page is typed, and what was said so far."""

    host: RealHost
    said: list[str] = field(default_factory=list)

    def type(self, words: str) -> str:
        """A command, and what it says."""
        done = subprocess.run(
            self._real(words),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
            env=self._environment,
        )
        self.tell(words, done.stderr + done.stdout)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def beside(self, words: str) -> Iterator[str]:
        """A command that goes on in the background; gives its first line."""
        with subprocess.Popen(self._real(words), stdout=subprocess.PIPE, text=True, env=self._environment) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            self.tell(f"{words} &", line)
            try:
                yield line
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE)

    def tell(self, words: str, said: str = "") -> None:
        """Write down a command, and what it said."""
        said = re.sub(rf"\b{self.host.name} *", lambda found: "here".ljust(len(found[0])), said)
        said = re.sub(r"(min/avg/max =|time=).*", r"\1 T", said)
        said = re.sub(r"\b\d+ min (?=\d+ s)", "", said)
        text = plain("\n".join([f"$ {words}", *said.splitlines()]))
        self.said.append("".join(f"    {line}".rstrip() + "\n" for line in text.splitlines()))
        print(self.said[-1], file=sys.stderr)

    @property
    def _environment(self) -> dict[str, str]:
        here = str(Path.cwd())
        return {**os.environ, "SLIPWAY_STATE": "state", "HOME": here, "COLUMNS": "120", "NO_COLOR": "1"}

    def _real(self, words: str) -> Sequence[str]:
        typed = shlex.split(words.replace("~", str(Path.cwd())))
        return [COMMAND, *typed[1:]] if typed[0] == "slipway" else typed


def typed(guest: Guest) -> str:
    """The transcript, by typing all of it."""
    with tempfile.TemporaryDirectory() as directory, two_hosts() as (host, _):
        before = Path.cwd()
        os.chdir(directory)
        world = Typed(host)
        try:
            made = reachable(guest)
            Path(".ssh").mkdir(mode=0o700)
            Path(".ssh", "id_ed25519").write_bytes(made.key.read_bytes())
            Path(".ssh", "id_ed25519").chmod(0o600)
            Path(".ssh", "id_ed25519.pub").write_text(made.key.with_suffix(".pub").read_text())
            Path("web.yaml").write_text(file_of(host, made))
            _type_all(world)
        finally:
            os.chdir(before)
            host.clear()
    return "\n".join(world.said)


def file_of(host: RealHost, made: Reachable) -> str:
    """The example, on a host of the tests' with a guest of theirs."""
    tree = yaml.safe_load(EXAMPLE.read_text())
    where = {"uri": host.libvirtd.uri, "netns": host.name, "physical_nic": "uplink", "accel": "tcg"}
    tree["hosts"] = {host.name: tree["hosts"]["here"] | where}
    image = made.guest.image.replace(BOOT, f"{BOOT} quiet")
    tree["images"] = {"debian-13": yaml.safe_load(f"{{{image}}}")}
    del tree["instances"]["web"]["user_data"]
    tree["flavors"]["small"] |= {"memory": "192MiB", "disk": "1GiB"}
    return yaml.safe_dump(tree, sort_keys=False)


def _type_all(world: Typed) -> None:
    world.type("slipway run web.yaml")
    world.type("slipway list")
    world.type("slipway ssh web --user root --wait 600 -- uname -sm")
    world.type(f"slipway ssh web --user root -- ping -c 1 {OUTSIDE}")
    with world.beside("slipway forward web 8080:80"):
        world.type("curl -s http://127.0.0.1:8080/")
    world.type("slipway router list")
    world.type("slipway audit")
    world.type("slipway destroy web.yaml")
    world.type("slipway list")


def written() -> str:
    """The transcript that the page has."""
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


def write(text: str) -> None:
    """Have the page have this one."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as into:
        write(typed(make_guest(Path(into))))

"""Texts from elsewhere on the way to a terminal, and secrets on the way to anywhere."""

from __future__ import annotations

import ast
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import slipway.cli
from slipway import Orchestrator
from slipway.states.schema import metadata
from tests import record

Call = Callable[..., Result]
Process = Callable[..., subprocess.CompletedProcess[str]]
Terminals = Callable[..., Any]
FileWriter = Callable[..., str]

HOSTILE = "a\x1b]0;owned\x07b\x9b2Jc\u202edd\rEVIL\nforged\x7f\u2028end"
ESCAPED = r"a\x1b]0;owned\x07b\x9b2Jc\u202edd\x0dEVIL forged\x7f\u2028end"
SECRET = "hunter2"
_SGR = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
"""What rich writes: colours, and moves of the cursor while something is drawn."""


def controls(raw: str) -> set[str]:
    """What is left of a terminal's input besides letters, lines, and what rich itself writes."""
    return set(
        re.findall("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e]", _SGR.sub("", raw.replace("\r\n", "\n")))
    )


def assert_harmless(raw: str) -> None:
    assert controls(raw) == set()
    assert "\rEVIL" not in raw
    assert "\nforged" not in raw


@pytest.fixture
def hostile(slipway: Call, run_file: FileWriter, environment: dict[str, str]) -> None:
    """A record in which names and texts are hostile."""
    assert slipway("run", run_file()).exit_code == 0
    with Orchestrator(environment["SLIPWAY_STATE"]) as orchestrator:
        network = orchestrator.network.create_network(name="x")
        orchestrator.network.create_subnet(network_id=network.id, cidr="10.9.0.0/24", ip_version=4, name="x")
        orchestrator.network.create_port(
            network_id=network.id, name="x", device_owner="x", mac_address="fa:16:3e:00:00:09"
        )
        orchestrator.network.create_security_group(name="x")
    connection = record.opened(Path(environment["SLIPWAY_STATE"], "slipway.db"))
    fault = json.dumps(
        {"type": "E", "message": HOSTILE, "step": HOSTILE, "at": "2026-01-01T00:00:00Z", "later": [HOSTILE]}
    )
    connection.execute("UPDATE instances SET fault = ? WHERE name = 'web'", (fault.encode(),))
    connection.execute("UPDATE effects SET error = ?, state = 'stuck' WHERE kind = 'disk'", (HOSTILE,))
    connection.execute("UPDATE events SET detail = ?", (HOSTILE,))
    connection.execute("UPDATE instances SET name = ? WHERE name = 'gate'", (HOSTILE,))
    # Ours refuses such a name. Another network service may not.
    for table in ("networks", "subnets", "ports", "security_groups"):
        connection.execute(f"UPDATE {table} SET name = ?, description = ? WHERE name = 'x'", (HOSTILE, HOSTILE))
    connection.commit()
    connection.close()


COMMANDS = [
    *(("list",), ("show", "web"), ("show", HOSTILE), ("audit",)),
    *((noun, "list") for noun in ("network", "subnet", "port", "security-group")),
    *((noun, "show", HOSTILE) for noun in ("network", "subnet", "port", "security-group")),
    *(("show", f"{HOSTILE}x"), ("nonsense" + HOSTILE,), ("validate", f"{HOSTILE}.yaml"), ("stop", HOSTILE)),
    *(("events",), ("timeline", "web"), ("graph", "--instance", "web")),
    *(("list", "--verbose"), ("reboot", HOSTILE, "--verbose", "--force"), ("port", "delete", HOSTILE)),
]


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: " ".join(args).replace(HOSTILE, "HOSTILE"))
def test_nothing_from_elsewhere_moves_a_terminal(args: tuple[str, ...], terminal: Terminals, slipway: Call) -> None:
    screen = terminal(*args, columns=200)
    screen.wait()
    assert_harmless(screen.raw)
    piped = slipway(*args)
    assert_harmless(piped.stdout + piped.stderr)
    told = slipway(*args, "--output", "json")
    assert controls(told.stdout) == set()
    for line in told.stdout.splitlines():
        json.loads(line)


@pytest.mark.usefixtures("hostile")
def test_what_is_escaped_can_be_read(slipway: Call) -> None:
    assert [line for line in slipway("port", "list").stdout.splitlines() if line.startswith(f"{ESCAPED}  10.9.0.")]
    assert f"cause: E: {ESCAPED}".partition(": ")[2].partition(" forged")[0] in slipway("show", "web").stdout
    assert HOSTILE in {port["name"] for port in json.loads(slipway("port", "list", "--output", "json").stdout)}


def test_names_of_files_that_are_no_utf8(process: Process, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.yaml")
    for output in ("text", "json"):
        done = process("validate", name, "--output", output)
        said = done.stdout if output == "json" else done.stderr
        assert (done.returncode, r"caf\xe9.yaml" in said.replace(r"\\", "\\")) == (2, True)
    Path(name).write_text("schema: 1\n")
    assert process("validate", name).stdout == f"{tmp_path}/caf\\xe9.yaml is valid: 0 hosts, 0 networks, 0 instances\n"


def test_a_terminal_that_knows_less_than_unicode(process: Process, slipway: Call) -> None:
    assert slipway("network", "create", "größe-漢").exit_code == 0
    done = process("network", "list", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"gr\xf6\xdfe-\u6f22" in done.stdout


def test_there_is_one_writer() -> None:
    """Everything that the command line says goes by way of what makes it harmless."""
    writers = {
        "click.echo",
        "click.secho",
        "print",
        "sys.stdout.write",
        "sys.stderr.write",
        "traceback.print_exception",
    }
    allowed = {
        ("say.py", "click.echo"),
        ("output.py", "sys.stdout.write"),
        # Pieces, which are harmless once they are made.
        ("terminal.py", "sys.stdout.write"),
        # What a guest wrote, as `readable` leaves it.
        ("console.py", "sys.stdout.write"),
        # The step that is done now, as `shown` leaves it.
        ("runprogress.py", "sys.stdout.write"),
        # Help, and what is made of it, of which every word is ours.
        ("main.py", "click.echo"),
        ("completion.py", "click.echo"),
        ("man.py", "click.echo"),
        ("resources.py", "click.echo"),
    }
    found = {
        (path.name, ast.unparse(node.func))
        for path in Path(slipway.cli.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in writers
    }
    assert found == allowed


# --- an image server ----------------------------------------------------------------------------------------------


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.0 403 \x1b]0;owned\x07\x1b[2Jno\r\n\r\n")

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    made = http.server.HTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def secret_file(server: str, tmp_path: Path) -> str:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    path = tmp_path / "secret.yaml"
    url = f"http://bob:{SECRET}@{server}/a.img?X-Amz-Signature={SECRET}&token={SECRET}"
    path.write_text(
        f"""
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 99GiB, compute: sim, disks: qcow2}}}}
networks: {{net: {{subnets: {{sub: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{path: "{url}", format: qcow2, sha256: "{"0" * 64}"}}}}
instances: {{web: {{flavor: s, image: i, networks: [net]}}}}
"""
    )
    return str(path)


def files_with(secret: str, directory: Path) -> list[str]:
    return [
        str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()
    ]


def test_an_image_servers_answer_and_the_secrets_of_its_url(
    secret_file: str, terminal: Terminals, slipway: Call, environment: dict[str, str]
) -> None:
    screen = terminal("run", secret_file, "--verbose", columns=300)
    assert screen.wait() == 3
    assert_harmless(screen.raw)
    assert "http://bob:***@127.0.0.1" in screen.text
    assert SECRET not in screen.raw
    for args in (
        *(
            ("list",),
            ("show", "web"),
            ("audit",),
            ("run", secret_file),
            ("run", secret_file, "--replace-failed", "--verbose"),
        ),
        *(("validate", secret_file), ("resume",), ("delete", "web", "--verbose")),
    ):
        for output in ("text", "json"):
            done = slipway(*args, "--output", output)
            assert SECRET not in done.stdout + done.stderr, args
    # The request alone has it, for it must be known when the build goes on.
    connection = record.opened(Path(environment["SLIPWAY_STATE"], "slipway.db"))
    rows = {name: str(connection.execute(f"SELECT * FROM {name}").fetchall()) for name in metadata.tables}
    connection.close()
    assert {name for name, text in rows.items() if SECRET in text} <= {"instances"}
    assert SECRET not in rows["events"] + rows["effects"]


def test_a_files_secrets_in_its_mistakes_and_differences(secret_file: str, slipway: Call) -> None:
    path = Path(secret_file)
    text = path.read_text()
    path.write_text(text.replace("http:", "gopher:"))
    assert SECRET not in slipway("validate", secret_file).stderr
    path.write_text(text.replace("disks: qcow2", "disks: sim"))
    assert slipway("run", secret_file).exit_code == 0
    path.write_text(text.replace("disks: qcow2", "disks: sim").replace("a.img", "b.img"))
    for output in ("text", "json"):
        done = slipway("plan", secret_file, "--output", output)
        assert "image.path" in done.stdout
        assert SECRET not in done.stdout + done.stderr
        assert SECRET not in slipway("show", "web", "--output", output).stdout


@pytest.mark.parametrize("args", [("list",), ("list", "--verbose"), ("run", "{file}"), ("delete", "x")], ids=" ".join)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://bob:{SECRET}@127.0.0.1:1/slipway",
        f"postgresql+nosuch://bob:{SECRET}@127.0.0.1:1/slipway",
        f"postgresql://bob:{SECRET}@127.0.0.1:one/slipway",
        f"mysql://bob:{SECRET}@127.0.0.1/slipway?password={SECRET}",
        f"bob:{SECRET}@127.0.0.1/slipway",
        f"postgresql://bob:my {SECRET}@127.0.0.1:1/slipway",
    ],
)
def test_the_databases_password_is_nowhere(
    url: str, args: tuple[str, ...], slipway: Call, process: Process, run_file: FileWriter
) -> None:
    typed = [word.format(file=run_file()) for word in args]
    for output in ("text", "json"):
        for called in (
            slipway(*typed, "--db", url, "--output", output),
            slipway(*typed, "--output", output, SLIPWAY_DB=url),
        ):
            assert called.exit_code == 2, called.exception
            assert SECRET not in called.stdout + called.stderr
    if args == ("list",):
        # What ends the process says nothing more.
        done = process(*typed, "--db", url)
        assert done.returncode == 2
        assert SECRET not in done.stdout + done.stderr

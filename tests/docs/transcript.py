"""docs/transcript.md: each command of a day with the three-tier example, as it is typed, with what it says.

`python -m tests.docs.transcript` writes it anew; a test looks whether the commands still say that.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from slipway.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "transcript.md"

HEAD = """# A day with the three-tier example

Every command below was typed in this order, on `examples/three-tier.yaml` with hosts that answer at once, and said what
stands beneath it; times, durations and ids are replaced. `python -m tests.docs.transcript` writes this page anew, and a
test sees that it is still so. The same verbs on real guests are on [another page](transcript-real.md);
[real-machines.md](real-machines.md) begins with those.
"""

PARTS = (
    (
        "Look before, and build",
        ("plan shop.yaml", "run shop.yaml --parallel 1", "run shop.yaml", "list", "explain web-1"),
    ),
    (
        "Change what runs",
        (
            "attach-interface app --network front",
            "detach-interface app --nic 192.168.10.102",
            "attach-disk app --size 5GiB",
            "grow-disk db --disk vdb --size 300GiB",
            "resize web-1 --disk 20GiB",
            "resize app --vcpus 2 --yes",
            "rename app app-1",
            "set app-1 --metadata tier=app",
            "rebuild app-1 --image debian --yes",
            "pause app-1",
            "unpause app-1",
        ),
    ),
    (
        "Keep and copy",
        (
            "snapshot create db before-upgrade",
            "snapshot list db",
            "snapshot restore db before-upgrade --yes",
            "snapshot delete db before-upgrade",
            "clone app-1 app-2",
        ),
    ),
    (
        "Empty a host",
        (
            "host list",
            "host drain rack-a-2 --move --parallel 1",
            "move app-2 --to rack-b-1 --yes",
            "host enable rack-a-2",
        ),
    ),
    ("Find and mend", ("!damage", "audit", "repair", "repair --yes", "audit")),
    ("Who did what", ("history --limit 4", "quota set --project shop --instances 10", "quota show --project shop")),
    ("Take it back", ("delete app-2", "destroy shop.yaml", "audit")),
)


def page() -> str:
    """The text, by typing all of it."""
    with tempfile.TemporaryDirectory() as directory:
        before = Path.cwd()
        os.chdir(directory)
        try:
            example = (ROOT / "examples" / "three-tier.yaml").read_text()
            Path("shop.yaml").write_text(example.replace("delay: 150ms", "delay: 0s"))
            return "\n".join([HEAD, *_parts()])
        finally:
            os.chdir(before)


def _parts() -> Iterator[str]:
    for title, commands in PARTS:
        yield f"## {title}\n"
        for command in commands:
            yield _damaged() if command == "!damage" else _typed(command)


def _typed(command: str) -> str:
    runner = CliRunner()
    environment = {"SLIPWAY_STATE": "state", "COLUMNS": "120", "NO_COLOR": "1"}
    done = runner.invoke(main, shlex.split(command), prog_name="slipway", env=environment)
    said = "\n".join(line.rstrip() for line in plain(done.output).strip().splitlines())
    code = f"\n(exit code {done.exit_code})" if done.exit_code else ""
    return (
        f"    $ slipway {command}\n" + "\n".join(f"    {line}".rstrip() for line in f"{said}{code}".splitlines()) + "\n"
    )


def _damaged() -> str:
    """What a domain's name stands for is gone, behind our back."""
    shown = CliRunner().invoke(main, ["show", "web-1", "--output", "json"], env={"SLIPWAY_STATE": "state"})
    (domain,) = Path("state/world").rglob(f"domains/{json.loads(shown.stdout)['id']}.json")
    domain.unlink()
    return f"    $ rm {plain(str(domain))}    # behind Slipway's back: the domain of web-1\n"


_PLAIN = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?Z?"), "TIME"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s)\b"), "T s"),
    (re.compile(r"\b\w+: slipway "), "me: slipway "),
    (re.compile(r"f816:3eff:fe[0-9a-f]{2}:[0-9a-f]{1,4}\b"), "EUI"),
)


def plain(text: str) -> str:
    for found, instead in _PLAIN:
        text = found.sub(instead, text)
    return text


if __name__ == "__main__":
    PAGE.write_text(page())

"""`slipway rebuild` and `set`: what is asked, what is refused, and what has come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from click.testing import Result

Call = Callable[..., Result]
FileWriter = Callable[..., str]


def test_it_is_asked_and_done(slipway: Call, run_file: FileWriter, tmp_path: Path) -> None:
    assert slipway("run", run_file()).exit_code == 0
    unasked = slipway("rebuild", "web")
    assert (unasked.exit_code, "what is on their root disks is lost; --yes" in unasked.stderr) == (2, True)
    for words, says in (
        (("--image", "nothing"), "no instance on record has an image nothing"),
        (("--format", "raw"), "--format and --sha256 go with an --image that is a file"),
        (("--user-data", "gone.yaml"), "gone.yaml cannot be read"),
        (("--image", "./x.qcow2", "--sha256", "12"), "SHA-256"),
    ):
        refused = slipway("rebuild", "web", "--yes", *words)
        assert refused.exit_code in (1, 2)
        assert says in refused.stderr, refused.stderr
    data = tmp_path / "web.yaml"
    data.write_text("#cloud-config\n")
    done = slipway("rebuild", "web", "--image", "./new.qcow2", "--user-data", str(data), "--yes", "--output", "json")
    assert done.exit_code == 0, done.stderr
    shown = json.loads(slipway("show", "web", "--output", "json").stdout)
    assert (shown["image"], shown["vm_state"]) == ("new", "ACTIVE")
    assert Path(shown["request"]["image"]["path"]) == Path("new.qcow2").absolute()
    again = slipway("rebuild", "web", "--image", "new", "--yes")
    assert (again.exit_code, slipway("audit").exit_code) == (0, 0), again.stderr


def test_the_signs_of_readiness_are_set(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file()).exit_code == 0
    for said, says in (
        ("leese=3s", "'leese' is no sign, did you mean \"lease\"?"),
        ("lease=3", "'3' is no time with a unit"),
        ("marker=3s", "a marker has its text"),
        ("ping=3s:there", "a marker has its text"),
    ):
        refused = slipway("set", "web", "--wait-for", said)
        assert refused.exit_code == 2
        assert says in refused.stderr, refused.stderr
    twice = slipway("set", "web", "--wait-for", "lease=3s", "--wait-for", "lease=4s")
    assert (twice.exit_code, "lease" in twice.stderr) == (2, True), twice.stderr
    words = ("--wait-for", "marker=1m:login:", "--wait-for", "lease=30s")
    assert slipway("set", "web", *words).exit_code == 0

    def signs() -> list[tuple[str, float, str]]:
        shown = json.loads(slipway("show", "web", "--output", "json").stdout)
        return [(one["sign"], one["within"], one["text"]) for one in shown["request"]["wait_for"]]

    assert signs() == [("lease", 30.0, ""), ("marker", 60.0, "login:")]
    assert slipway("set", "web", "--wait-for", "none").exit_code == 0
    assert signs() == []


def test_the_table_at_the_end_has_the_names_that_there_are_then(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file()).exit_code == 0
    for words, name in ((("rename", "web", "shop"), "shop"), (("clone", "shop", "shop-2"), "shop-2")):
        done = slipway(*words)
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines()[-1].split()[0] == name, done.stdout


def test_instances_on_record_are_read_once_for_a_flavor_or_an_image(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file()).exit_code == 0

    def pages(*words: str) -> int:
        read: list[str] = []

        def told(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            read.extend([statement] if "FROM instances" in statement and "LIMIT" in statement else [])

        sa.event.listen(sa.Engine, "before_cursor_execute", told)
        try:
            done = slipway(*words, "--yes")
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", told)
        assert done.exit_code == 0, done.stderr
        return len(read)

    for words in (("resize", "--flavor", "small"), ("rebuild", "--image", "tiny")):
        assert pages(*words, "--name", "*") == pages(*words, "--name", "web") > 1

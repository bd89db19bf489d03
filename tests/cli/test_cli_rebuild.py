"""`slipway rebuild`: what is asked, what is refused, and what has come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

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

"""docs/house.md: the rooms are those that import-linter keeps, and a build goes through the files as it says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "house.md").read_text()

_TOLD = """
import sys, threading
from pathlib import Path
import slipway
root, seen = str(Path(slipway.__file__).parent) + "/", {}
def note(frame, event, _):
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(root):
        seen.setdefault(f"{code.co_filename.removeprefix(root)} {code.co_qualname}")
threading.setprofile(note)
sys.setprofile(note)
from slipway.cli.main import main
try:
    main(sys.argv[1:], prog_name="slipway")
finally:
    sys.setprofile(None)
    print("", *seen, sep="\\n")
"""


def test_a_build_comes_by_in_this_order(tmp_path: Path) -> None:
    words = ["run", str(ROOT / "examples" / "smallest.yaml"), "--state", str(tmp_path / "state")]
    told = subprocess.run([sys.executable, "-c", _TOLD, *words], check=True, capture_output=True, text=True).stdout
    order = told.splitlines()
    milestones = [" ".join(one) for one in re.findall(r"^\| `([\w/.]+)` \| `([\w.]+)` \|", TEXT, re.MULTILINE)]
    assert len(milestones) > 30
    places = [order.index(one) for one in milestones]
    assert places == sorted(places)


def test_the_rooms_are_those_that_are_kept() -> None:
    kept = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    drawing = re.search(r"```mermaid\n(.*?)```", TEXT, re.DOTALL)
    assert drawing is not None
    names = dict(re.findall(r'(\w+)\["([^"]+)"\]', drawing[1]))
    plain = re.sub(r'\["[^"]+"\]', "", drawing[1])
    lines = [line.replace("-->", " ").split() for line in plain.splitlines()[1:]]
    follows = dict(pair for rooms in lines for pair in pairwise(rooms))
    drawn = [room := "cli"]
    while room in follows:
        drawn.append(room := follows[room])
    assert [names.get(one, one).split(", ") for one in drawn] == [
        line.replace("slipway.", "").split(" | ") for line in kept
    ]

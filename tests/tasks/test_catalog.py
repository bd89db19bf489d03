"""Where the tasks of a workflow come from: ours, other packages', and modules that are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import record

GOOD = '''
from slipway.flows.tasks.base import Task, Work
from slipway.flows.tasks.decorator import task
from slipway.flows.tasks.http import Http
from slipway.states.intent import Durability


@task(name="{name}", kind="{kind}", durability=Durability.PURE)
def double(number: int, times: int = 2) -> int:
    """Multiply. Needs no undo."""
    return number * times


class Halve(Task):
    """Divide. Needs no undo."""

    name = "halve-{name}"
    kind = "half-{kind}"

    def durability(self, tools, host):
        return Durability.PURE

    def do(self, work: Work, number: int) -> int:
        return number // 2
'''

SHOW = """
from slipway.flows.tasks.catalog import BY_KIND, CATALOG, SIGNATURES
print(len(CATALOG), sorted(name for name in SIGNATURES if "double" in name or "halve" in name))
for name, signature in sorted(SIGNATURES.items()):
    if signature.refused:
        print(signature.refused)
assert all(BY_KIND[task.kind] is task for task in CATALOG.values())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def package(place: Path, name: str, text: str, *points: str) -> None:
    (place / f"{name}.py").write_text(text)
    info = place / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[slipway.tasks]", *points]))


def python(place: Path, code: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": record.python_path(place)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_functions_and_classes_of_a_package_are_tasks(place: Path) -> None:
    package(place, "ours", GOOD.format(name="double", kind="twice"), "double = ours:double", "halve = ours:Halve")
    code, out = python(place, SHOW)
    assert code == 0, out
    assert "['double', 'halve-double']" in out
    assert out.count("\n") == 1, "none is refused"


@pytest.mark.parametrize(
    "broken",
    [
        "import nosuch",
        "raise SystemExit(3)",
        "def double(:",
        "1/0",
        "class double: name = kind = property(lambda self: 1/0)",
        "from slipway.flows.tasks.base import Task\nclass double(Task):\n  name = 'a'\n  kind = 'b'\n"
        "  def durability(self, t, h): ...\n  def do(self, work) -> str: ...\n  def __init__(self): 1/0",
        "from slipway.flows.tasks.decorator import task\n@task()\ndef double(a: 'no annotation') -> int: ...",
        "from slipway.flows.tasks.decorator import task\n@task(name=3)\ndef double(a: int) -> int: ...",
    ],
)
def test_a_broken_package_is_in_the_way_of_nothing(place: Path, broken: str) -> None:
    package(place, "broken", broken, "double = broken:double")
    package(place, "works", GOOD.format(name="good-double", kind="twice"), "x = works:double", "y = works:Halve")
    code, out = python(place, SHOW)
    assert code == 0, out
    assert "'good-double', 'halve-good-double'" in out
    assert "task double (broken:double) cannot be used: " in out


def test_two_of_one_kind_are_both_refused_and_both_are_named(place: Path) -> None:
    """Whichever was installed first: the effects of one would be undone by the other."""
    package(place, "alpha", GOOD.format(name="double-a", kind="twice"), "double-a = alpha:double", "a = alpha:Halve")
    package(
        place, "beta", GOOD.format(name="double-b", kind="twice").replace("half-", "part-"), "double-b = beta:double"
    )
    code, out = python(place, SHOW)
    assert code == 0, out
    assert (
        "task double-a (alpha:double) cannot be used: its kind is that of beta:double: give it another\n"
        "task double-b (beta:double) cannot be used: its kind is that of alpha:double: give it another\n"
    ) in out
    assert "halve-double-a" in out


def test_a_refused_task_is_known_by_its_own_name_too(place: Path) -> None:
    """That is what a workflow has, whatever its entry point is called."""
    package(place, "alpha", GOOD.format(name="double", kind="port"), "mine = alpha:double", "same = alpha:Halve")
    code, out = python(place, 'from slipway.flows.tasks.catalog import SIGNATURES; print(SIGNATURES["double"].refused)')
    assert (code, out.partition(" cannot")[0]) == (0, "task mine (alpha:double)")


def test_one_task_with_two_entry_points_is_one(place: Path) -> None:
    package(place, "alpha", GOOD.format(name="double", kind="twice"), "one = alpha:double", "two = alpha:double")
    code, out = python(place, SHOW)
    assert code == 0, out
    assert "['double']" in out


def test_what_is_ours_stays_ours(place: Path) -> None:
    package(place, "alpha", GOOD.format(name="http", kind="port"), "mine = alpha:double")
    code, out = python(place, SHOW + 'print(type(CATALOG["http"]), type(BY_KIND["port"]))')
    assert code == 0, out
    assert (
        "task mine (alpha:double) cannot be used: its name is that of slipway.flows.tasks.http:Http: give it another; "
        "its kind is that of slipway.flows.tasks.ports:CreatePort: give it another\n"
    ) in out
    assert "tasks.http.Http" in out
    assert "tasks.ports.CreatePort" in out


LOAD = """
import sys
from slipway.errors import InvalidRequest
from slipway.flows.tasks.catalog import BY_KIND, CATALOG, SIGNATURES, load_tasks
try:
    for spec in sys.argv[1:]:
        print(sorted(task.name for task in load_tasks(spec)))
except InvalidRequest as error:
    print("refused:", error)
"""


def load(place: Path, *specs: str) -> str:
    code, out = python(place, f"import sys; sys.argv = ['x', *{specs!r}]\n" + LOAD)
    assert code == 0, out
    return out


@pytest.mark.parametrize("where", ["mine", "mine.py", "./mine.py"])
def test_the_tasks_of_a_module_that_is_named(place: Path, where: str) -> None:
    """Just its own, and not those that it imports; naming it again changes nothing."""
    (place / "mine.py").write_text(GOOD.format(name="double", kind="twice"))
    assert load(place, where, where) == "['double', 'halve-double']\n" * 2
    assert load(place, f"{where}:Halve", f"{where}:double", where) == (
        "['halve-double']\n['double']\n['double', 'halve-double']\n"
    )


def test_a_module_is_found_where_one_stands(place: Path) -> None:
    """As an installed command does it: its own directory is first in the path, and not the user's."""
    (place / "mine.py").write_text(GOOD.format(name="double", kind="twice"))
    code, out = python(
        place, f"import sys; sys.path.remove({str(place)!r}); sys.path.remove(''); sys.argv = ['', 'mine']\n{LOAD}"
    )
    assert (code, out) == (0, "['double', 'halve-double']\n")


def test_a_list_of_tasks(place: Path) -> None:
    (place / "mine.py").write_text(GOOD.format(name="double", kind="twice") + "\nTASKS = [double, Halve]\n")
    assert load(place, "mine:TASKS") == "['double', 'halve-double']\n"


def test_a_file_is_not_what_others_import_by_its_name(place: Path) -> None:
    (place / "telnetlib.py").write_text(GOOD.format(name="double", kind="twice"))
    code, out = python(
        place,
        "import sys; sys.path.remove(''); sys.path = [p for p in sys.path if p != " + repr(str(place)) + "]\n"
        "from slipway.flows.tasks.catalog import load_tasks; load_tasks('telnetlib.py'); "
        "assert 'telnetlib' not in sys.modules",
    )
    assert code == 0, out


@pytest.mark.parametrize(
    ("spec", "text", "said"),
    [
        ("mine", "import nosuch", "the tasks of mine cannot be loaded: ModuleNotFoundError: No module named 'nosuch'"),
        ("mine.py", "raise SystemExit('out')", "the tasks of mine.py cannot be loaded: SystemExit: out"),
        ("nosuch", "", "the tasks of nosuch cannot be loaded: ModuleNotFoundError: No module named 'nosuch'"),
        ("no/such.py", "", "the tasks of no/such.py cannot be loaded: FileNotFoundError: "),
        ("mine", "", "there is no task in mine: put @task before a function, or write a subclass of Task"),
        ("mine:double", "", "mine has no double"),
        ("mine:", "", "'mine:' names no tasks: write MODULE, FILE.py or MODULE:NAME"),
        ("", "", "'' names no tasks: write MODULE, FILE.py or MODULE:NAME"),
        (":x", "", "':x' names no tasks: write MODULE, FILE.py or MODULE:NAME"),
        ("..mine", "", "the tasks of ..mine cannot be loaded: "),
        ("mine:one", "one = 3", "task mine:3 (mine:3) cannot be used: it is no subclass of "),
        (
            "mine",
            GOOD.format(name="http", kind="twice"),
            "task http (mine:double) cannot be used: its name is that of slipway.flows.tasks.http:Http: give it",
        ),
        (
            "mine",
            GOOD.format(name="double", kind="twice").replace("number: int)", "number)"),
            "task mine:Halve (mine:Halve) cannot be used: do() does not say what number is",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_and_nothing_is_loaded(place: Path, spec: str, text: str, said: str) -> None:
    (place / "mine.py").write_text(text)
    assert load(place, spec).startswith(f"refused: {said}")

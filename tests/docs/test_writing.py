"""docs/writing-tasks-and-drivers.md as its reader types it in: a package of their own, installed, and its tests."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.running import run_pytest

GUIDE = Path(__file__).parents[2] / "docs" / "writing-tasks-and-drivers.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Every block is a file; what an installer makes of `pyproject.toml` is made here."""
    for _, text in BLOCKS:
        name = re.match(r"# (\S+)\n", text)
        assert name is not None, text
        (tmp_path / name[1]).write_text(text)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    points = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in of.items()) for group, of in groups]
    (info / "entry_points.txt").write_text("\n".join(points))
    return tmp_path


def test_the_guides_tests_pass(package: Path) -> None:
    code, out = run_pytest(package)
    assert code == 0, out
    (passed,) = re.findall(r"(\d+) passed", out)
    assert int(passed) > 85
    assert "skipped" not in out


@pytest.mark.parametrize(
    ("file", "old", "new", "failing"),
    [
        ("names.py", "return work.effect.key.replace", "return os.urandom(4).hex() + work.effect.key.replace", "twice"),
        ("names.py", "missing_ok=True", "missing_ok=False", "what_never_happened"),
        ("names.py", "record_id(work)).unlink", "result or '-').unlink", "undone_without_its_result"),
        ("notices.py", "missing_ok=True", "missing_ok=False", "what_never_happened"),
        ("notices.py", "work.effect.key.replace", "str(len(list(Path(board).iterdir()))).replace", "twice"),
        ("notices.py", "-> int:", "-> Path:", "it_can_be_a_task"),
        ("rawdisks.py", 'if note.owner != self._owner:', "if not note:", "not_ours"),
        ("rawdisks.py", "check_free(note.disk.path, self._volumes())", "pass", "given_to_two"),
        ("rawdisks.py", "if not note.disk.volume:", "if True:", "given_back"),
    ],
)  # fmt: skip
def test_a_contract_finds_what_is_broken(package: Path, file: str, old: str, new: str, failing: str) -> None:
    """And says what it compared, as tests of one's own do."""
    text = (package / file).read_text()
    assert old in text
    (package / file).write_text(text.replace(old, new))
    tests = {
        "names.py": "TestRecordName",
        "notices.py": "TestAnnounce or TestCountNotices",
        "rawdisks.py": "TestRawDisks",
    }
    code, out = run_pytest(package, "-k", f"({tests[file]}) and {failing}")
    assert code == 1, out
    assert re.search(rf"^FAILED .*{failing}", out, re.MULTILINE), out


def test_assertions_of_contracts_show_what_they_compared(package: Path) -> None:
    text = (package / "rawdisks.py").read_text()
    (package / "rawdisks.py").write_text(text.replace("disk.slot, disk.size)", "disk.slot, disk.size + 1)"))
    code, out = run_pytest(package, "-k", "test_list_disks")
    assert code == 1
    assert "2147483649" in out


def test_a_contract_says_what_it_was_not_given(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(
        """
import pytest
from slipway.drivers.disk.sim import SimDisk
from slipway.testing.contracts.disk import DiskContract
from slipway.testing.contracts.samples import HOST
from slipway.testing.contracts.wiring import WiringContract

class TestMine(DiskContract):
    @pytest.fixture
    def make_driver(self, tmp_path):
        return lambda host=HOST: SimDisk(host, tmp_path)

class TestNothing(WiringContract):
    pass
"""
    )
    code, out = run_pytest(tmp_path, "-rs")
    assert code == 1, out
    assert "TestMine does not say how to make a disk that is not ours: override `plant`" in out
    assert "TestNothing: override the fixture make_driver" in out
    assert re.search(r"\d+ passed, 1 skipped, \d+ errors", out), out


def test_slipways_testing_is_there_without_pytest() -> None:
    code = "import sys, slipway.testing, slipway.testing.contracts; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

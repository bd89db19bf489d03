"""What is packed is what stands in the tree: one top-level name, every module, none twice."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
DATA = {".py", ".typed", ".yaml", ".json", ".html"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return out


def tree() -> set[str]:
    files = (path for path in (ROOT / "slipway").rglob("*") if path.is_file() and path.suffix in DATA)
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_the_wheel_has_one_top_level_name_and_every_module_of_the_tree(packed: Path) -> None:
    (wheel,) = packed.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    files = [name for name in names if ".dist-info/" not in name]
    assert {PurePosixPath(name).parts[0] for name in files} == {"slipway"}
    assert len(files) == len(set(files))
    assert set(files) == tree()
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_has_every_module_once(packed: Path) -> None:
    (sdist,) = packed.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = [str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()]
    assert tree() <= set(names)
    assert not [name for name in names if name.split("/")[0] in ("flows", "states", "drivers")]


def test_the_rooms_at_the_top_are_links_into_the_package() -> None:
    for room in ("flows", "states", "drivers"):
        link = ROOT / room
        assert link.is_symlink()
        assert link.resolve() == ROOT / "slipway" / room

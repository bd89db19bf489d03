"""What is packed is what stands in the tree: one top-level name, every module, none twice."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
DATA = {".py", ".typed", ".yaml", ".json", ".html", ".sql"}


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


def required(name: str, seen: set[str]) -> set[str]:
    """The distribution and all that an installation of it brings along, without extras but those that are asked for."""
    wanted = Requirement(name)
    if wanted.name in seen:
        return seen
    seen.add(wanted.name)
    for text in distribution(wanted.name).requires or ():
        need = Requirement(text)
        if any(need.marker is None or need.marker.evaluate({"extra": extra}) for extra in (wanted.extras or {""})):
            required(f"{need.name}[{','.join(need.extras)}]", seen)
    return seen


def test_what_readme_says_to_try_works_with_what_the_wheel_requires_alone(packed: Path, tmp_path: Path) -> None:
    (wheel,) = packed.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    for name in required("slipway", set()) - {"slipway"}:
        there = distribution(name)
        for top in {file.parts[0] for file in there.files or () if file.parts[0] not in ("..", "__pycache__")}:
            if not (installed / top).exists():
                (installed / top).symlink_to(Path(str(there.locate_file(top))))
    tried = re.search(r"## Try it\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tried is not None
    commands = re.findall(r"\.venv/bin/slipway ([^#\n]+)", tried[1])
    assert [command.split()[0] for command in commands] == ["run", "list", "show", "audit", "destroy"]
    called = f"import sys; sys.path.insert(0, {str(installed)!r}); from slipway.cli.main import main; main()"
    for command in commands:
        arguments = command.replace("--state demo", f"--state {tmp_path}/demo").split()
        # Without the site-packages of this environment, which has everything.
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", called, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rooms_at_the_top_are_links_into_the_package() -> None:
    for room in ("flows", "states", "drivers"):
        link = ROOT / room
        assert link.is_symlink()
        assert link.resolve() == ROOT / "slipway" / room

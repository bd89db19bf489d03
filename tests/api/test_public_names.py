"""What `slipway` exports is there, for a type checker as for Python, and nothing else is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import slipway

ROOT = Path(__file__).parents[2]


def mypy(path: Path, text: str) -> list[str]:
    """What mypy says of a program, a line each."""
    path.write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()


@pytest.mark.parametrize("name", slipway.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(slipway, name) is not None
    assert name in dir(slipway)


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        slipway.Nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_a_type_checker_sees_the_same_names_with_their_types(tmp_path: Path) -> None:
    names = ", ".join(slipway.__all__)
    shown = [f"reveal_type({name})" for name in slipway.__all__]
    said = mypy(tmp_path / "program.py", "\n".join([f"from slipway import {names}", *shown]))
    types = [match[1] for line in said if (match := re.search(r'Revealed type is "(.*)"', line))]
    assert len(types) == len(said) == len(slipway.__all__), said
    assert "Any" not in types


def test_a_type_checker_sees_no_other_names(tmp_path: Path) -> None:
    other = ["Nonsense", "TYPE_CHECKING", "_HOMES", "import_module"]
    said = mypy(tmp_path / "program.py", f"import slipway\nfrom slipway import {', '.join(other)}\nslipway.Instances\n")
    assert all(any(f'"{name}"' in line for line in said) for name in [*other, "Instances"]), said


def test_nothing_is_loaded_before_it_is_used() -> None:
    program = "import sys, slipway; print(sorted(name for name in sys.modules if name.startswith('slipway')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['slipway']"


def test_all_of_it_can_be_imported_at_once() -> None:
    program = "from slipway import *; print(Instance.__module__, errors.InvalidFile.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["slipway.model.record", "InvalidFile"]

"""Runs of workflows whose steps make and remove files, by real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from slipway.orchestrator import Orchestrator

Workflow: TypeAlias = Callable[..., str]
"""Writes a workflow of these steps, with more top-level keys; gives its path."""


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    with Orchestrator(tmp_path / "state", allow_commands=True) as made:
        yield made


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    def write(steps: str, more: str = "", name: str = "flow") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"schema: 1\nname: {name}\n{more}\nsteps:\n{steps}")
        return str(path)

    return write

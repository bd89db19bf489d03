"""A class that cannot be a task is refused when it is loaded, not by the record when a build is half done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import slipway
from slipway import Orchestrator
from slipway.flows.tasks import CATALOG
from slipway.flows.tasks.base import Task, Work, mistakes_in
from slipway.states.ledger import Durability

RUN = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web-1: {flavor: small, image: tiny, networks: [net]}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}}}
"""


class Sound(Task):
    name = "sound"
    kind = "sound"

    def durability(self, tools: Any, host: Any) -> Durability:
        return Durability.FOREIGN

    def do(self, work: Work, zone: str) -> str:
        return zone

    def undo(self, work: Work, result: str | None, zone: str) -> None:
        pass


class NoResult(Sound):
    def do(self, work, zone: str):  # type: ignore[no-untyped-def]
        return zone


class NoArgument(Sound):
    def do(self, work: Work, zone) -> str:  # type: ignore[no-untyped-def]
        return str(zone)


class NoArgumentOfUndo(Sound):
    def undo(self, work, result, zone):  # type: ignore[no-untyped-def]
        pass


class AnotherArgument(Sound):
    def undo(self, work: Work, result: str | None, record: str) -> None:
        pass


class Unreadable(Sound):
    def do(self, work: Work, zone: str) -> Missing:  # type: ignore[name-defined]  # noqa: F821
        return zone


class Unkept(Sound):
    def do(self, work: Work, zone: str) -> str | list[int] | tuple[int, ...]:  # type: ignore[override]
        return zone


class NoName(Task):
    kind = "nameless"

    def durability(self, tools: Any, host: Any) -> Durability:
        return Durability.PURE

    def do(self, work: Work) -> None:
        pass


class NoDurability(Task):
    name = kind = "no-durability"

    def do(self, work: Work) -> None:
        pass


class NoDo(Task):
    name = kind = "no-do"

    def durability(self, tools: Any, host: Any) -> Durability:
        return Durability.PURE


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (NoResult, "do() does not annotate what it gives"),
        (NoArgument, "do() does not annotate its argument 'zone'"),
        (NoArgumentOfUndo, "undo() does not annotate its argument 'zone'"),
        (AnotherArgument, "undo() takes 'record', and do() does not"),
        (Unreadable, "the annotations of do() cannot be read: NameError"),
        (Unkept, "which the record cannot keep"),
        (NoName, "it has no name"),
        (NoDurability, "it has no durability()"),
        (NoDo, "it has no do()"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_with_a_task_is_said(task: type[Task], said: str) -> None:
    (mistake,) = mistakes_in(task)
    assert said in mistake


def test_nothing_is_wrong_with_those_that_are_sound() -> None:
    for task in (Sound, *map(type, CATALOG.values())):
        assert list(mistakes_in(task)) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("mine:Bare", "do() does not annotate what it gives"),
        ("mine:NONE", "it is no subclass of Task"),
        ("mine:Gone", "cannot be loaded: AttributeError"),
        ("mine_gone:Bare", "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_an_installed_package_with_one_is_named(tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(
        "from slipway.flows.tasks.base import Task\nNONE = None\n"
        "class Bare(Task):\n    name = kind = 'bare'\n"
        "    def durability(self, tools, host): ...\n    def do(self, work): ...\n"
    )
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[slipway.tasks]\nbare = {value}\n")
    (tmp_path / "run.yaml").write_text(RUN)
    done = subprocess.run(
        [sys.executable, "-c", "from slipway.cli.main import main; main()", "run", "run.yaml"],
        cwd=tmp_path,
        env={
            **os.environ,
            "SLIPWAY_STATE": str(tmp_path / "state"),
            "PYTHONPATH": f"{tmp_path}:{Path(slipway.__file__).parents[1]}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert f"slipway.tasks bare = {value}: " in " ".join(done.stderr.split())
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    with Orchestrator(tmp_path / "state") as orchestrator:
        assert (list(orchestrator.list()), list(orchestrator.network.list_networks())) == ([], [])

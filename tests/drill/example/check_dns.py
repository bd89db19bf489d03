"""In a project of your own this is `test_dns.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from slipway.pytest_plugin import World
from slipway.runfile import load

FILE = load(Path(__file__).with_name("demo.yaml"))


def open_zone(world: World) -> Path:
    """An empty zone for this world."""
    zone = world.state.parent / "zone"
    zone.mkdir()
    os.environ["DNS_ZONE"] = str(zone)
    return zone


def build(world: World) -> None:
    """What is put to the test."""
    with world.orchestrator(settings=FILE.settings, workflow=FILE.workflow) as orchestrator:
        orchestrator.run(FILE)


def build_once(world: World) -> None:
    """The same in a world of its own: `slipway_every_fault` finds the fault points by it."""
    open_zone(world)
    build(world)


@pytest.mark.slipway_every_fault(build=build_once, modes=("error", "crash_before"), commits=True)
def test_a_name_is_recorded_once_or_not_at_all(slipway_world: World) -> None:
    zone = open_zone(slipway_world)

    def records() -> Mapping[str, str]:
        return {file.name: file.read_text() for file in zone.glob("*.json")}

    slipway_world.watch(records)
    slipway_world.act(build)

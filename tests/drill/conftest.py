"""Run files to drill, and a drill of them that is short enough for a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from slipway.drill.bench import Plan
from slipway.drill.campaign import Report, Wanted, drill
from slipway.drill.cases import Selection
from slipway.runfile import RunFile, loads

HEAD = """
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
{second}
networks:
  a: {{subnets: {{a4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.0.0.77}}}}}}
  b:
    subnets:
      b4: {{cidr: 10.1.0.0/24}}
      b6: {{cidr: "2001:db8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  web-1: {{flavor: small, image: tiny, networks: [{{port: mine}}, b], disks: [1GiB]}}
"""
SECOND = "  node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}"

Drill = Callable[..., Report]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A drill has its records in files of its own, or where it is told to."""
    why = "is of drills in files of SQLite's; test_drill_postgresql has those on PostgreSQL"
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name != "test_drill_postgresql.py":
            item.add_marker(pytest.mark.sqlite(why))


@pytest.fixture(scope="session")
def one_host() -> RunFile:
    return loads(HEAD.format(second=""), "one-host.yaml")


@pytest.fixture(scope="session")
def two_hosts() -> RunFile:
    return loads(HEAD.format(second=SECOND), "two-hosts.yaml")


@pytest.fixture(scope="session")
def drilled() -> Drill:
    """Drills these points of a file, in two processes, and gives the report."""

    def run(
        file: RunFile, *only: str, pairs: int = 0, seed: int = 0, remote: bool = False, sample: int | None = None
    ) -> Report:
        selections: Sequence[Selection] = [Selection.parse(text) for text in only]
        wanted = Wanted(selections, pairs=pairs, jobs=2, sample=sample)
        return drill(Plan(file, seed=seed, remote_network=remote), wanted)

    return run

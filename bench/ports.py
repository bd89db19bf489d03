"""Ports created, bound and deleted in process: Slipway's embedded network beside Neutron's ML2 plugin, on SQLite."""

from __future__ import annotations

import argparse
import statistics
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import neutron_process as neutron
from bench.common import DISK, in_turn, scratch, table, tell
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.model.network import Context
from slipway.settings import Settings
from slipway.states.store import Store

ADMIN = Context("demo", is_admin=True)
WORK = ("create", "delete", "create, bound", "delete")
"""What each does in a round, in this order."""

Worker = Callable[[str, int], Mapping[str, float]]
"""Does one of `WORK` so many times; gives the `cpu`, `wall` and `statements` of one."""


class Slipway:
    """Our driver on a network with one /16, as Neutron's in `neutron_worker.py`."""

    def __init__(self, store: Store) -> None:
        self._driver = EmbeddedNetwork(store, Settings(quota_port=-1))
        self._network = self._driver.create_network(ADMIN, name="n").id
        self._driver.create_subnet(ADMIN, network_id=self._network, cidr="10.0.0.0/16", ip_version=4)
        self._made: list[str] = []
        self._statements = 0
        sa.event.listen(store.engine, "before_cursor_execute", self._count)

    def _count(self, *_: object) -> None:
        self._statements += 1

    def work(self, what: str, count: int) -> Mapping[str, float]:
        self._statements = 0
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            self._delete() if what == "delete" else self._create("host1" if what == "create, bound" else "")
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {"cpu": cpu / count, "wall": wall / count, "statements": self._statements / count}

    def _create(self, host: str) -> None:
        port = self._driver.create_port(
            ADMIN,
            network_id=self._network,
            device_id=str(uuid.uuid4()),
            device_owner="compute:nova",
            binding_host_id=host,
        )
        self._made.append(port.id)

    def _delete(self) -> None:
        self._driver.delete_port(ADMIN, self._made.pop())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="rounds (default 10)")
    parser.add_argument("--ports", type=int, default=20, help="ports of Neutron's a round (default 20), ours: 20 times")
    parser.add_argument("--directory", type=Path, default=DISK, help=f"where the files are (default {DISK})")
    neutron.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results = _measure(options)
    headings = ["", "ports a CPU second", "a second", "statements", "CPU to Neutron"]
    rows = [[name, *row.values()] for name, row in results.items()]
    tell(results, table(headings, rows), as_json=options.json)


def _measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    counts: dict[str, int] = {}
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        directory = stack.enter_context(scratch(options.directory))
        for place, path in (("memory", ""), ("file", f"/{directory}/{{}}.db")):
            store = Store("sqlite://" + path.format("slipway"))
            stack.callback(store.close)
            workers[f"Slipway, {place}"], counts[f"Slipway, {place}"] = Slipway(store).work, 20 * options.ports
            if python := neutron.python_of(options):
                peer = stack.enter_context(neutron.running(python, "sqlite://" + path.format("neutron")))
                workers[f"Neutron, {place}"], counts[f"Neutron, {place}"] = peer.work, options.ports
        found = _rounds(workers, counts, options.rounds)
    return {f"{name}: {what}": _row(found, name, what) for name in workers for what in dict.fromkeys(WORK)}


Found = dict[tuple[str, str], list[Mapping[str, float]]]


def _rounds(workers: Mapping[str, Worker], counts: Mapping[str, int], rounds: int) -> Found:
    """All of them work in each round, in an order that turns; the first round warms up and is not counted."""
    found: Found = {}
    for number, name in in_turn([*workers], rounds):
        for what in WORK:
            measured = workers[name](what, counts[name])
            if number >= 0:
                found.setdefault((name, what), []).append(measured)
    return found


def _row(found: Found, name: str, what: str) -> dict[str, Any]:
    mine = found[name, what]
    peer = found.get((name.replace("Slipway", "Neutron"), what))
    cpu, wall = (statistics.median(one[kind] for one in mine) for kind in ("cpu", "wall"))
    ratios = [theirs["cpu"] / ours["cpu"] for ours, theirs in zip(mine, peer or (), strict=bool(peer))]
    return {
        "per_cpu_second": 1 / cpu,
        "per_second": 1 / wall,
        "statements": statistics.median(one["statements"] for one in mine),
        "ratio": statistics.median(ratios) if peer else "-",
    }


if __name__ == "__main__":
    main()

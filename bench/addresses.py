"""What an address costs, by the size of its subnet, by how full it is, and by how its free addresses lie: the same."""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from bench.common import TMPFS, in_turn, scratch, table, tell
from bench.pools import ADMIN, SHAPES, Pool, Shape
from slipway import errors
from slipway.drivers.network.embedded.common.tables import free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.settings import Settings
from slipway.states.store import Store

WORK = {"automatic": "automatic", "given back": "give back", "particular": "particular", "": "give back"}
"""What is done in a round, in this order, and under which heading it is shown."""
FULL = {"/24, full": Shape("10.0.0.0/24", 1.0), "/16, full": Shape("10.0.0.0/16", 1.0)}


class Addresses:
    """Takes and gives back addresses of one pool."""

    def __init__(self, driver: EmbeddedNetwork, store: Store, shape: Shape) -> None:
        self._driver = driver
        self._store = store
        self._pool = Pool(driver, store, shape)
        self._made: list[str] = []

    def work(self, what: str, count: int) -> float:
        """Do it so many times; gives the CPU time of one in microseconds."""
        wanted = self._free_addresses(count) if what == "particular" else []
        cpu = time.process_time()
        for number in range(count):
            if what == "give back":
                self._driver.delete_port(ADMIN, self._made.pop())
            elif what == "particular":
                self._make(fixed_ips=[{"ip_address": wanted[number]}])
            elif what == "automatic":
                self._make()
            else:
                self._fail()
        return 1e6 * (time.process_time() - cpu) / count

    def _make(self, **attributes: object) -> None:
        self._made.append(self._driver.create_port(ADMIN, network_id=self._pool.network_id, **attributes).id)

    def _fail(self) -> None:
        try:
            self._driver.create_port(ADMIN, network_id=self._pool.network_id)
        except errors.IpAddressGenerationFailure:
            return
        raise AssertionError("there is an address left in a full pool")

    def _free_addresses(self, count: int) -> list[str]:
        """So many of the pool's free addresses, from all over it."""
        mine = free_ranges.c.subnet_id == self._pool.subnet_id
        with self._store.read() as tx:
            ranges = tx.execute(sa.select(free_ranges.c.first, free_ranges.c.last).where(mine)).all()
        if len(ranges) >= 2 * count:
            return [str(row.first) for row in ranges[:: len(ranges) // count]][:count]
        first, last = max(ranges, key=lambda row: int(row.last) - int(row.first))
        step = (int(last) - int(first)) // (count + 1)
        return [str(first + step * number) for number in range(1, count + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.addresses", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="rounds (default 30)")
    parser.add_argument("--addresses", type=int, default=60, help="addresses a round (default 60)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    with scratch(options.directory) as directory:
        free = _measured(directory, SHAPES, WORK, options)
        full = _measured(directory, FULL, {"exhausted": "exhausted"}, options)
    tell({**free, **full}, f"{_table(free)}\n\n{_table(full)}", as_json=options.json)


Results = dict[str, dict[str, tuple[float, float]]]
"""For each shape and each kind of work the median in microseconds, and the ratio to that of the first shape."""


def _measured(
    directory: Path, shapes: Mapping[str, Shape], work: Mapping[str, str], options: argparse.Namespace
) -> Results:
    store = Store(f"sqlite:///{directory}/slipway.db", synchronous="OFF")
    driver = EmbeddedNetwork(store, Settings(quota_port=-1))
    pools = {name: Addresses(driver, store, shape) for name, shape in shapes.items()}
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, name in in_turn([*shapes], options.rounds):
        for heading, what in work.items():
            cpu = pools[name].work(what, options.addresses)
            if number >= 0 and heading:
                found[name, heading].append(cpu)
    store.close()
    first = next(iter(shapes))
    return {
        name: {
            heading: (statistics.median(found[name, heading]), _ratio(found[name, heading], found[first, heading]))
            for heading in work
            if heading
        }
        for name in shapes
    }


def _ratio(mine: list[float], base: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(mine, base, strict=True))


def _table(results: Results) -> str:
    headings = next(iter(results.values()))
    rows = [[name, *(f"{cpu:.0f} ({ratio:.2f})" for cpu, ratio in row.values())] for name, row in results.items()]
    return table(["CPU us, and to the first", *headings], rows)


if __name__ == "__main__":
    main()

"""Many processes at once: addresses of one subnet, none twice and none lost, and a quota that is never exceeded."""

from __future__ import annotations

import argparse
import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.common import DISK, scratch, table, tell
from bench.pools import ADMIN, Pool, Shape
from slipway import errors
from slipway.drivers.network.embedded.common.tables import free_ranges
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.settings import Settings
from slipway.states.store import Store
from tests.postgresql import PostgreSQL, started

FORK = multiprocessing.get_context("fork")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.races", description=__doc__)
    parser.add_argument("--ports", type=int, default=300, help="ports that each process makes (default 300)")
    parser.add_argument("--directory", type=Path, default=DISK, help=f"where (default {DISK})")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL as well, where that is installed")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []

    def race(processes: int, ports: int, quota: int, database: PostgreSQL | None = None) -> None:
        with scratch(options.directory) as directory:
            url = database.empty() if database else f"sqlite:///{directory}/slipway.db"
            what = {"on": "PostgreSQL" if database else "SQLite", "processes": processes, "quota": quota}
            rows.append(what | _race(url, processes, ports, quota))

    for processes in (1, 8):
        race(processes, options.ports, -1)
    race(16, 5, 5)
    if options.postgresql:
        with started({"fsync": "on"}) as database:
            for on in (None, database):
                race(16, options.ports, -1, on)
                # A quota that is never reached is counted all the same.
                race(16, options.ports, 16 * options.ports, on)
            race(16, 5, 5, database)
    text = table(list(rows[0]), [list(row.values()) for row in rows])
    tell(
        {f"{row['on']}, {row['processes']} processes, {row['quota']}": row for row in rows}, text, as_json=options.json
    )


def _race(url: str, processes: int, ports: int, quota: int) -> dict[str, Any]:
    """Every process makes so many ports and deletes each third one; then all of it is counted."""
    settings = Settings(quota_port=quota)
    store = Store(url)
    pool = Pool(EmbeddedNetwork(store, settings), store, Shape("10.0.0.0/16"))
    store.close()
    barrier = FORK.Barrier(processes + 1)
    workers = [
        FORK.Process(target=_work, args=(barrier, url, settings, pool.network_id, ports)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - began
    if any(worker.exitcode for worker in workers):
        raise RuntimeError("a process has failed")
    return _counted(Store(url), settings) | {"creates a second": processes * ports / seconds}


def _work(barrier: Barrier, url: str, settings: Settings, network_id: str, ports: int) -> None:
    store = Store(url)
    driver = EmbeddedNetwork(store, settings)
    barrier.wait()
    for number in range(ports):
        try:
            port = driver.create_port(ADMIN, network_id=network_id)
        except errors.OverQuota:
            continue
        if number % 3 == 2 and settings.quota_port != 5:
            driver.delete_port(ADMIN, port.id)
    store.close()


def _counted(store: Store, settings: Settings) -> dict[str, int]:
    ports = EmbeddedNetwork(store, settings).list_ports(ADMIN)
    taken = [each.ip_address for port in ports for each in port.fixed_ips]
    with store.read() as tx:
        rows = tx.execute(sa.select(free_ranges.c.first, free_ranges.c.last)).all()
    store.close()
    free = sum(int(row.last) - int(row.first) + 1 for row in rows)
    size = 2**16 - 3
    return {"ports": len(ports), "twice": len(taken) - len(set(taken)), "lost": size - free - len(taken)}


if __name__ == "__main__":
    main()

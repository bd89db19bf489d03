"""What choosing hosts costs: by the database, and by a scan of all hosts in Python, as it was done before."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from bench.common import TMPFS, scratch, table, tell
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.place import settle
from slipway.drivers.registry import Drivers
from slipway.errors import HostElsewhere, NoValidHost
from slipway.flows.choosing import choose
from slipway.model.limits import GiB
from slipway.model.request import Flavor, Host, Image, InstanceRequest, ServerGroup
from slipway.settings import Settings
from slipway.states import hosts, schema
from slipway.states.hosts import HostUsage
from slipway.states.store import Store, Transaction

MOST = 3
SMALL = Flavor("small", 2, 4 * GiB, 20 * GiB)
PLAIN = InstanceRequest("new", SMALL, Image("tiny", path="/tiny"))
REQUESTS = {
    "room nearly everywhere": PLAIN,
    "nearly all of a host": replace(PLAIN, flavor=replace(SMALL, memory=255 * GiB)),
    "a label that 3 hosts have": replace(PLAIN, requires=(("gpu", "a100"),)),
    "nothing fits: a zone of full hosts": replace(PLAIN, zone="full"),
    "pinned CPUs, 0 where it is free": replace(PLAIN, flavor=replace(SMALL, pin_cpus=(0, 99))),
    "anti-affinity, 100 members": replace(PLAIN, group=ServerGroup("group-1", "anti-affinity")),
    "soft affinity, 100 members": replace(PLAIN, group=ServerGroup("group-1", "soft-affinity")),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scheduling", description=__doc__)
    parser.add_argument("--hosts", type=int, default=10_000, help="hosts on record (default 10000)")
    parser.add_argument("--instances", type=int, default=100_000, help="instances on record (default 100000)")
    parser.add_argument("--times", type=int, default=50, help="how often each request is scheduled (default 50)")
    parser.add_argument("--scans", type=int, default=3, help="how often all hosts are scanned (default 3)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results = {
        f"{count} instances, {name}": row
        for count in (0, options.instances)
        for name, row in _measure(options, count).items()
    }
    rows = [[name, *row.values()] for name, row in results.items()]
    tell(results, table(["request", "ms", "scan, ms", "to the scan"], rows), as_json=options.json)


def _measure(options: argparse.Namespace, instances: int) -> dict[str, dict[str, Any]]:
    with scratch(options.directory) as state, closing(Store(f"sqlite:///{state / 'slipway.db'}")) as store:
        drivers = Drivers(EmbeddedNetwork(store, Settings()), state)
        _fill(store, state, options.hosts, instances)
        scan = median(_seconds(lambda: _scan(PLAIN, store, drivers)) for _ in range(options.scans))
        found = {}
        for name, request in REQUESTS.items():

            def one(request: InstanceRequest = request) -> None:
                with suppress(NoValidHost):
                    choose(request, store, drivers, besides="new", most=MOST)

            one()
            took = median(_seconds(one) for _ in range(options.times if "nothing fits" not in name else 3))
            found[name] = {"ms": took * 1000, "scan_ms": scan * 1000, "to_the_scan": f"1/{scan / took:.0f}"}
        return found


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _scan(request: InstanceRequest, store: Store, drivers: Drivers) -> Sequence[str]:
    """How it was done: all hosts are read, and each is asked for."""
    with store.read(once=True) as tx:
        usages = [_seen_from_here(drivers, usage) for usage in hosts.usages(tx)]
    fitting = [
        usage
        for usage in usages
        if not usage.elsewhere
        and usage.host.enabled
        and request.host in (None, usage.host.name)
        and request.zone in (None, usage.host.zone)
        and request.flavor.vcpus <= min(usage.host.vcpus, usage.vcpus_limit - usage.vcpus_used)
        and request.flavor.memory <= usage.memory_limit - usage.memory_used
        and request.flavor.disk <= usage.disk_limit - usage.disk_used
    ]
    fitting.sort(
        key=lambda usage: (
            usage.failed_builds,
            (usage.memory_used - usage.memory_limit) / usage.memory_limit,
            (usage.vcpus_used - usage.vcpus_limit) / usage.vcpus_limit,
        )
    )
    return [usage.host.name for usage in fitting[:MOST]]


def _seen_from_here(drivers: Drivers, usage: HostUsage) -> HostUsage:
    try:
        drivers.check_here(usage.host)
    except HostElsewhere as error:
        return replace(usage, elsewhere=str(error))
    return usage


def _fill(store: Store, state: Path, many: int, instances: int) -> None:
    rng, here = random.Random(1), settle(state)
    with store.write() as tx:
        for number in range(many):
            host = Host(
                f"node-{number:05}",
                vcpus=rng.choice((16, 32, 64)),
                memory=rng.choice((64, 128, 256)) * GiB,
                disk=2000 * GiB,
                zone="full" if number % (many // 20) == 1 else "nova",
                labels=(("gpu", "a100"),) if number % (many // 3) == many // 4 else (("gpu", "none"),),
            )
            hosts.save(tx, host, here)
            used = {
                "vcpus_used": rng.randrange(host.vcpus * 4),
                "memory_used": host.memory if host.zone == "full" else rng.randrange(host.memory // GiB) * GiB,
                "disk_used": rng.randrange(1900) * GiB,
            }
            tx.execute(schema.hosts.update().where(schema.hosts.c.name == host.name).values(**used))
        for begin in range(0, instances, 1000):
            _instances(tx, range(begin, min(begin + 1000, instances)), many)
    with store.write() as tx:
        tx.execute(sa.text("ANALYZE"))


def _instances(tx: Transaction, numbers: range, many: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    common = {"project": "default", "vm_state": "ACTIVE", "generation": 1, "workflow": "build-instance", "attempt": 1}
    rows = [
        {
            **common,
            "id": f"id-{number}",
            "name": f"web-{number}",
            "request": b"{}",
            "group_name": f"group-{number // 100}",
            "host": f"node-{number % many:05}",
            "created_at": at,
        }
        for number in numbers
    ]
    tx.execute(schema.instances.insert(), rows)
    claims = [{"instance_id": row["id"], "host": row["host"], "vcpus": 1, "memory": 1, "disk": 1} for row in rows]
    tx.execute(schema.claims.insert(), claims)
    tx.execute(
        schema.pinned_cpus.insert(),
        [
            {"instance_id": row["id"], "host": row["host"], "cpu": (number // many + number) % 20}
            for number, row in zip(numbers, rows, strict=True)
        ],
    )


if __name__ == "__main__":
    main()

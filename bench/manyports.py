"""A network with 100,000 ports: pages of lists, an audit, and the memory that they need, in processes of their own."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from bench.common import TMPFS, rss, scratch, table, tell
from slipway.orchestrator import Orchestrator
from slipway.settings import Settings

AT_ONCE = 1000
PAGES = {
    "all": {},
    "of the network": {"network_id": "?"},
    "by id": {"sort_key": "id"},
    "of the project": {"project_id": "default"},
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.manyports", description=__doc__)
    parser.add_argument("--ports", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--child", choices=["fill", "pages", "audit"], help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child](options.directory, options.ports)))
        return
    with scratch(options.directory) as directory:
        results = {name: _child(name, directory, options.ports) for name in CHILDREN}
    rows = [(f"{name}: {what}", value) for name, found in results.items() for what, value in found.items()]
    tell(results, table(["", ""], rows), as_json=options.json)


def _child(name: str, directory: Path, ports: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.manyports", "--child", name, "--directory", str(directory)]
    done = subprocess.run([*command, "--ports", str(ports)], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _fill(directory: Path, ports: int) -> dict[str, Any]:
    """Make the ports, a thousand in a transaction."""
    began = time.perf_counter()
    with Orchestrator(directory, settings=Settings(quota_port=-1)) as slipway:
        network = slipway.network.create_network(name="big")
        slipway.network.create_subnet(network_id=network.id, cidr="10.0.0.0/8", ip_version=4)
        for _ in range(ports // AT_ONCE):
            slipway.network.create_ports([{"network_id": network.id, "device_id": "vm"}] * AT_ONCE)
    return {"seconds": time.perf_counter() - began, **_memory()}


def _pages(directory: Path, _ports: int) -> dict[str, Any]:
    """The CPU milliseconds of a page of 100, at the beginning and after 10,000 others."""
    found: dict[str, Any] = {}
    with Orchestrator(directory) as slipway:
        (network,) = slipway.network.list_networks()
        for name, filters in PAGES.items():
            given = {key: network.id if value == "?" else value for key, value in filters.items()}
            times: list[float] = []
            marker = None
            for number in range(100):
                began = time.process_time()
                page = slipway.network.list_ports(limit=100, marker=marker, **given)
                times.append(1000 * (time.process_time() - began))
                assert len(page) == 100, number
                marker = page[-1].id
            found[f"page {name}, ms"] = statistics.median(times[:10])
            found[f"page {name}, ms, after 9,000"] = statistics.median(times[90:])
    return found | _memory()


def _audit(directory: Path, _ports: int) -> dict[str, Any]:
    with Orchestrator(directory) as slipway:
        before, began = rss(), time.perf_counter()
        findings = slipway.audit()
        return {
            "seconds": time.perf_counter() - began,
            "findings (all are no instance's)": len(findings),
            "MB before": before,
            **_memory(),
        }


def _memory() -> dict[str, float]:
    """The most resident memory that this process had."""
    with psutil.Process().oneshot():
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"MB at most": int(peak.split()[1]) / 1000}


CHILDREN = {"fill": _fill, "pages": _pages, "audit": _audit}


if __name__ == "__main__":
    main()

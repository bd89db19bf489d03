"""Guests whose bridge is gone: what it takes to find and mend them all, beside what plugging them took at first.

A host that is a network namespace, with real taps, filters and a real DHCP server; its hypervisor is simulated, so that
nothing else is measured. Needs root, `ip`, `nft` and `dnsmasq`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.common import TMPFS, scratch, table, tell
from slipway import Orchestrator
from slipway.model.record import Event
from slipway.operations.repair import Outcome
from slipway.runfile import loads

HOST = "slp-bench"
MOST = 1.5
"""How many times as long as plugging a repair may take."""
JOINING = ("plugs", "dhcp")
"""The steps of a build that make what goes with a bridge: the tap in it, and the DHCP server's end of it."""

RUN_FILE = f"""
schema: 1
hosts:
  {HOST}: {{{{vcpus: 4000, memory: 4096GiB, disk: 90000GiB, compute: sim, wiring: linuxbridge, netns: {HOST}}}}}
networks: {{{{net: {{{{subnets: {{{{subnet: {{{{cidr: 10.0.0.0/16}}}}}}}}}}}}}}}}
flavors: {{{{small: {{{{vcpus: 1, memory: 64MiB, disk: 1GiB}}}}}}}}
images: {{{{tiny: {{{{path: ./tiny.qcow2, format: qcow2}}}}}}}}
instances: {{{{web: {{{{flavor: small, image: tiny, networks: [net], count: {{guests}}}}}}}}}}
settings: {{{{quota_port: -1}}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.repair", description=__doc__)
    parser.add_argument("--guests", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    subprocess.run(["ip", "netns", "add", HOST], check=True)
    try:
        with scratch(options.directory) as directory:
            results = measure(directory, options.guests)
    finally:
        subprocess.run(["ip", "netns", "del", HOST], check=True)
    rows = [(name, f"{value:.2f}") for name, value in results.items()]
    tell(results, table(["", ""], rows), as_json=options.json)
    sys.exit(results["repair / plugging"] > MOST)


def measure(directory: Path, guests: int) -> dict[str, Any]:
    """Build them, delete their bridge, mend it, and take all back."""
    file = loads(RUN_FILE.format(guests=guests), str(directory / "repair.yaml"))
    spent: dict[str, float] = defaultdict(float)
    begun: dict[tuple[str, str, int], float] = {}

    def listen(event: Event) -> None:
        key = (event.instance_id, event.step, event.slot)
        if event.type == "step.start":
            begun[key] = time.perf_counter()
        elif event.type == "step.end":
            spent[event.step] += time.perf_counter() - begun.pop(key)

    with Orchestrator(directory, settings=file.settings) as slipway:
        assert all(
            ended.instance and ended.instance.vm_state == "ACTIVE" for ended in slipway.run(file, on_event=listen).ended
        )
        (network,) = slipway.network.list_networks()
        subprocess.run(["ip", "-n", HOST, "link", "del", f"brq{network.id[:11]}"], check=True)
        began = time.perf_counter()
        found = len(slipway.audit())
        audited = time.perf_counter() - began
        began = time.perf_counter()
        mended = slipway.repair()
        took = time.perf_counter() - began
        assert len(mended) == found
        assert all(one.outcome is Outcome.MENDED for one in mended)
        assert slipway.audit() == ()
        slipway.destroy(file)
    plugging = sum(spent[step] for step in JOINING)
    return {
        "guests": guests,
        "differences found and mended": found,
        "plugging: the tap into the bridge, s": spent["plugs"],
        "plugging: served by DHCP, s": spent["dhcp"],
        "plugging, s": plugging,
        "an audit, s": audited,
        "repair, with two audits, s": took,
        "repair / plugging": took / plugging,
    }


if __name__ == "__main__":
    main()

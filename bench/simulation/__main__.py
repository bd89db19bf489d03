"""A day of builds on many hosts in one process, by a clock that nobody waits for: one seed, one history."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.common import TMPFS
from bench.simulation.day import Plan, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="what all chance is drawn from (default 1)")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from that one on (default 1)")
    parser.add_argument("--builds", type=int, default=200, help="instances that are asked for (default 200)")
    parser.add_argument("--hosts", type=int, default=10, help="hosts (default 10)")
    parser.add_argument("--workers", type=int, default=2, help="workers of each host (default 2)")
    parser.add_argument("--hours", type=float, default=1.0, help="in which they are asked for (default 1)")
    parser.add_argument("--ttl", type=int, default=120, help="seconds after which others take over (default 120)")
    parser.add_argument("--faults", type=float, default=1.0, help="how often things go wrong (default 1)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--trace", action="store_true", help="print the history, line by line")
    options = parser.parse_args()
    failed = False
    for seed in range(options.seed, options.seed + options.seeds):
        how = (options.builds, options.hosts, options.workers, options.hours, options.ttl, options.faults)
        plan = Plan(seed, *how)
        began = time.perf_counter()
        told = run(plan, print if options.trace else None, options.directory)
        failed |= bool(told.problems)
        print(f"seed {seed}: {told.digest[:16]}, {told.points} points, {told.hours:.1f} hours in ", end="")
        print(f"{time.perf_counter() - began:.1f} s; {_counts(told.states)}; {_counts(told.faults)}")
        for problem in told.problems[:20]:
            print(f"  {problem}")
        if told.problems:
            print(f"  {len(told.problems)} problems; again: {plan.line}")
    sys.exit(failed)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))


if __name__ == "__main__":
    main()

"""What a build costs with nothing on record, and with many finished builds on record: it must be the same."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.common import TMPFS, Builder, interleaved, median_ms, ratio, scratch, table, tell, timed
from bench.fill import fill


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("--record", type=int, default=50_000, help="finished builds on record (default 50000)")
    parser.add_argument("--builds", type=int, default=500, help="builds to measure on each record (default 500)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds that they are done in (default 10)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results = _measure(options)
    rows = [[name, *row.values()] for name, row in results.items()]
    tell(results, table(["on record", "MB", "CPU ms", "wall ms", "CPU to nothing"], rows), as_json=options.json)


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    builders: dict[str, Builder] = {}
    sizes: dict[str, float] = {}
    kinds = {"nothing": None, f"{options.record} deleted": True, f"{options.record} ACTIVE": False}
    with ExitStack() as stack:
        for name, deleted in kinds.items():
            directory = stack.enter_context(scratch(options.directory))
            builder = builders[name] = Builder(directory)
            stack.callback(builder.orchestrator.close)
            if deleted is not None:
                fill(directory, builder, options.record, deleted=deleted)
            sizes[name] = sum(file.stat().st_size for file in directory.glob("slipway.db*")) / 1e6
        contestants = {name: timed(builder.build) for name, builder in builders.items()}
        times = interleaved(contestants, rounds=options.rounds, count=max(1, options.builds // options.rounds))
    return {
        name: {
            "mb": sizes[name],
            "cpu_ms": median_ms(mine, "cpu"),
            "wall_ms": median_ms(mine, "wall"),
            "cpu_to_nothing": ratio(mine, times["nothing"], "cpu"),
        }
        for name, mine in times.items()
    }


if __name__ == "__main__":
    main()

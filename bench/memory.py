"""The memory of a process that makes one build after the other: it must not grow with them."""

from __future__ import annotations

import argparse
import gc
import tracemalloc
from pathlib import Path

from bench.common import TMPFS, Builder, rss, scratch, tell

EARLY = 100
"""The build after which the growth is counted: by then everything is loaded and every cache is warm."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--builds", type=int, default=500, help="builds to make (default 500)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--tracemalloc", action="store_true", help="print which lines hold what was added (slow)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    if options.tracemalloc:
        _trace(options.builds, options.directory)
        return
    results = measure(options.builds, options.directory)
    tell(results, text(results), as_json=options.json)


def measure(builds: int, parent: Path) -> dict[str, float]:
    """The resident memory in MB after build 100 and after the last one; in a fresh process it says most."""
    with scratch(parent) as directory:
        builder = Builder(directory)
        builder.build(EARLY)
        early = rss()
        builder.build(builds - EARLY)
        late = rss()
        builder.orchestrator.close()
    return {"builds": builds, "early_mb": early, "late_mb": late, "growth_mb": late - early}


def text(results: dict[str, float]) -> str:
    return (
        f"Memory: {results['early_mb']:.1f} MB after build {EARLY}, {results['late_mb']:.1f} MB after build "
        f"{results['builds']:.0f}: {results['growth_mb']:+.1f} MB (target: below 5)"
    )


def _trace(builds: int, parent: Path) -> None:
    with scratch(parent) as directory:
        builder = Builder(directory)
        builder.build(EARLY)
        tracemalloc.start(10)
        gc.collect()
        before = tracemalloc.take_snapshot()
        builder.build(builds - EARLY)
        gc.collect()
        after = tracemalloc.take_snapshot()
        builder.orchestrator.close()
    for line in after.compare_to(before, "lineno")[:20]:
        print(line)


if __name__ == "__main__":
    main()

"""Workflows of steps that do nothing, beside DBOS, TaskFlow and Prefect: what a step costs, how that grows, memory.

Each figure is taken in a process of its own. The peers are installed for it into an environment that is gone
afterwards; with --without-peers Slipway is alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import builds, engine
from bench.common import TMPFS, as_installed, scratch, table, tell
from bench.peers import peers_python
from bench.workflow_worker import NAP, STEPS

WORKER = Path(__file__).with_name("workflow_worker.py")
SLIPWAY, DBOS = "Slipway", "DBOS"
PEERS = (DBOS, "TaskFlow, memory", "TaskFlow, SQLite", "Prefect")
LINEAR = (10, 100, 1_000, 10_000)
MANY = 10_000
MOST = {"TaskFlow, memory": 1_000, "TaskFlow, SQLite": 100, "Prefect": 100}
"""With more steps a peer takes many minutes: each step costs it more the more there are."""
UNABLE = (("TaskFlow, SQLite", "beside"), ("Prefect", "beside"))
"""With so many threads the one ends with "database is locked", and the other's server does not start in time."""
SIDE_BY_SIDE = 64
ABOUT = {
    "linear": "one step after the other; its result is on record before the next one begins",
    "linear-acting": "the same, with effects: what a step is about to do is on record before it as well",
    "for_each": "one step for each item of a list",
    "beside": f"workflows of {STEPS} steps of {NAP * 1000:.0f} ms, side by side",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.workflows", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--most", type=int, default=MANY, help=f"steps of a workflow at most (default {MANY})")
    parser.add_argument("--builds", type=int, default=100, help="builds beside TaskFlow alone (default 100)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where the databases are (default {TMPFS})")
    parser.add_argument("--without-peers", action="store_true", help="install nothing, and measure Slipway alone")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    with scratch(options.directory) as directory:
        python = None if options.without_peers else peers_python(directory)
        results = {shape: _shape(shape, options, directory, python) for shape in ABOUT}
    results["in memory"] = engine.measure(sorted({min(1_000, options.most), options.most}), options.rounds, 1_000)
    results["a build"] = builds.beside_taskflow(options.builds, options.directory)
    tell(results, _text(results), as_json=options.json)


def _shape(shape: str, options: argparse.Namespace, directory: Path, python: str | None) -> dict[str, Any]:
    """The medians of the rounds, by "who, how many"; all take their turn in each round."""
    taken: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(options.rounds):
        for size, who in _entries(shape, options.most, python):
            one = _measure(who, shape, size, directory, python)
            if one is not None:
                taken.setdefault((who, size), []).append(one)
    return {
        f"{who}, {size}": {
            "cpu_ms_a_step": 1000 * _median(all_of, "cpu") / _steps(shape, size),
            "wall_ms_a_step": 1000 * _median(all_of, "wall") / _steps(shape, size),
            "wall_to_ideal": _median(all_of, "wall") / (STEPS * NAP) if shape == "beside" else None,
            "cpu_to_dbos": _ratio(all_of, taken.get((DBOS, size))),
            "peak_mb": _median(all_of, "peak_mb"),
        }
        for (who, size), all_of in taken.items()
    }


def _entries(shape: str, most: int, python: str | None) -> Iterator[tuple[int, str]]:
    sizes = {"beside": (SIDE_BY_SIDE,), "for_each": (100, MANY)}.get(shape, LINEAR)
    for size in sorted({min(size, most) for size in sizes}):
        yield size, SLIPWAY
        if python is not None and shape != "linear-acting":
            yield from ((size, who) for who in PEERS if size <= MOST.get(who, MANY) and (who, shape) not in UNABLE)


def _measure(who: str, shape: str, size: int, parent: Path, python: str | None) -> dict[str, float] | None:
    """What one run costs; None, and why on standard error, where it could not be had."""
    with scratch(parent) as directory:
        command = [
            sys.executable if who == SLIPWAY else str(python),
            str(WORKER),
            who,
            shape,
            str(size),
            str(directory),
        ]
        environment = {**as_installed(), "NO_PROXY": "*", "PYTHONPATH": os.pathsep.join(sys.path[:1])}
        try:
            done = subprocess.run(
                command, env=environment, cwd=directory, capture_output=True, text=True, check=True, timeout=600
            )
        except subprocess.SubprocessError as error:
            output = getattr(error, "stderr", None) or str(error)
            print(f"{who}, {shape}, {size}: {output.strip().splitlines()[-1]}", file=sys.stderr)
            return None
    taken: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return taken


def _steps(shape: str, size: int) -> int:
    return size * STEPS if shape == "beside" else size


def _median(taken: list[dict[str, float]], what: str) -> float:
    median: float = statistics.median(one[what] for one in taken)
    return median


def _ratio(taken: list[dict[str, float]], base: list[dict[str, float]] | None) -> float | None:
    return _median(taken, "cpu") / _median(base, "cpu") if base else None


def _text(results: dict[str, Any]) -> str:
    headings = ["CPU ms a step", "wall ms a step", "wall to ideal", "CPU to DBOS", "peak MB"]
    parts = []
    for shape, about in ABOUT.items():
        rows = [[name, *("-" if one is None else one for one in row.values())] for name, row in results[shape].items()]
        parts.append(table([f"{shape}: {about}", *headings], rows))
    build = results["a build"]
    parts.append(engine.text(results["in memory"]))
    parts.append(f"A build of {build['steps']} steps: {build['cpu_to_taskflow']:.2f} of TaskFlow's CPU for as many")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()

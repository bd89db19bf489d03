"""Builds on the simulated hypervisor beside TaskFlow alone, the bare commits and DBOS, on tmpfs and on disk."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench import memory
from bench.common import (
    DISK,
    TMPFS,
    Builder,
    Contestant,
    Timing,
    counts_of_a_build,
    filesystem,
    interleaved,
    median_ms,
    ratio,
    scratch,
    table,
    tell,
    timed,
)
from bench.peers import bare_commits, dbos, dbos_python, taskflow_alone
from slipway.flows.loader import find_definition, load_definition
from slipway.flows.tasks.catalog import CATALOG

TASKFLOW = "TaskFlow alone, in memory"


def main() -> None:
    options = _options()
    with ExitStack() as stack:
        results = _measure(options, stack)
    with get_context("spawn").Pool(1) as pool:
        results["memory"] = pool.apply(memory.measure, (options.builds, options.tmpfs))
    tell(results, _text(results), as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.builds", description=__doc__)
    parser.add_argument("--builds", type=int, default=500, help="builds in each place (default 500)")
    parser.add_argument("--rounds", type=int, default=10, help="rounds that they are done in (default 10)")
    parser.add_argument("--tmpfs", type=Path, default=TMPFS, help=f"a directory on tmpfs (default {TMPFS})")
    parser.add_argument("--disk", type=Path, default=DISK, help=f"a directory on a disk (default {DISK})")
    parser.add_argument("--dbos", action="store_true", help="install DBOS into an environment of its own")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args()


def _measure(options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    steps = _steps()
    with scratch(options.tmpfs) as directory:
        counts = counts_of_a_build(directory)
    python = dbos_python(install=options.dbos)
    if python is None:
        print("DBOS is left out: not installed; --dbos installs it", file=sys.stderr)
    places = {filesystem(path): path for path in (options.tmpfs, options.disk)}
    contestants: dict[str, Contestant] = {TASKFLOW: timed(taskflow_alone(steps))}
    for place, parent in places.items():
        directory = stack.enter_context(scratch(parent))
        builder = Builder(directory / "slipway")
        stack.callback(builder.orchestrator.close)
        contestants[_slipway(place)] = timed(builder.build)
        contestants[_bare(place)] = timed(bare_commits(directory, counts))
        if python:
            contestants[f"DBOS, {place}"] = stack.enter_context(dbos(python, directory, steps))
    times = interleaved(contestants, rounds=options.rounds, count=max(1, options.builds // options.rounds))
    return {
        "steps": steps,
        "commits": counts.commits,
        "statements": counts.statements,
        "contestants": {name: _row(times, name, places) for name in contestants},
    }


def beside_taskflow(count: int, parent: Path, *, rounds: int = 10) -> dict[str, Any]:
    """A build's steps, and its CPU to that of TaskFlow alone with as many tasks that do nothing, in memory."""
    steps = _steps()
    with scratch(parent) as directory:
        builder = Builder(directory)
        contestants = {"ours": timed(builder.build), TASKFLOW: timed(taskflow_alone(steps))}
        times = interleaved(contestants, rounds=rounds, count=max(1, count // rounds))
        builder.orchestrator.close()
    return {"steps": steps, "cpu_to_taskflow": ratio(times["ours"], times[TASKFLOW], "cpu")}


def _steps() -> int:
    signatures = {name: task.signature for name, task in CATALOG.items()}
    return len(load_definition(find_definition("build-instance"), signatures).steps)


def _slipway(place: str) -> str:
    return f"Slipway, {place}"


def _bare(place: str) -> str:
    return f"bare commits, {place}"


def _row(times: dict[str, list[Timing]], name: str, places: dict[str, Path]) -> dict[str, float | None]:
    mine = times[name]
    bare = next((times[_bare(place)] for place in places if name.endswith(f", {place}")), None)
    return {
        "cpu_ms": median_ms(mine, "cpu"),
        "wall_ms": median_ms(mine, "wall"),
        "cpu_to_taskflow": ratio(mine, times[TASKFLOW], "cpu"),
        "wall_to_bare": ratio(mine, bare, "wall") if bare else None,
    }


def _text(results: dict[str, Any]) -> str:
    rows = [
        [name, *("-" if value is None else value for value in row.values())]
        for name, row in results["contestants"].items()
    ]
    times = table(["a build", "CPU ms", "wall ms", "CPU to TaskFlow", "wall to bare commits"], rows)
    return (
        f"{results['steps']} steps, {results['commits']} commits and {results['statements']} statements a build\n\n"
        f"{times}\n\n{memory.text(results['memory'])}"
    )


if __name__ == "__main__":
    main()

"""Empty tasks in memory on the engine of our own, beside TaskFlow's serial one: what each costs, and how that grows."""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Sequence
from typing import Any

from taskflow import engines, task
from taskflow.patterns import linear_flow, unordered_flow

from bench.common import table, tell

SIZES = (10, 100, 1_000, 10_000)
MOST_FOR_TASKFLOW = 1_000
"""With more its serial engine takes minutes: a task of 10,000 costs it a second."""
SHAPES = {"linear": linear_flow.Flow, "unordered": unordered_flow.Flow}


class Nothing(task.Task):  # type: ignore[misc]
    def execute(self) -> None:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is run (default 3)")
    parser.add_argument("--most", type=int, default=MOST_FOR_TASKFLOW, help="tasks at most for TaskFlow (default 1000)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results = measure(SIZES, options.rounds, options.most)
    tell(results, text(results), as_json=options.json)


def measure(sizes: Sequence[int], rounds: int, most: int) -> dict[str, dict[str, Any]]:
    """By shape and size, microseconds of CPU a task, and how often ours fits into TaskFlow's, up to `most` of them."""
    for name in ("slipway", "serial"):
        _seconds("linear", 10, name)  # loads what is loaded once
    return {f"{shape}, {size}": _measure(shape, size, rounds, most) for shape in SHAPES for size in sizes}


def _measure(shape: str, size: int, rounds: int, most: int) -> dict[str, Any]:
    """They take turns."""
    names = ["slipway", "serial"] if size <= most else ["slipway"]
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            times[name].append(_seconds(shape, size, name))
    median = {name: statistics.median(taken) for name, taken in times.items()}
    serial = median.get("serial")
    return {
        "ours_us": median["slipway"] / size * 1e6,
        "taskflow_us": serial and serial / size * 1e6,
        "times_faster": serial and serial / median["slipway"],
        "ours_s": median["slipway"],
    }


def _seconds(shape: str, size: int, engine: str) -> float:
    """The CPU of loading a flow into an engine and running it."""
    flow = SHAPES[shape]("flow").add(*(Nothing(name=f"task-{number}") for number in range(size)))
    gc.collect()
    began = time.process_time()
    engines.load(flow, engine=engine).run()
    return time.process_time() - began


def text(results: dict[str, Any]) -> str:
    """What was measured, for a reader."""
    headings = ["tasks", "ours, us a task", "TaskFlow serial, us a task", "times faster", "ours, s in all"]
    rows = [[name, *("-" if one is None else one for one in row.values())] for name, row in results.items()]
    return table(headings, rows)


if __name__ == "__main__":
    main()

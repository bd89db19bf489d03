"""Runs DBOS workflows as asked: a count a line on standard input, times a line on standard output. Imports no Slipway.

Arguments: the SQLite file, the number of steps.
"""

from __future__ import annotations

import json
import sys
import time

from dbos import DBOS  # type: ignore[import-not-found,unused-ignore]


@DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
def step(number: int) -> int:
    return number


@DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
def workflow(steps: int) -> None:
    for number in range(steps):
        step(number)


def main() -> None:
    path, steps = sys.argv[1], int(sys.argv[2])
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{path}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    for line in sys.stdin:
        count = int(line)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            workflow(steps)
        taken = {"cpu": (time.process_time() - cpu) / count, "wall": (time.perf_counter() - wall) / count}
        print(json.dumps(taken), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main()

"""Runs one workflow of empty steps on one orchestrator, in a process of its own, and says what it cost.

Arguments: who, which shape, how many steps, an empty directory. Imports nothing but that orchestrator; what it cost
stands in JSON on the last line. CPU and memory are those of the process with its children, where it has a server.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

NAP, STEPS = 0.05, 6
"""Of the workflows side by side: how long each step takes, in seconds, and how many steps each has."""

Go = Callable[[int], object]
"""Runs the workflow with so many steps, or so many workflows side by side."""


# --- Slipway ------------------------------------------------------------------------------------------------------


def slipway(shape: str, directory: Path) -> Go:
    from slipway import Orchestrator
    from slipway.flows.tasks.catalog import load_tasks

    load_tasks(str(Path(__file__).with_name("workflow_tasks.py")))
    orchestrator = Orchestrator(directory / "state")
    path = directory / "flow.yaml"

    def go(size: int) -> None:
        if shape == "beside":
            path.write_text(_chain(STEPS, "nap"))
            with ThreadPoolExecutor(size) as executor:
                handles = [orchestrator.runs.start(str(path), executor=executor) for _ in range(size)]
                _check([handle.wait().state for handle in handles])
            return
        each = "schema: 1\nname: flow\nsteps:\n- {id: s, uses: %s, for_each: [%s], with: {number: '${{ item }}'}}\n"
        task = "acting" if shape.endswith("acting") else "empty"
        path.write_text(_chain(size, task) if shape.startswith("linear") else each % (task, ", ".join(_numbers(size))))
        _check([orchestrator.runs.run(str(path)).state])

    return go


def _chain(size: int, task: str) -> str:
    steps = [f"- {{id: s{number}, uses: {task}, with: {{number: {number}}}}}" for number in range(size)]
    return "schema: 1\nname: flow\nsteps:\n" + "\n".join(steps) + "\n"


def _numbers(size: int) -> list[str]:
    return [str(number) for number in range(size)]


def _check(states: list[Any]) -> None:
    if {str(state) for state in states} != {"SUCCEEDED"}:
        sys.exit(f"runs ended {states}")


# --- DBOS ---------------------------------------------------------------------------------------------------------


def dbos(shape: str, directory: Path) -> Go:
    from dbos import DBOS  # type: ignore[import-not-found,unused-ignore]

    @DBOS.step()  # type: ignore[untyped-decorator,unused-ignore]
    def step(number: int) -> int:
        if shape == "beside":
            time.sleep(NAP)
        return number

    @DBOS.workflow()  # type: ignore[untyped-decorator,unused-ignore]
    def workflow(size: int) -> None:
        for number in range(size):
            step(number)

    database = f"sqlite:///{directory}/dbos.db"
    DBOS(config={"name": "bench", "system_database_url": database, "log_level": "ERROR", "run_admin_server": False})
    DBOS.launch()

    def go(size: int) -> None:
        if shape == "beside":
            for handle in [DBOS.start_workflow(workflow, STEPS) for _ in range(size)]:
                handle.get_result()
        else:
            workflow(size)

    return go


# --- TaskFlow -----------------------------------------------------------------------------------------------------


def taskflow(shape: str, directory: Path, *, kept: bool = False) -> Go:
    from taskflow import engines, task
    from taskflow.patterns import linear_flow, unordered_flow
    from taskflow.persistence import backends, models

    class Step(task.Task):  # type: ignore[misc]
        def execute(self) -> None:
            if shape == "beside":
                time.sleep(NAP)

    backend = None
    if kept:
        backend = backends.fetch({"connection": f"sqlite:///{directory}/taskflow.db"})
        with closing(backend.get_connection()) as connection:
            connection.upgrade()
    pattern = linear_flow.Flow if shape in ("linear", "beside") else unordered_flow.Flow

    def one(size: int) -> None:
        flow = pattern("flow").add(*(Step(name=f"step-{number}") for number in range(size)))
        engines.load(flow, backend=backend, book=models.LogBook("bench") if kept else None, engine="serial").run()

    def go(size: int) -> None:
        if shape == "beside":
            with ThreadPoolExecutor(size) as executor:
                list(executor.map(one, [STEPS] * size))
        else:
            one(size)

    return go


# --- Prefect ------------------------------------------------------------------------------------------------------


def prefect(shape: str, directory: Path) -> Go:
    os.environ |= {
        "PREFECT_HOME": str(directory),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{directory}/prefect.db",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
    }
    from prefect import flow, task  # type: ignore[import-not-found,unused-ignore]

    @task
    def step(number: int) -> int:
        if shape == "beside":
            time.sleep(NAP)
        return number

    @flow(name="flow")
    def workflow(size: int) -> None:
        if shape == "for_each":
            step.map(list(range(size))).wait()
        for number in range(size if shape != "for_each" else 0):
            step(number)

    def go(size: int) -> None:
        if shape == "beside":
            with ThreadPoolExecutor(size) as executor:
                list(executor.map(workflow, [STEPS] * size))
        else:
            workflow(size)

    return go


MAKERS: dict[str, Callable[[str, Path], Go]] = {
    "Slipway": slipway,
    "DBOS": dbos,
    "TaskFlow, memory": taskflow,
    "TaskFlow, SQLite": lambda shape, directory: taskflow(shape, directory, kept=True),
    "Prefect": prefect,
}


# --- measuring ----------------------------------------------------------------------------------------------------


def _family(process: str = "self") -> list[str]:
    """The process and its children, and theirs."""
    found = [process]
    for thread in Path(f"/proc/{process}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += _family(child)
    return found


def _cpu() -> float:
    """Seconds of CPU of the process and its children, threads that have ended among them."""
    ticks = 0
    for process in _family()[1:]:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _peak_mb() -> float:
    statuses = [Path(f"/proc/{process}/status").read_text() for process in _family()]
    return sum(int(text.split("VmHWM:")[1].split()[0]) for text in statuses) / 1000


def main() -> None:
    who, shape, size, directory = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    logging.disable(logging.WARNING)
    go = MAKERS[who](shape, directory)
    go(2)  # loads what is loaded once
    before, cpu, wall = _peak_mb(), _cpu(), time.perf_counter()
    go(size)
    taken = {"cpu": _cpu() - cpu, "wall": time.perf_counter() - wall, "peak_mb": _peak_mb(), "before_mb": before}
    print(json.dumps(taken), flush=True)
    # Servers and pools of the peers would be waited for.
    for process in _family()[1:]:
        os.kill(int(process), 15)
    os._exit(0)


if __name__ == "__main__":
    main()

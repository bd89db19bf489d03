"""What the benchmarks share: the build that is measured, a record to build on, interleaved rounds, tables."""

from __future__ import annotations

import gc
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from msgspec.structs import replace

import slipway
from slipway.model.request import InstanceRequest
from slipway.runfile import RunFile, loads
from slipway.states.store import Store

TMPFS = Path("/dev/shm")
DISK = Path("/var/tmp")

RUN_FILE = """
schema: 1
hosts:
  node-1: {vcpus: 40000, memory: 4096GiB, disk: 90000GiB, compute: sim}
  node-2: {vcpus: 40000, memory: 4096GiB, disk: 90000GiB, compute: sim}
  node-3: {vcpus: 40000, memory: 4096GiB, disk: 90000GiB, compute: sim}
  node-4: {vcpus: 40000, memory: 4096GiB, disk: 90000GiB, compute: sim}
networks:
  net: {subnets: {subnet: {cidr: 10.0.0.0/16}}}
flavors: {small: {vcpus: 1, memory: 64MiB, disk: 1GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  first: {flavor: small, image: tiny, networks: [net]}
settings: {quota_port: -1}
"""
"""One NIC, one disk, hosts that do not fill up."""


class Builder:
    """A record of its own in `directory`, on which instances are built one after the other."""

    def __init__(self, directory: Path, *, store: Callable[[str], Store] = Store) -> None:
        file: RunFile = loads(RUN_FILE, str(directory / "bench.yaml"))
        self.orchestrator = slipway.Orchestrator(directory, settings=file.settings, store=store)
        self.orchestrator.run(file)
        self.request: InstanceRequest = file.instances[0].request
        self.built = 0

    def build(self, count: int = 1) -> None:
        for _ in range(count):
            self.built += 1
            self.build_one(f"vm-{self.built}")

    def build_one(self, name: str) -> None:
        self.orchestrator.create(replace(self.request, name=name))


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A directory that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="slipway-bench-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def filesystem(path: Path) -> str:
    """The type of the file system that `path` is on."""
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[at] for at in (path.resolve(), *path.resolve().parents) if at in mounts), "unknown")


def as_installed() -> dict[str, str]:
    """The environment for a command: its modules are compiled once, not at every start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


# --- counting -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """What one build does to the database; `commits` are those of transactions that write."""

    commits: int
    statements: int


def counts_of_a_build(directory: Path) -> Counts:
    """Count what SQLite is told during one build, transactions included."""
    seen: list[str] = []
    builder = Builder(directory, store=lambda url: traced(Store(url), seen))
    builder.build()
    seen.clear()
    builder.build()
    builder.orchestrator.close()
    return Counts(_commits(seen), len(seen))


def _commits(told: Sequence[str]) -> int:
    """Transactions that write, of several statements or of one, which SQLite tells of again for each trigger."""
    found, within, before = 0, False, ""
    for text in told:
        if text.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            within = text.startswith("BEGIN")
            found += text.startswith("BEGIN IMMEDIATE")
        elif not within and text != before and text.startswith(("INSERT", "UPDATE", "DELETE")):
            found += 1
        before = text
    return found


def traced(store: Store, seen: list[str]) -> Store:
    """Have SQLite itself add every statement that it runs to `seen`."""

    @sa.event.listens_for(store.engine, "connect")
    def _trace(connection: Any, _record: object) -> None:
        connection.set_trace_callback(seen.append)

    store.close()
    return store


# --- timing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds for one piece of work."""

    cpu: float
    wall: float


Contestant = Callable[[int], Timing]
"""Does its work so many times and says how long one of them took."""


def timed(work: Callable[[int], object]) -> Contestant:
    """A contestant in this process."""

    def measure(count: int) -> Timing:
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        work(count)
        return Timing((time.process_time() - cpu) / count, (time.perf_counter() - wall) / count)

    return measure


def interleaved(contestants: Mapping[str, Contestant], *, rounds: int, count: int) -> dict[str, list[Timing]]:
    """Let each of them work `count` times in every round, in an order that turns from round to round.

    So what else the machine does meets all of them alike. A round before the first one warms up and is not counted.
    """
    names = list(contestants)
    times: dict[str, list[Timing]] = {name: [] for name in names}
    for name in names:
        contestants[name](max(1, count // 5))
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(contestants[name](count))
    return times


def in_turn(names: Sequence[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Every round with each of the names, in an order that turns from round to round; round -1 is to warm up."""
    for number in range(-1, rounds):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            yield number, name


def median_ms(times: Sequence[Timing], what: str) -> float:
    """The median of `cpu` or `wall`, in milliseconds."""
    median: float = statistics.median(getattr(one, what) for one in times)
    return 1000 * median


def ratio(times: Sequence[Timing], base: Sequence[Timing], what: str) -> float:
    """How often `base` fits into `times`: the median of the rounds' ratios, since a round's noise meets both."""
    median: float = statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(times, base, strict=True))
    return median


def rss() -> float:
    """The resident memory of this process in MB."""
    return psutil.Process(os.getpid()).memory_info().rss / 1e6


# --- telling ------------------------------------------------------------------------------------------------------


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, numbers with two decimals."""
    texts = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(headings))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in texts
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def tell(results: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the results for a program or for a reader."""
    print(json.dumps(results, indent=2) if as_json else text)

"""A list of 100,000 instances beside one of 1,000: whole, as JSON and as text, and a page: time and memory of each."""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.common import TMPFS, scratch, table, tell
from slipway import Flavor, GiB, Host, Image, InstanceRequest, Orchestrator

COMMAND = """
import sys
from slipway.cli.main import main
try:
    main(prog_name="slipway")
finally:
    # What rusage says has the memory of this process's parent in it.
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""
LISTS = {
    "JSON": ("--output", "json"),
    "text": (),
    "JSON, by --sort created": ("--sort", "created", "--output", "json"),
    "a page of 100 in the middle": ("--limit", "100", "--after", "{middle}"),
    "of one name's pattern": ("--name", "web-99*"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.lists", description=__doc__)
    parser.add_argument("--instances", type=int, default=100_000, help="how many (default 100000)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where (default {TMPFS})")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results: dict[str, dict[int, Any]] = {name: {} for name in LISTS}
    for number in (options.instances // 100, options.instances):
        with scratch(options.directory) as directory:
            fill(directory, number)
            for name, words in LISTS.items():
                results[name][number] = measured(
                    directory, [word.format(middle=f"web-{number // 2}") for word in words]
                )
    rows = [
        (f"{name}, of {number}", f"{found['seconds']:.2f} s", f"{found['MB']:.0f} MB")
        for name, by_number in results.items()
        for number, found in by_number.items()
    ]
    tell(results, table(["slipway list", "seconds", "memory at most"], rows), as_json=options.json)


def fill(directory: Path, number: int) -> None:
    """Have so many instances on record, as one that was built; without their effects, which a list does not read."""
    with Orchestrator(directory) as slipway:
        slipway.add_host(Host("node-1", vcpus=64, memory=64 * GiB, disk=640 * GiB))
        image = Image("tiny", kernel="/vmlinux")
        slipway.create(InstanceRequest("web-0", Flavor("small", 1, GiB, GiB), image, networks=()))
    with closing(sqlite3.connect(directory / "slipway.db", isolation_level=None)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(instances)")]
        own = {"id": "printf('%036d', n.i)", "name": "'web-' || n.i", "run_id": "NULL"}
        values = ", ".join(own.get(column, f"o.{column}") for column in columns)
        database.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            f"INSERT INTO instances ({', '.join(columns)}) SELECT {values} FROM n, (SELECT * FROM instances) o",
            (number - 1,),
        )


def measured(directory: Path, words: list[str]) -> dict[str, float]:
    """The time of the command, and the most memory that its process had."""
    began = time.perf_counter()
    command = [sys.executable, "-c", COMMAND, "list", *words, "--state", str(directory)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return {"seconds": time.perf_counter() - began, "MB": int(done.stderr.split()[1]) * 1024 / 1e6}


if __name__ == "__main__":
    main()

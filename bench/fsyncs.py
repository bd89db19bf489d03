"""Counts by strace how often a build waits for the disk: once a commit, and seldom for a checkpoint."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench.common import DISK, Builder, counts_of_a_build, scratch, table, tell

MARK = "the builds begin"
"""What the traced process writes when it is ready, to be found in the trace."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fsyncs", description=__doc__)
    parser.add_argument("--builds", type=int, default=200, help="builds of the longer trace (default 200)")
    parser.add_argument("--directory", type=Path, default=DISK, help=f"where (default {DISK})")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--traced", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.traced:
        _builds(options.directory, options.traced)
        return
    if not shutil.which("strace"):
        sys.exit("strace is not installed: without it nobody sees the fsyncs (Debian: apt-get install strace)")
    results = [_measure(options.directory, count) for count in (1, options.builds)]
    rows = [list(result.values()) for result in results]
    tell({"traces": results}, table(["builds", "commits", *_FILES.values()], rows), as_json=options.json)


_FILES = {"slipway.db-wal": "fsyncs of the WAL", "slipway.db": "of the database", "other": "of other files"}


def _measure(parent: Path, builds: int) -> dict[str, Any]:
    with scratch(parent) as directory:
        commits = counts_of_a_build(directory / "counted").commits
        trace = directory / "trace"
        command = [sys.executable, "-m", "bench.fsyncs", "--directory", str(directory), "--traced", str(builds)]
        calls = "trace=fsync,fdatasync,sync_file_range,msync,sync,syncfs,write"
        subprocess.run(
            ["strace", "-f", "-y", "-e", calls, "-o", str(trace), *command], check=True, stderr=subprocess.DEVNULL
        )
        _, begun, after = trace.read_text().partition(MARK)
        assert begun
    found = Counter(Path(path).name for path in re.findall(r"(?:fsync|fdatasync)\(\d+<([^>]*)>", after))
    other = len(re.findall(r" \w*sync\w*\(", after)) - found["slipway.db-wal"] - found["slipway.db"]
    files = {**found, "other": other}
    return {"builds": builds, "commits": builds * commits} | {name: files.get(name, 0) for name in _FILES}


def _builds(directory: Path, count: int) -> None:
    """What is traced: nothing else that waits for the disk comes after the mark, for the process ends at once."""
    builder = Builder(directory / "traced")
    builder.build()
    os.write(2, MARK.encode())
    builder.build(count)
    os._exit(0)


if __name__ == "__main__":
    main()

"""A part of the tests with their records in PostgreSQL; `bash tests/run --db postgresql` has all of them there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgresql import missing
from tests.waiting import until

PART = (
    "tests/test_record.py",
    "tests/states/test_ledger.py",
    "tests/states/test_outbox.py",
    "tests/build/test_checklist_build.py",
    "tests/changes/test_rebuild.py",
    "tests/runs/test_half_deleted.py",
)


@pytest.mark.sqlite("starts a run with --db postgresql itself")
def test_what_holds_of_files_holds_on_postgresql() -> None:
    if reason := missing():
        pytest.skip(reason)
    # This worker's own name is none of the other pytest's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "--db", "postgresql", *PART]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


_BEGIN = """
import time
from tests.postgresql import started

with started() as server:
    print(server.directory, flush=True)
    time.sleep(600)
"""


def test_a_server_ends_with_whoever_started_it_however_that_ends() -> None:
    if reason := missing():
        pytest.skip(reason)
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", _BEGIN], cwd=root, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().strip())
        server = Path("/proc", (directory / "data/postmaster.pid").read_text().splitlines()[0])
        assert server.exists()
        owner.kill()
    until(lambda: not server.exists() and not directory.parent.exists(), "it has ended, and left nothing")

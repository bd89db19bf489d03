"""A process that makes one build after the other keeps nothing of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_memory_does_not_grow_with_the_builds(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    directory = str(memory if memory.is_dir() else tmp_path)
    command = [sys.executable, "-m", "bench.memory", "--builds", "300", "--directory", directory, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["builds"] == 300
    assert measured["growth_mb"] < 5

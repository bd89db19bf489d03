"""The benchmark of workflows, small and without its peers: it measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = ["--without-peers", "--rounds", "1", "--most", "20", "--builds", "10", "--json"]


def test_each_shape_is_measured_without_the_peers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.workflows", *SMALL, "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    measured = json.loads(done.stdout)
    assert list(measured["linear"]) == ["Slipway, 10", "Slipway, 20"]
    assert list(measured["for_each"]) == ["Slipway, 20"]
    shapes = [measured[shape] for shape in ("linear", "linear-acting", "for_each", "beside")]
    assert all(row["cpu_ms_a_step"] > 0 and row["peak_mb"] > 20 for shape in shapes for row in shape.values())
    assert measured["beside"]["Slipway, 20"]["wall_to_ideal"] >= 1
    assert set(measured["in memory"]) == {"linear, 20", "unordered, 20"}
    assert measured["a build"]["cpu_to_taskflow"] > 0
    assert list(tmp_path.iterdir()) == []

"""A pytest of its own, as a user of Slipway's plugin has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import record


def run_pytest(directory: Path, *words: str) -> tuple[int, str]:
    """The exit code and the output of a pytest in that directory, with Slipway's plugin and no other."""
    environment = {
        **os.environ,
        "PYTHONPATH": record.python_path(directory),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        # Files that a test changes twice in a second would be taken for what they were.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "slipway.pytest_plugin", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr

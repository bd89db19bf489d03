"""`slipway run` of a workflow."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from slipway.cli.options import Options
from slipway.cli.runwork import carry_out
from slipway.flows.runs.prepared import Given


def run_workflow(
    options: Options,
    file: Path,
    inputs: Given,
    *,
    parallel: int | None,
    key: str | None,
    project: str | None,
    allow_commands: bool,
) -> int:
    """Carry it out to its end, or until somebody must say that it goes on; gives the exit code."""
    threads = parallel or min(8, 2 * (os.cpu_count() or 1))
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as executor:
        return carry_out(
            options,
            lambda runs, stop, progress: runs.run(
                str(file), inputs, idempotency_key=key, on_event=progress, stopping=stop
            ),
            allow_commands=allow_commands,
            new=True,
            project=project,
            executor=executor,
        )

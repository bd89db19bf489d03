"""How long `slipway --help` and `slipway run` of the smallest file take, and which imports take it.

With `--against DIRECTORY` these and the commands that only look are started there in turns, each in its own `.venv`.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.common import TMPFS, Timing, as_installed, median_ms, scratch, table, tell

EXAMPLE = Path(__file__).parents[1] / "examples" / "smallest.yaml"
SLIPWAY = [sys.executable, "-c", "from slipway.cli.main import main; main()"]
"""What the console script does."""

PYTHON = "python -c pass"
HELP = "slipway --help"
LIST = "slipway list"
SHOW = "slipway show web-1"
PORTS = "slipway port list"
RUN = "slipway run examples/smallest.yaml"
COMMANDS = {
    PYTHON: [sys.executable, "-c", "pass"],
    HELP: [*SLIPWAY, "--help"],
    LIST: [*SLIPWAY, "list"],
    SHOW: [*SLIPWAY, "show", "web-1"],
    PORTS: [*SLIPWAY, "port", "list"],
    RUN: [*SLIPWAY, "run", str(EXAMPLE)],
}
LOOKING = (LIST, SHOW, PORTS)
"""On a state in which the smallest file was run."""
TARGETS = {HELP: 0.2, RUN: 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often each is started (default 10)")
    parser.add_argument("--imports", type=int, default=10, help="how many of the slowest imports to show (default 10)")
    parser.add_argument("--directory", type=Path, default=TMPFS, help=f"where the state is kept (default {TMPFS})")
    parser.add_argument("--against", type=Path, help="another checkout: its CPU is compared, command by command")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    results: dict[str, Any] = {"seconds": _times(options), "imports": {}}
    if options.against is not None:
        results["ratios"] = _ratios(options)
    for name in TARGETS:
        results["imports"][name] = _imports(COMMANDS[name], options)
    tell(results, _text(results), as_json=options.json)


def _times(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    times: dict[str, list[Timing]] = {name: [] for name in (PYTHON, HELP, RUN)}
    for _ in range(options.rounds + 1):
        for name in times:
            cpu, wall = _children_cpu(), time.perf_counter()
            _start(COMMANDS[name], options.directory)
            times[name].append(Timing(_children_cpu() - cpu, time.perf_counter() - wall))
    return {name: {what: median_ms(mine[1:], what) / 1000 for what in ("cpu", "wall")} for name, mine in times.items()}


def _ratios(options: argparse.Namespace) -> dict[str, float]:
    """The least CPU of each command here, to that of the other checkout; they take turns."""
    other = str(options.against / ".venv" / "bin" / "python")
    ratios: dict[str, float] = {}
    for name in (HELP, *LOOKING, RUN):
        least = {sys.executable: float("inf"), other: float("inf")}
        for _ in range(options.rounds):
            for python in least:
                least[python] = min(least[python], _cpu([python, *COMMANDS[name][1:]], options, name in LOOKING))
        ratios[name] = least[sys.executable] / least[other]
    return ratios


def _cpu(command: list[str], options: argparse.Namespace, looking: bool) -> float:
    # `python -c` looks for modules where it is started.
    checkout = Path(command[0]).parents[2]
    with scratch(options.directory) as state:
        environment = {**as_installed(), "SLIPWAY_STATE": str(state)}
        if looking:
            made = [command[0], *COMMANDS[RUN][1:]]
            subprocess.run(made, env=environment, cwd=checkout, capture_output=True, check=True)
        cpu = _children_cpu()
        subprocess.run(command, env=environment, cwd=checkout, capture_output=True, check=True)
        return _children_cpu() - cpu


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _start(command: list[str], parent: Path) -> str:
    """Run the command on a state of its own; gives what it wrote to standard error."""
    with scratch(parent) as state:
        environment = {**as_installed(), "SLIPWAY_STATE": str(state)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stderr


def _imports(command: list[str], options: argparse.Namespace) -> dict[str, float]:
    """The milliseconds of each of the slowest packages' own modules, without those that they import of others.

    The least of three starts: what else the machine does only adds to it.
    """
    least: dict[str, float] = {}
    for _ in range(3):
        text = _start([command[0], "-X", "importtime", *command[1:]], options.directory)
        for own, module in re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", text):
            least[module] = min(int(own) / 1000, least.get(module, float("inf")))
    taken: dict[str, float] = {}
    for module, own in least.items():
        package = module.split(".")[0]
        taken[package] = taken.get(package, 0.0) + own
    return dict(sorted(taken.items(), key=lambda item: -item[1])[: options.imports])


def _text(results: dict[str, Any]) -> str:
    rows = [[name, *seconds.values(), TARGETS.get(name, "-")] for name, seconds in results["seconds"].items()]
    parts = [table(["seconds", "CPU", "wall", "wall, target"], rows)]
    if "ratios" in results:
        parts.append(table(["CPU to the other checkout", "ratio"], list(results["ratios"].items())))
    for name, packages in results["imports"].items():
        parts.append(table([f"imports of {name}", "ms"], list(packages.items())))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()

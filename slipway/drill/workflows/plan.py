"""What is drilled of a workflow, and by what is seen what it makes."""

from __future__ import annotations

import shlex
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from slipway.drill.explore import CannotDrill
from slipway.flows.runs.prepared import NOTHING, Given, Prepared, prepare
from slipway.runfile import RunFile, loads

Look = Callable[[], Collection[str]]
"""Gives the names of all there is of the kinds of things that a workflow makes; a thing that is there twice, twice."""

_PATIENCE = 60
"""Seconds that a command may take to look."""


@dataclass(frozen=True)
class FlowPlan:
    """A workflow, by its path, with its inputs. `world`: a run file that is brought about before each run, simulated.

    `look` tells what its tasks have made outside of that; without it nobody sees what they leave there. `options`:
    the words of a command line that say the same.
    """

    workflow: Path
    inputs: Given = NOTHING
    look: Look = lambda: ()
    world: RunFile | None = None
    allow_commands: bool = False
    seed: int = 0
    options: tuple[str, ...] = ()
    database: str | None = None
    """The URL of a database of PostgreSQL's: on its server the record is, in a database of its own."""

    @property
    def path(self) -> Path:
        """The file that is drilled."""
        return self.workflow

    @cached_property
    def prepared(self) -> Prepared:
        """The workflow as it is read. Raises `InvalidFile`, `InvalidRequest`."""
        return prepare(str(self.workflow), self.inputs)

    @property
    def secrets(self) -> Mapping[str, str]:
        """What of its inputs is secret; not what stands in its text, which is kept."""
        texts = "".join(self.prepared.workflow.texts.values())
        return {name: value for name, value in self.prepared.secrets.items() if value not in texts}

    @property
    def name(self) -> str:
        """The workflow's."""
        return self.prepared.definition.name

    @cached_property
    def before(self) -> RunFile:
        """The run file that is brought about before."""
        return self.world or loads("schema: 1\n", str(self.workflow))

    @property
    def last(self) -> frozenset[str]:
        """The fault points of the steps that are done at the end of a run, whatever came of the others."""
        own = [step.id for step in self.prepared.definition.finals]
        parts = self.prepared.workflow.parts.values()
        return frozenset([*own, *(f"{part.name}.{step.id}" for part in parts for step in part.finals)])

    def seen(self) -> Counter[str]:
        """All that there is outside now. Raises what looking raises."""
        return Counter(map(str, self.look()))


def look_by(command: str) -> Look:
    """What a command says, a thing a line. No shell is between. It raises `CannotDrill` where the command fails."""
    argv = shlex.split(command)

    def look() -> Collection[str]:
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=_PATIENCE, check=True)
        except subprocess.CalledProcessError as error:
            raise CannotDrill(f"--look: {argv[0]} ended with {error.returncode}: {error.stderr.strip()}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotDrill(f"--look: {argv[0]} could not look: {error}") from error
        return [line for line in done.stdout.splitlines() if line.strip()]

    return look


def made(before: Mapping[str, int], now: Mapping[str, int]) -> Counter[str]:
    """What has come."""
    return Counter(now) - Counter(before)

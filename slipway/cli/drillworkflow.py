"""`slipway drill` of a workflow."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click

from slipway.cli.options import Options
from slipway.cli.run import given_by
from slipway.drill.campaign import Drill
from slipway.drill.workflows import campaign
from slipway.drill.workflows.plan import FlowPlan, look_by
from slipway.flows.runs.prepared import prepare
from slipway.runfile import load
from slipway.texts import MASK, masked_url


def drill_of(
    options: Options,
    file: Path,
    given: tuple[str, ...],
    file_of_inputs: Path | None,
    look: str | None,
    world: Path | None,
    seed: int,
    database: str | None,
    *,
    allow_commands: bool,
) -> Drill:
    """The drill of a workflow, with all that may be said of it."""
    if look is not None and not allow_commands:
        raise click.UsageError("--look runs a command, which needs --allow-commands")
    inputs = given_by(given, file_of_inputs)
    secrets = prepare(str(file), inputs).secrets
    words = [word for text in given for word in ("--input", _shown(text, secrets))]
    for name, value in (("inputs", file_of_inputs), ("look", look), ("world", world)):
        words += [f"--{name}", str(value)] if value is not None else []
    words += ["--allow-commands"] if allow_commands else []
    words += ["--db", masked_url(database)] if database is not None else []
    words += [word for spec in options.tasks for word in ("--tasks", spec)]
    plan = FlowPlan(
        file,
        inputs,
        look=look_by(look) if look is not None else lambda: (),
        world=load(world) if world is not None else None,
        allow_commands=allow_commands,
        seed=seed,
        options=tuple(words),
        database=database,
    )
    return Drill(
        lambda wanted: campaign.points(plan, wanted),
        lambda wanted, progress: campaign.drill(plan, wanted, on_result=progress),
    )


def _shown(text: str, secrets: Collection[str]) -> str:
    name = text.partition("=")[0]
    return f"{name}={MASK}" if name in secrets else text

"""`slipway graph`: a workflow, what became of it, or the states of an instance, as a picture."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator, tasks_option
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.looks.drawing import Drawing


@click.command(
    "graph",
    epilog=example(
        "slipway graph build-instance",
        "slipway graph ./build-with-dns.yaml --format dot | dot -Tpdf >build.pdf",
        "slipway graph --instance web-1 --format svg >web-1.svg",
        "slipway graph --run 1c9e6679",
        "slipway graph --states run",
    ),
)
@click.argument("workflow", metavar="[FLOW]", required=False)
@click.option("--instance", metavar="NAME", help="The build of this instance, coloured by what became of each step.")
@click.option("--project", metavar="PROJECT", help="The project in which the instance is looked up. [default: all]")
@click.option("--run", metavar="RUN", help="A run, coloured likewise: its id or the beginning of it.")
@click.option(
    "--states",
    type=click.Choice(["instance", "run"]),
    is_flag=False,
    flag_value="instance",
    help="The states of an instance or of a run, and what moves it. [default: instance]",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["mermaid", "dot", "svg"]),
    default="mermaid",
    show_default=True,
    help="What the picture is written in.",
)
@tasks_option
@common_options()
@click.pass_obj
def command(
    options: Options,
    workflow: str | None,
    instance: str | None,
    run: str | None,
    project: str | None,
    states: str | None,
    format_: str,
) -> None:
    """Draw the workflow FLOW: a file, or a name that is known.

    Each box is a step: what it uses, its conditions, and what takes its effect back. Arrows lead from what must have
    ended. With --output json the boxes and arrows are written as data.
    """
    if sum(one is not None for one in (workflow, instance, run, states)) != 1:
        raise click.UsageError("name one of FLOW, --instance, --run and --states")
    if states is not None:
        from slipway.looks.transitions import draw_states

        drawing = draw_states(states)
    elif instance is not None:
        drawing = _instance(options, instance, project)
    elif run is not None:
        drawing = _run(options, run)
    else:
        drawing = _workflow(str(workflow))
    _write(options, drawing, format_)


def _workflow(workflow: str) -> Drawing:
    from slipway.flows.loader import absolute, find_definition, load_definition
    from slipway.flows.tasks.catalog import CATALOG, SIGNATURES
    from slipway.looks.workflow import draw_workflow

    return draw_workflow(load_definition(find_definition(absolute(workflow)), SIGNATURES), CATALOG)


def _instance(options: Options, name: str, project: str | None) -> Drawing:
    from msgspec.structs import replace

    from slipway.flows.loader import find_definition, load_definition
    from slipway.flows.tasks.catalog import CATALOG, SIGNATURES
    from slipway.looks.happened import statuses_of
    from slipway.looks.workflow import draw_workflow

    with orchestrator(options) as slipway:
        details = slipway.show(name, project=project)
    found = details.instance
    definition = load_definition(find_definition(found.workflow), SIGNATURES)
    statuses = statuses_of(
        definition,
        details.effects,
        failed=found.fault.step if found.fault and found.launched_at is None else None,
        busy=found.task_state is not None,
        done=found.launched_at is not None,
    )
    title = f"{os.path.basename(definition.name)} of {found.name}"
    return replace(draw_workflow(definition, CATALOG, statuses), title=title)


def _run(options: Options, run_id: str) -> Drawing:
    from msgspec.structs import replace

    from slipway.flows.tasks.catalog import CATALOG, CHANGES
    from slipway.looks.happened import statuses_of
    from slipway.looks.workflow import draw_workflow
    from slipway.states.run_machine import RunState

    with orchestrator(options) as slipway:
        run = slipway.runs.get(run_id)
        definition = slipway.runs.definition(run.id)
        effects = slipway.runs.effects(run.id)
    state = RunState(run.state)
    statuses = statuses_of(
        definition,
        effects,
        failed=run.fault.step if run.fault and state is not RunState.SUCCEEDED else None,
        busy=not state.has_ended,
        done=state is RunState.SUCCEEDED,
    )
    return replace(
        draw_workflow(definition, {**CATALOG, **CHANGES}, statuses),
        title=f"{definition.name}, run {run.id}: {run.state}",
    )


def _write(options: Options, drawing: Drawing, format_: str) -> None:
    if options.json:
        from slipway.cli.output import print_json

        print_json(drawing)
        return
    if format_ == "svg":
        from slipway.looks.svg import as_svg as written
    elif format_ == "dot":
        from slipway.looks.dot import as_dot as written
    else:
        from slipway.looks.mermaid import as_mermaid as written
    say(written(drawing).rstrip("\n"))

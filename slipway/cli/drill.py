"""`slipway drill`: every effect of a run file failed, crashed, hung and paused, and what leaked."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, all_is_loaded, common_options, example, tasks_option
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.drill.campaign import Drill, Progress, Report, Wanted
    from slipway.drill.runner import Result


@click.command(
    "drill",
    epilog=example(
        "slipway drill demo.yaml",
        "slipway drill demo.yaml --html report.html --junit report.xml",
        "slipway drill demo.yaml --only spawn --modes crash_before,crash_after",
        "slipway drill demo.yaml --only spawn:crash_after:0 --seed 7",
        "slipway drill demo.yaml --pairs 200 --seed 7",
        "slipway drill demo.yaml --verb 'attach-disk web-1 --size 1GiB'",
        "slipway drill demo.yaml --verb 'stop web-1' --verb 'start web-1'",
        "slipway drill deploy.yaml --allow-commands --look 'ls zones'",
        "slipway drill demo.yaml --db postgresql://slipway@localhost/slipway",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--only",
    metavar="POINT",
    multiple=True,
    help="These points only: [SCENARIO/]CALL[:MODE[:N]], where CALL is a call or a step. Can be given several times.",
)
@click.option("--modes", metavar="MODE,...", help="These modes only: error, crash_after, hang and so on.")
@click.option("--pairs", metavar="N", type=click.IntRange(0), default=0, help="N crashes, each with a second fault.")
@click.option("--seed", metavar="N", type=click.IntRange(0), default=0, help="Draws pairs, ids and MACs. [default: 0]")
@click.option("--jobs", metavar="N", type=click.IntRange(1, 256), help="N runs at the same time. [default: one a core]")
@click.option("--fail-fast", is_flag=True, help="Begin no further run after the first leak.")
@click.option("--remote-network", is_flag=True, help="Ports are made by a service elsewhere, as Neutron is.")
@click.option(
    "--verb",
    "verbs",
    metavar="COMMAND",
    multiple=True,
    help="A change of the file's instances, as it is typed; given often, the last is drilled, after the others.",
)
@click.option("--list", "only_list", is_flag=True, help="Name every run, and run none.")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write a JUnit report.")
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page to look at.")
@click.option("--input", "given", metavar="NAME=VALUE", multiple=True, help="A workflow's input; may be given often.")
@click.option(
    "--inputs",
    "file_of_inputs",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A workflow's inputs, a YAML mapping; --input counts more.",
)
@click.option(
    "--allow-commands", is_flag=True, help="Let steps of a workflow run commands on this machine, each often."
)
@click.option("--look", metavar="COMMAND", help="Tells what a workflow's tasks have made, a thing a line.")
@click.option(
    "--world",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A run file that is brought about before a workflow, simulated.",
)
@tasks_option
@common_options()
@click.pass_obj
def command(
    options: Options,
    file: Path,
    only: tuple[str, ...],
    modes: str | None,
    pairs: int,
    seed: int,
    jobs: int | None,
    verbs: tuple[str, ...],
    junit: Path | None,
    html: Path | None,
    given: tuple[str, ...],
    file_of_inputs: Path | None,
    look: str | None,
    world: Path | None,
    *,
    fail_fast: bool,
    remote_network: bool,
    only_list: bool,
    allow_commands: bool,
) -> int:
    """Let every call and every commit of FILE go wrong in every way, one at a time, and look what is left.

    Of a run file all happens in simulated hosts in a directory of its own: nothing that exists is touched. Of a
    workflow the record and the instances are such; what its tasks do besides, they really do, and undo, many times.
    With --verb it is not their builds that go wrong, but what is done to instances that are there. The record is in
    SQLite; with --db on a server of PostgreSQL's, in databases that are made there beside that one and dropped in the
    end. The exit code is 5 if anything leaked.
    """
    from slipway.cli.failures import Code
    from slipway.cli.output import print_json
    from slipway.cli.run import is_workflow

    database = _database(options)
    wanted = _wanted(only, modes, pairs, jobs or os.cpu_count() or 1, fail_fast=fail_fast)
    if is_workflow(file):
        if jobs or remote_network or verbs:
            raise click.UsageError(f"{file} is a workflow: it has no --jobs, --remote-network or --verb")
        from slipway.cli.drillworkflow import drill_of

        drill = drill_of(
            options, file, given, file_of_inputs, look, world, seed, database, allow_commands=allow_commands
        )
    else:
        if given or file_of_inputs or look or world or allow_commands:
            raise click.UsageError(f"{file} is no workflow: it has no inputs, --look, --world or --allow-commands")
        drill = _drill_of(options, file, seed, verbs, remote_network=remote_network)
    all_is_loaded()
    if only_list:
        names = [case.name for case in drill.points(wanted)]
        print_json(names) if options.json else say("\n".join(names))
        return Code.DONE
    for path in filter(None, (junit, html)):
        _try_to_write(path)
    with _progress(options) as progress:
        report = drill.run(wanted, progress)
    _write_reports(report, junit, html)
    if options.json:
        from slipway.drill.report import as_dict

        print_json(as_dict(report))
    else:
        _show(report)
    return Code.DIFFERENT if report.leaks else Code.DONE


def _database(options: Options) -> str | None:
    """The one whose server is to have the records. What the environment says is where the user's own record is."""
    database = options.typed.get("db")
    if database is None:
        return None
    from slipway.states.urls import parsed_url

    if parsed_url(database).get_backend_name() != "postgresql":
        raise click.BadParameter("a drill takes PostgreSQL's; in SQLite it has files of its own", param_hint="--db")
    return database


def _drill_of(options: Options, file: Path, seed: int, verbs: tuple[str, ...], *, remote_network: bool) -> Drill:
    from slipway.drill import campaign
    from slipway.drill.bench import Plan
    from slipway.runfile import load

    verb = None
    if verbs:
        from slipway.cli.drillverb import verb_of

        verb = verb_of(verbs)
    source = load(file, state=options.directory)
    plan = Plan(source, seed=seed, remote_network=remote_network, verb=verb, database=_database(options))
    return campaign.Drill(
        lambda wanted: campaign.points(plan, wanted),
        lambda wanted, progress: campaign.drill(plan, wanted, on_result=progress),
    )


def _wanted(only: tuple[str, ...], modes: str | None, pairs: int, jobs: int, *, fail_fast: bool) -> Wanted:
    from slipway.drill.campaign import ALL_MODES, Wanted
    from slipway.drill.cases import Selection
    from slipway.testing import Mode

    try:
        selections = tuple(map(Selection.parse, only))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--only") from error
    try:
        chosen = frozenset(Mode(mode.strip()) for mode in modes.split(",")) if modes else ALL_MODES
    except ValueError as error:
        raise click.BadParameter(f"{error}; there are {', '.join(Mode)}", param_hint="--modes") from error
    return Wanted(selections, chosen, pairs, jobs, fail_fast)


def _try_to_write(path: Path) -> None:
    """Fail before the drill and not after it."""
    try:
        path.touch()
    except OSError as error:
        raise click.FileError(str(path), error.strerror or str(error)) from error


def _write_reports(report: Report, junit: Path | None, html: Path | None) -> None:
    if junit is not None:
        from slipway.drill.report import as_junit

        junit.write_text(as_junit(report), encoding="utf-8")
    if html is not None:
        from slipway.drill.page import as_html

        html.write_text(as_html(report), encoding="utf-8")


# --- what a person sees -------------------------------------------------------------------------------------------


def _progress(options: Options) -> AbstractContextManager[Progress]:
    """A bar with the time left on a terminal; each leak as it is found elsewhere; nothing beside JSON."""
    if options.json:
        return nullcontext(lambda _done, _planned, _result: None)
    if sys.stderr.isatty():
        from slipway.cli.drillbar import bar

        return bar()

    def tell(done: int, planned: int, result: Result) -> None:
        if result.problems:
            say(f"slipway: run {done} of {planned}: {result.case.name}: {result.problems[0]}", err=True)

    return nullcontext(tell)


_SHORT = {"rolled back": "back"}
_COLOURS = {"ok": "done", "resumed": "done", "rolled back": "undone", "stuck": "intended", "LEAK": "stuck"}


def _show(report: Report) -> None:
    from slipway.cli.output import coloured, counted, seconds_text, table, write
    from slipway.drill.report import COLUMNS, WORST_FIRST, matrix, reproduction, worst

    found = matrix(report)
    used = [column for column in COLUMNS if any(column in cells for cells in found.values())]
    rows = []
    for (scenario, row), cells in found.items():
        line = [scenario.value, row]
        shown = [worst(cells[column]) if column in cells else None for column in used]
        marks = [coloured(_SHORT.get(o, o.value), _COLOURS[o]) if o else "-" for o in shown]
        rows.append((*line, *marks))
    write(table(("SCENARIO", "STEP", *(column.replace("_", " ").upper() for column in used)), rows))
    totals = ", ".join(f"{report.totals[o]} {o}" for o in reversed(WORST_FIRST) if report.totals[o])
    runs = f"{len(report.results)} of {report.planned} runs" if len(report.results) < report.planned else None
    runs = runs or counted(len(report.results), "run")
    write("", f"{counted(report.points, 'fault point')}, {runs} in {seconds_text(report.seconds)}: {totals}")
    if report.neighbour is False:
        write("There was no room for a neighbour: nothing was seen of what it would have suffered.")
    for result in report.leaks:
        write("", coloured(result.case.name, "stuck"), *(f"  {problem}" for problem in result.problems))
        write(f"  {reproduction(report, result)}")

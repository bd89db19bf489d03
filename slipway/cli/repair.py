"""`slipway repair`: mend what an audit finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.options import Options, Seconds, common_options, example, orchestrator
from slipway.cli.say import say, shown

if TYPE_CHECKING:
    from slipway.cli.interrupt import Stop
    from slipway.model.record import Instance
    from slipway.operations.mends import Mend
    from slipway.operations.repair import Mended
    from slipway.orchestrator import Orchestrator

_COLOURS = {"mended": "ACTIVE", "failed": "ERROR", "left": "BUILDING"}


@click.command(
    "repair",
    epilog=example(
        "slipway repair", "slipway repair web-1 --yes", "slipway repair --host node-1 --yes", "slipway repair --watch"
    ),
)
@click.argument("name", required=False)
@click.option("--stack", metavar="STACK", help="Only the instances of this stack.")
@click.option("--host", metavar="HOST", help="Only this host, and the instances on it.")
@click.option("--project", metavar="PROJECT", help="The project in which NAME or STACK is looked up.")
@click.option("--yes", is_flag=True, help="Do it; without it what would be done is only said.")
@click.option("--watch", is_flag=True, help="Do it again and again until Ctrl-C, as far as nothing is lost by it.")
@click.option("--every", metavar="SECONDS", type=Seconds(), default=10.0, help="How often, with --watch. [default: 10]")
@common_options()
@click.pass_obj
def command(
    options: Options,
    name: str | None,
    stack: str | None,
    host: str | None,
    project: str | None,
    yes: bool,
    watch: bool,
    every: float,
) -> int:
    """Mend what `slipway audit` finds: of the instance called NAME, a stack, a host, or all there is.

    Guests go on running where that can be, and what is ACTIVE runs afterwards. What is ours and nobody's is taken away.
    Without --yes nothing is changed, and the exit code is 5 if there is anything to mend; with it, if anything is left.
    """
    from slipway.cli.interrupt import Stop, heeding

    if sum(one is not None for one in (name, stack, host)) > 1:
        raise click.UsageError("name an instance, a stack or a host, not several of them")
    if watch and (yes or any((name, stack, host, project))):
        raise click.UsageError(
            "--watch mends all there is, as far as nothing is lost by it; it goes with --every alone"
        )
    stop = Stop(options.command("resume"))
    with orchestrator(options, sleep=stop.sleep) as slipway:
        if watch:
            return keep_watching(slipway, options, stop, every)
        if yes:
            with heeding(stop):
                how: dict[str, Any] = {"on_event": options.told} if options.told else {}
                mended = slipway.repair(name, project=project, stack=stack, host=host, stopping=stop, **how)
            return conclude(mended, slipway, options)
        planned = slipway.plan_repair(name, project=project, stack=stack, host=host)
        said = {"--stack": stack, "--host": host, "--project": project}
        again = [word for option, value in said.items() if value for word in (option, value)]
        return _tell_plan(planned, slipway, options, (*((name,) if name else ()), *again))


def keep_watching(slipway: Orchestrator, options: Options, stop: Stop, every: float) -> int:
    """Tell each thing that is mended, until Ctrl-C."""
    from slipway.cli.failures import Code
    from slipway.cli.interrupt import heeding
    from slipway.cli.output import print_json

    def tell(one: Mended) -> None:
        known = {instance.id: instance for instance in slipway.list()}
        if options.json:
            print_json(mended_json(one, known))
        else:
            say(shown(f"{one.outcome}: {_whose(one.mend, known)}: {one.mend.finding.detail}{_why(one)}"))

    with heeding(stop):
        slipway.keep_up(tell, every=every, stopping=stop)
    return Code.INTERRUPTED


def conclude(mended: Sequence[Mended], slipway: Orchestrator, options: Options) -> int:
    """Say what became of each difference; gives the exit code."""
    from slipway.cli.failures import Code
    from slipway.cli.output import coloured, print_json, table, without_owner, write

    known = {instance.id: instance for instance in slipway.list()}
    if options.json:
        print_json([mended_json(one, known) for one in mended])
    elif not mended:
        say("no differences")
    else:
        rows = [
            (
                coloured(one.outcome, _COLOURS[one.outcome]),
                one.mend.finding.kind,
                one.mend.finding.host or "-",
                _whose(one.mend, known),
                without_owner(f"{one.mend.finding.detail}{_why(one)}", one.mend.finding.instance_id),
            )
            for one in mended
        ]
        write(table(("OUTCOME", "KIND", "HOST", "INSTANCE", "DETAIL"), rows, folded=("DETAIL",)))
        counted = [one.outcome for one in mended]
        write("", f"{len(counted)} found, {counted.count(_mended())} mended")
    return Code.DONE if all(one.outcome == _mended() for one in mended) else Code.DIFFERENT


def _mended() -> Any:
    from slipway.operations.repair import Outcome

    return Outcome.MENDED


def _tell_plan(planned: Sequence[Mend], slipway: Orchestrator, options: Options, again: Sequence[str]) -> int:
    from slipway.cli.advice import write_advice
    from slipway.cli.failures import Code
    from slipway.cli.output import print_json, table, without_owner, write

    known = {instance.id: instance for instance in slipway.list()}
    if options.json:
        print_json([mend_json(one, known) for one in planned])
    elif not planned:
        say("no differences")
    else:
        rows = [
            (
                one.finding.kind,
                one.finding.host or "-",
                _whose(one, known),
                without_owner(one.finding.detail, one.finding.instance_id),
                one.action if one.possible else f"by hand: {one.action}",
            )
            for one in planned
        ]
        write(table(("KIND", "HOST", "INSTANCE", "DIFFERENCE", "MEND"), rows, folded=("DIFFERENCE", "MEND")))
        if count := sum(one.possible for one in planned):
            purpose = f"do it: {count} of {len(planned)}"
            write_advice(options, [(("repair", *again, "--yes"), purpose)])
    return Code.DIFFERENT if planned else Code.DONE


def mend_json(mend: Mend, known: Mapping[str, Instance]) -> dict[str, Any]:
    """For programs; `known` are the instances on record, by id."""
    from msgspec.structs import asdict

    instance = known.get(mend.finding.instance_id or "")
    about = {"mend": mend.action, "possible": mend.possible, "loses": mend.loses}
    return {**asdict(mend.finding), "instance": instance.name if instance else None, **about}


def mended_json(one: Mended, known: Mapping[str, Instance]) -> dict[str, Any]:
    """The same with what became of it."""
    return {**mend_json(one.mend, known), "outcome": one.outcome, "message": one.message}


def _whose(mend: Mend, known: Mapping[str, Instance]) -> str:
    instance = known.get(mend.finding.instance_id or "")
    return instance.name if instance else mend.finding.name


def _why(one: Mended) -> str:
    return f": {one.message}" if one.message else ""

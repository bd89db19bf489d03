"""`slipway delete`: delete instances."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, Seconds, common_options, example, orchestrator, tasks_option

if TYPE_CHECKING:
    from slipway.cli.interrupt import Stop
    from slipway.cli.telling import Progress
    from slipway.model.record import Instance
    from slipway.operations.batch import Ended
    from slipway.orchestrator import Orchestrator


@click.command(
    "delete", epilog=example("slipway delete web-1", "slipway delete web-1 web-2 --project demo --timeout 30")
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--project", metavar="PROJECT", help="The project in which the names are looked up. [default: all]")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=Seconds(),
    help="How long to wait for the worker that is at an instance. [default: until it has ended or its lease passes]",
)
@tasks_option
@common_options()
@click.pass_obj
def command(options: Options, names: tuple[str, ...], project: str | None, timeout: float | None) -> int:
    """Delete the instances called NAME (or with this id), whatever is going on with them.

    All that was made for them is undone: domains, disks, ports, claims. Ports that were brought along are given back.
    What cannot be undone is told, stays on record, and delete can be repeated.
    """
    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.summary import conclude

    stop = Stop(options.command("resume"))
    with orchestrator(options, sleep=stop.sleep) as slipway:
        # All are looked up before the first is deleted: a mistyped name deletes nothing.
        found = list({one.id: one for one in (slipway.show(name, project=project).instance for name in names)}.values())
        progress = progress_for(options, {instance.name for instance in found})

        def work() -> list[Ended]:
            return [_delete(slipway, instance, timeout, stop, progress) for instance in found]

        with progress:
            ended = interruptible(work, stop, progress)
    scope = ("--project", project) if project else ()
    return conclude(ended, options, progress, again=("delete", *names, *scope), stopped=stop())


def _delete(slipway: Orchestrator, instance: Instance, timeout: float | None, stop: Stop, progress: Progress) -> Ended:
    from slipway.errors import BuildInterrupted, InstanceBusy, NotFinished
    from slipway.model.record import EffectState
    from slipway.operations.batch import Ended, Status

    if stop():
        return Ended(instance.name, Status.INTERRUPTED, message="not begun")
    began = time.monotonic()
    try:
        gone = slipway.delete(instance.id, on_event=progress, timeout=timeout)
    except InstanceBusy as busy:
        return Ended(instance.name, Status.BUSY, slipway.get(instance.id), str(busy))
    except (BuildInterrupted, NotFinished) as stopped:
        return Ended(instance.name, Status.INTERRUPTED, slipway.get(instance.id), str(stopped))
    seconds = time.monotonic() - began
    if gone.vm_state != "ERROR":
        return Ended(instance.name, Status.DELETED, gone, seconds=seconds)
    stuck = tuple(e for e in slipway.show(instance.id).effects if e.state is EffectState.STUCK)
    return Ended(instance.name, Status.FAILED, gone, stuck=stuck, seconds=seconds)

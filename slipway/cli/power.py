"""What `stop`, `start` and `reboot` have in common: several instances, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from slipway.cli.options import Options, Seconds, orchestrator

if TYPE_CHECKING:
    from slipway.cli.interrupt import Stop
    from slipway.cli.telling import Progress
    from slipway.model.record import Instance
    from slipway.operations.batch import Ended

F = TypeVar("F", bound=Callable[..., Any])

names = click.argument("names", metavar="NAME...", nargs=-1, required=True)
project = click.option("--project", metavar="PROJECT", help="The project in which the names are looked up.")


def shutdown_options(command: F) -> F:
    """How a guest is stopped."""
    for option in (
        click.option("--force", is_flag=True, help="End it at once, as if its power was cut."),
        click.option(
            "--timeout",
            metavar="SECONDS",
            type=Seconds(),
            help="How long a guest may take to shut down before it is ended. [default: the settings' shutdown_timeout]",
        ),
    ):
        command = option(command)
    return command


def change_power(verb: str, options: Options, names: tuple[str, ...], project: str | None, **how: Any) -> int:
    """Call `Orchestrator.VERB` for each; gives the exit code."""
    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.summary import conclude

    stop = Stop(options.command("resume"))
    with orchestrator(options, sleep=stop.sleep) as slipway:
        # All are looked up before the first is touched: a mistyped name changes nothing.
        found = list({one.id: one for one in (slipway.show(name, project=project).instance for name in names)}.values())
        progress = progress_for(options, {instance.name for instance in found})

        def change(instance: Instance) -> Instance:
            changed: Instance = getattr(slipway, verb)(instance.id, on_event=progress, **how)
            return changed

        def work() -> list[Ended]:
            return [_ended(instance, change, slipway.get, stop, progress) for instance in found]

        with progress:
            ended = interruptible(work, stop, progress)
    scope = ("--project", project) if project else ()
    flags = (*(("--force",) if how.get("force") else ()),)
    return conclude(ended, options, progress, again=(verb, *flags, *names, *scope), stopped=stop(), nothing=NOTHING)


NOTHING = "Nothing to do."


def _ended(
    instance: Instance,
    change: Callable[[Instance], Instance],
    get: Callable[[str], Instance],
    stop: Stop,
    progress: Progress,
) -> Ended:
    from slipway.errors import BuildInterrupted, InstanceBusy, NotFinished
    from slipway.operations.batch import Ended, Status

    if stop():
        return Ended(instance.name, Status.INTERRUPTED, message="not begun")
    began = time.monotonic()
    try:
        changed = change(instance)
    except InstanceBusy as busy:
        return Ended(instance.name, Status.BUSY, get(instance.id), str(busy))
    except (BuildInterrupted, NotFinished) as stopped:
        return Ended(instance.name, Status.INTERRUPTED, get(instance.id), str(stopped))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    done = Status.FAILED if changed.fault else Status.DONE
    status = done if instance.name in progress.seen else Status.UNCHANGED
    return Ended(instance.name, status, changed, seconds=time.monotonic() - began)

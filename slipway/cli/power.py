"""What `stop`, `start`, `reboot` and `delete` have in common: several instances, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, Seconds, orchestrator

if TYPE_CHECKING:
    from slipway.cli.selecting import Chosen
    from slipway.model.record import Instance
    from slipway.operations.batch import Ended
    from slipway.orchestrator import Orchestrator

F = TypeVar("F", bound=Callable[..., Any])

names = click.argument("names", metavar="NAME...", nargs=-1, shell_complete=Names("instance"))
project = click.option(
    "--project",
    metavar="PROJECT",
    shell_complete=Names("project"),
    help="The project in which they are looked up. [default: all]",
)


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


NOTHING = "Nothing to do."


def change_all(
    verb: str,
    options: Options,
    chosen: Chosen,
    *,
    by: Callable[[Orchestrator], Callable[..., Instance]] | None = None,
    said: tuple[str, ...] = (),
    shuts_down: bool = False,
    loses: str = "",
    **how: Any,
) -> int:
    """Call `Several.VERB` for those that are meant, or change them `by` a verb of its; gives the exit code.

    `shuts_down`: a guest that runs is shut down for it; `loses`: what nobody gets back then, in words.
    `said`: the options that it was told besides, as they can be typed again.
    """
    from concurrent.futures import ThreadPoolExecutor

    from slipway import errors
    from slipway.cli.interrupt import Stop, interruptible
    from slipway.cli.progress import progress_for
    from slipway.cli.say import say
    from slipway.cli.selecting import confirm, find, threads
    from slipway.cli.summary import conclude
    from slipway.operations.several import fixed

    chosen.check()
    stop = Stop(options.command("resume"))
    with orchestrator(options, sleep=stop.sleep) as slipway:
        found = find(slipway, chosen)
        confirm(slipway, options, chosen, found, verb, shuts_down=shuts_down, loses=loses)
        progress = progress_for(options, {instance.name for instance in found})
        # A drill does the same in each run, and stops its process at a point: nothing is beside anything there.
        side_by_side = min(threads(chosen), len(found)) if options.drilled is None else 1

        def work() -> tuple[Ended, ...]:
            with ThreadPoolExecutor(side_by_side) if side_by_side > 1 else nullcontext() as executor:
                several = fixed(slipway, found)
                each = getattr(several, verb) if by is None else partial(several.change, by(slipway))
                ended: tuple[Ended, ...] = each(on_event=progress, executor=executor, stopping=stop, **how)
                return ended

        try:
            with progress:
                ended = interruptible(work, stop, progress) if options.drilled is None else work()
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if chosen.names and len(ended) == 1 and ended[0].error:
        kind = getattr(errors, ended[0].error)
        # It has a list of all that is wrong.
        raise kind((ended[0].message,) if issubclass(kind, errors.InvalidRequest) else ended[0].message)
    flags = ("--force",) if how.get("force") else ()
    again = (verb, *flags, *chosen.words, *said)
    code = conclude(
        ended, options, progress, again=again, stopped=stop(), nothing=NOTHING if found else "There are no instances."
    )
    if chosen.selectors and ended and not options.json:
        say(_counts(ended))
    return code


def _counts(ended: Sequence[Ended]) -> str:
    """`3 done, 1 refused`."""
    numbers = Counter(one.status for one in ended)
    return ", ".join(f"{number} {status}" for status, number in numbers.items())

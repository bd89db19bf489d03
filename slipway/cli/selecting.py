"""Instances named or selected on the command line, and the question before all of those are changed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from slipway.cli.completing import Names
from slipway.cli.options import STATES, Options

if TYPE_CHECKING:
    from slipway.model.record import Instance
    from slipway.operations.several import Several
    from slipway.orchestrator import Orchestrator

F = TypeVar("F", bound=Callable[..., Any])

_MOST_NAMES = 10
"""Names that a question tells."""
_LARGEST_PARALLEL = 256


class Label(click.ParamType):  # type: ignore[type-arg]
    """`NAME=VALUE`."""

    name = "label"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name and the value."""
        name, sign, said = str(value).partition("=")
        if not sign or not name:
            self.fail(f"{value!r} is no NAME=VALUE", param, ctx)
        return name, said


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was said of which instances are meant."""

    names: tuple[str, ...] = ()
    project: str | None = None
    every: bool = False
    patterns: tuple[str, ...] = ()
    stack: str | None = None
    host: str | None = None
    states: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    yes: bool = False
    parallel: int | None = None

    @property
    def selectors(self) -> tuple[str, ...]:
        """What was said of their properties, as it can be typed again."""
        return (
            *(("--all",) if self.every else ()),
            *(word for pattern in self.patterns for word in ("--name", pattern)),
            *(("--stack", self.stack) if self.stack is not None else ()),
            *(("--host", self.host) if self.host is not None else ()),
            *(word for state in self.states for word in ("--status", state)),
            *(word for name, value in self.labels for word in ("--label", f"{name}={value}")),
        )

    @property
    def scope(self) -> tuple[str, ...]:
        """The project, as it can be typed again."""
        return ("--project", self.project) if self.project else ()

    @property
    def words(self) -> tuple[str, ...]:
        """All of it, as it can be typed again; that they are meant was said once."""
        return (*self.names, *self.selectors, *(("--yes",) if self.selectors else ()), *self.scope)

    def check(self) -> None:
        """Raise where it contradicts itself, or names nothing at all."""
        if self.names and self.selectors:
            raise click.UsageError(
                f"name instances or select them: {self.names[0]} and {self.selectors[0]} exclude each other"
            )
        if "" in (*self.patterns, self.stack, self.host):
            raise click.UsageError("an empty --name, --stack or --host means no instance")
        if self.every and len(self.selectors) > 1:
            raise click.UsageError(f"--all means every instance: {self.selectors[1]} and it exclude each other")
        if not self.names and not self.selectors:
            text = "Or select instances: --all, --name, --stack, --host, --status, --label."
            raise click.MissingParameter(text, param_hint="'NAME...'", param_type="argument")

    def select(self, slipway: Orchestrator, **more: Any) -> Several:
        """Those that the selectors mean."""
        return slipway.select(
            *self.patterns,
            project=self.project,
            stack=self.stack,
            host=self.host,
            states=self.states,
            labels=dict(self.labels),
            **more,
        )


_SELECTORS = (
    click.option("--name", "patterns", metavar="PATTERN", multiple=True, help="Those called so: 'web-*', 'db-[12]'."),
    click.option(
        "--stack", metavar="STACK", shell_complete=Names("stack"), help="Those that a run of this stack's file made."
    ),
    click.option("--host", metavar="HOST", shell_complete=Names("host"), help="Those on this host."),
    click.option(
        "--status",
        "states",
        metavar="STATE",
        multiple=True,
        type=click.Choice(STATES, case_sensitive=False),
        shell_complete=lambda _ctx, _parameter, typed: [one for one in STATES if one.startswith(typed.upper())],
        help="Those in this state, such as ACTIVE or ERROR.",
    ),
    click.option(
        "--label",
        "labels",
        metavar="NAME=VALUE",
        multiple=True,
        type=Label(),
        help="Those with this in their metadata.",
    ),
)
_EVERY = click.option("--all", "every", is_flag=True, help="Every instance, of --project if that is given.")
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask whether those that are selected are meant.")
_PARALLEL = click.option(
    "--parallel",
    metavar="N",
    type=click.IntRange(1, _LARGEST_PARALLEL),
    help="At N of them at the same time. [default: two a core, at most 8]",
)


def selectors(*, every: bool = True, changes: bool = False) -> Callable[[F], Callable[..., Any]]:
    """`NAME...` and the options by which instances are selected, as one argument `chosen`.

    `every`: there is `--all`; `changes`: they are changed, so that it is asked first whether they are meant.
    """

    def add(command: F) -> Callable[..., Any]:
        @wraps(command)
        def choosing(*args: Any, names: tuple[str, ...] = (), **given: Any) -> Any:
            said = {name: given.pop(name) for name in ("project", "patterns", "stack", "host", "states", "labels")}
            said["states"] = (*said["states"], *given.pop("state", ()))
            more = {name: given.pop(name) for name in ("yes", "parallel") if name in given}
            chosen = Chosen(names, every=given.pop("every", False), **said, **more)
            return command(*args, chosen=chosen, **given)

        made: Callable[..., Any] = choosing
        for option in reversed((*((_EVERY,) if every else ()), *_SELECTORS, *((_YES, _PARALLEL) if changes else ()))):
            made = option(made)
        return made

    return add


def find(slipway: Orchestrator, chosen: Chosen) -> list[Instance]:
    """The instances that are meant, each once. Raises `InstanceNotFound` for a name that is none's, and where a
    selection means none; with `--all` there may be none."""
    from slipway import errors

    if chosen.names:
        # All are looked up before the first is touched: a mistyped name changes nothing.
        named = (_named(slipway, name, chosen.project) for name in chosen.names)
        return list({one.id: one for one in named}.values())
    found = list(chosen.select(slipway))
    if not found and not chosen.every:
        raise errors.InstanceNotFound(f"no instance is meant by {shlex.join((*chosen.selectors, *chosen.scope))}")
    return found


def _named(slipway: Orchestrator, name: str, project: str | None) -> Instance:
    from slipway import errors

    try:
        return slipway.show(name, project=project).instance
    except errors.InstanceNotFound as error:
        if set("*?[") & set(name):
            raise errors.InstanceNotFound(f"{error}; to select by a pattern: --name '{name}'") from error
        raise


def confirm(
    slipway: Orchestrator,
    options: Options,
    chosen: Chosen,
    found: Sequence[Instance],
    verb: str,
    *,
    shuts_down: bool = False,
    loses: str = "",
) -> None:
    """Ask whether those that were selected are meant; they were where they were named, or with `--yes`.

    `shuts_down`: a guest that runs is shut down for it, which is told and asked of named ones as well. `loses`: what
    nobody gets back then; that is asked of all.
    Raises `click.Abort` at a no, and `UsageError` where there is nobody to be asked.
    """
    from slipway.cli.output import counted
    from slipway.cli.say import shown

    running = [one for one in found if one.vm_state == "ACTIVE"] if shuts_down else []
    if chosen.yes or not (found if chosen.selectors or loses else running):
        return
    names = ", ".join(shown(one.name) for one in found[:_MOST_NAMES])
    more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
    everything = "every instance on record, " if _is_everything(slipway, len(found)) else ""
    what = f"{verb} {everything}{counted(len(found), 'instance')} ({names}{more})"
    if running:
        what += f", and shut {counted(len(running), 'guest')} down for that"
    if loses:
        what += f"; {loses}"
    if options.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(f"this would {what}; --yes says that they are meant")
    if not click.confirm(f"{what[0].upper()}{what[1:]}?", err=True):
        raise click.Abort


def _is_everything(slipway: Orchestrator, number: int) -> bool:
    """Whether there are no more than so many."""
    return all(count <= number for count, _ in enumerate(slipway.select(), 1))


def threads(chosen: Chosen) -> int:
    """At how many instances to be at the same time."""
    import os

    from slipway.cli.run import MOST_BUILDS

    return chosen.parallel or min(MOST_BUILDS, 2 * (os.cpu_count() or 1))

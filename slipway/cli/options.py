"""The options that every command has, before its name or after it, and what they lead to."""

from __future__ import annotations

import gc
import math
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from slipway.cli.say import say, shown
from slipway.texts import masked_url

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from slipway.model.record import Event
    from slipway.orchestrator import Orchestrator
    from slipway.runfile import FaultEntry, RunFile

F = TypeVar("F", bound=Callable[..., Any])


class Seconds(click.FloatRange):
    """A time to wait: neither negative nor endless, and a number."""

    def __init__(self) -> None:
        super().__init__(min=0, max=10**9)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number", param, ctx)
        return seconds


class Size(click.ParamType):  # type: ignore[type-arg]
    """A size with a unit, as in a run file."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes."""
        from slipway.yamlfile.units import parse_size, suggest_size

        try:
            return parse_size(str(value))
        except ValueError:
            meant = suggest_size(str(value))
            better = f", did you mean {meant}?" if meant else ""
            self.fail(f"{value!r} is not a size with a unit, such as 32GiB{better}", param, ctx)


class Age(click.ParamType):  # type: ignore[type-arg]
    """A duration with its unit, in seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        from slipway.yamlfile.units import parse_duration

        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r} is no duration such as 30d or 12h: {error}", param, ctx)


VARIABLES = {"state": "SLIPWAY_STATE", "db": "SLIPWAY_DB"}


@dataclass(slots=True)
class Options:
    """What was said before and after the command's name; the latter counts.

    `typed` and `tasks` are repeated in advice. `board`: where what is to be done is posted. `argv`: the whole command
    line, for the record.
    """

    argv: Sequence[str] = ()
    state: str | None = None
    db: str | None = None
    output: str = "text"
    verbose: bool = False
    typed: dict[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    board: str | None = None
    misfits: Callable[[], tuple[str, ...]] = tuple
    """What somebody's hand has put into the record that the command works on."""
    drilled: Orchestrator | None = None
    """In a drill what the command works on, in place of the user's; `told` hears of all events then."""
    told: Callable[[Event], None] | None = None

    @property
    def directory(self) -> str:
        """The state directory."""
        return self.state or default_state()

    @property
    def json(self) -> bool:
        """Whether the output is for programs."""
        return self.output == "json"

    def command(self, *words: str) -> str:
        """A command for the user to type, on the same state directory and database."""
        places = [word for name, value in self.typed.items() for word in (f"--{name}", masked_url(value))]
        takes = words[0] in TAKE_TASKS or " ".join(words[:2]) in TAKE_TASKS
        modules = [word for spec in self.tasks for word in ("--tasks", spec)] if takes else []
        return shlex.join(["slipway", *words, *modules, *places])


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    name = str(parameter.name)
    if value is None:
        return
    if value == "":
        raise click.BadParameter("it is empty", ctx, parameter)
    options = ctx.ensure_object(Options)
    setattr(options, name, value)
    if name in VARIABLES and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        options.typed[name] = value


STATES = ("BUILDING", "ACTIVE", "PAUSED", "STOPPED", "ERROR", "DELETED")
"""Those of instances."""


def _keep_states(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Which states were meant; another word is the directory, and so is ./ACTIVE."""
    for directory in [word for word in value if word not in STATES]:
        _keep(ctx, parameter, directory)
    return tuple(word for word in value if word in STATES)


def _state_option(variable: str | None, *, selects: bool) -> Callable[[F], F]:
    text = "What this machine keeps. [env: SLIPWAY_STATE; default: ~/.local/state/slipway]"
    if not selects:
        return click.option("--state", metavar="DIR", envvar=variable, help=text, **_KEPT)
    text += " Or a state, as --status."
    return click.option("--state", metavar="DIR|STATE", multiple=True, callback=_keep_states, help=text)


def common_options(*, environment: bool = False, selects: bool = False) -> Callable[[F], F]:
    """The options of every command. Only the group looks at the environment: what was typed counts more.

    `selects`: instances are selected, and `--state ACTIVE` is among that; the command is given it as `state`.
    """

    def variable(name: str) -> str | None:
        return VARIABLES[name] if environment else None

    def add(command: F) -> F:
        for option in (
            click.option(
                "-v", "--verbose", is_flag=True, default=None, help="Log each step on standard error.", **_KEPT
            ),
            click.option(
                "--output", type=click.Choice(["text", "json"]), help="For people (text) or for programs.", **_KEPT
            ),
            click.option(
                "--db",
                metavar="URL",
                envvar=variable("db"),
                help="The database, an SQLAlchemy URL. [env: SLIPWAY_DB; default: a file in the state directory]",
                **_KEPT,
            ),
            _state_option(variable("state"), selects=selects),
        ):
            command = option(command)
        return command

    return add


TAKE_TASKS = (
    *("run", "plan", "validate", "resume", "delete", "destroy", "drill", "graph", "tasks"),
    *("runs cancel", "runs undo", "runs approve", "runs reject", "runs retry"),
)
"""The commands that have `--tasks`."""


def tasks_option(command: F) -> F:
    """The option of commands whose workflows may use tasks of one's own; they are loaded when the command begins."""

    @wraps(command)
    def loading(*args: Any, **given: Any) -> Any:
        if specs := click.get_current_context().ensure_object(Options).tasks:
            from slipway.flows.tasks.catalog import load_tasks

            for spec in specs:
                load_tasks(spec)
        return command(*args, **given)

    text = "Workflows may use the tasks of this module too: MODULE, FILE.py or MODULE:NAME. Repeatable."
    option: Callable[[Any], F] = click.option("--tasks", metavar="MODULE", multiple=True, help=text, **_KEPT)
    return option(loading)


def board_option(command: F) -> F:
    """The option of commands that leave what is to be done to workers, or take it."""
    text = "The job board at which workers take what is to be done, redis:// or etcd://. [env: SLIPWAY_BOARD]"
    option: Callable[[F], F] = click.option("--board", metavar="URL", envvar="SLIPWAY_BOARD", help=text, **_KEPT)
    return option(command)


_KEPT: dict[str, Any] = {"expose_value": False, "callback": _keep}


def example(*lines: str) -> str:
    """The examples that stand below a command's help; \\b keeps the lines as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def default_state() -> str:
    """Where a user's programs keep what should outlive a restart (XDG base directories; relative paths are ignored)."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return os.path.join(home if os.path.isabs(home) else os.path.expanduser("~/.local/state"), "slipway")


def _check_there(state: str) -> None:
    """Raise `DatabaseUnavailable` for a state directory that no command has made; `OSError` where nobody can say."""
    from slipway.errors import DatabaseUnavailable

    try:
        os.stat(os.path.join(state, "slipway.db"))
    except FileNotFoundError as error:
        what = f"slipway.db in the state directory {state}" if os.path.isdir(state) else f"state directory {state}"
        raise DatabaseUnavailable(f"there is no {what}; `slipway run` makes it, --state names another") from error


def all_is_loaded() -> None:
    """From now on look for garbage, but never again among what is there already."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


def _tracer() -> Any:
    """OpenTelemetry's, for whoever has set it up: `opentelemetry-instrument slipway ...`."""
    try:
        from opentelemetry.trace import get_tracer
    except ImportError as error:
        raise click.UsageError("SLIPWAY_TRACE needs OpenTelemetry: pip install 'slipway[otel]'") from error
    from slipway import __version__

    return get_tracer("slipway", __version__)


def _warn(event: Event) -> None:
    """Tell a person of a host that could not follow a change; standard output is for what was asked for."""
    from slipway.cli.telling import warning

    if (text := warning(event)) is not None:
        say(f"slipway: {shown(text)}", err=True)


@contextmanager
def orchestrator(
    options: Options,
    file: RunFile | None = None,
    *,
    project: str | None = None,
    sleep: Callable[[float], None] | None = None,
    faults: Sequence[FaultEntry] = (),
    new: bool = False,
    allow_commands: bool = False,
    executor: Executor | None = None,
) -> Iterator[Orchestrator]:
    """An orchestrator on the user's state directory and database, with a run file's settings, workflow and project.

    `faults` go off in it; `allow_commands`: steps of workflows may run commands. Directory and database must be there,
    but for a command that may be a user's first (`new`).
    Raises a `StoreError` when they cannot be used.
    """
    from slipway.cli.asked import asked_by
    from slipway.cli.logs import logging_to_stderr
    from slipway.errors import DatabaseUnavailable, StoreError
    from slipway.orchestrator import Orchestrator
    from slipway.states.store import Store

    if options.drilled is not None:
        yield options.drilled
        return
    all_is_loaded()
    state = options.state or default_state()
    more: dict[str, Any] = {"on_event": _warn, "asked_by": partial(asked_by, options.argv)}
    more |= {} if new else {"store": partial(Store, make=False)}
    if sleep is not None:
        more["sleep"] = sleep
    if allow_commands:
        more["allow_commands"] = True
    if executor is not None:
        more["executor"] = executor
    if file is not None:
        more |= {"settings": file.settings, "project": file.project}
    if project is not None:
        more["project"] = project
    if options.board is not None:
        more["board"] = options.board
    if os.environ.get("SLIPWAY_TRACE"):
        more["tracer"] = _tracer()
    if faults:
        from slipway.testing import Fault, Faults

        injected = Faults(*map(Fault.declared, faults))
        more |= {"store": injected.store, "drivers": injected.drivers, "clock": injected.clock}
        more["monotonic"] = injected.clock.monotonic
    with logging_to_stderr(verbose=options.verbose, as_json=options.json):
        try:
            if not new and options.db is None:
                _check_there(state)
            made = Orchestrator(state, db=options.db, **more)
        except OSError as error:
            text = f"the state directory {state} cannot be used: {error.strerror or error}; name another with --state"
            raise DatabaseUnavailable(text) from error
        except StoreError as error:
            error.of_option = options.db is not None
            raise
        options.misfits = made.misfits
        with made:
            if new and (left := made.began_beside):
                say(
                    f"slipway: a new record was begun, but {state} has machines of an earlier one "
                    f"({', '.join(left)}); if that was lost: {options.command('restore', 'FILE')}",
                    err=True,
                )
            yield made

"""Run a program on the machine where the run is, in a process group of its own, and never by a shell."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO

from msgspec import Struct

from slipway.errors import CommandFailed, CommandsNotAllowed, InvalidArguments, StepTimeout
from slipway.flows.tasks import orphans
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.flows.tasks.watched import watched
from slipway.model.request import Host
from slipway.states.intent import Durability
from slipway.texts import one_line

MOST_BYTES = 64 << 10
"""How much is kept of what a command writes, the end of it."""

_PIECE = 64 << 10
_MOST_PIECES = 64
_PATIENCE = 0.1
_SHOWN = 500
"""How many characters of what a failed command said are in the error."""


class CommandResult(Struct, frozen=True):
    """What a command wrote, of each the last 64 KiB; it ended with 0."""

    stdout: str
    stderr: str


class Command(Task):
    """Run a program and wait until it has ended with 0. No shell is between; whoever runs it must have allowed that.

    It ends with Slipway, also by kill -9, with all that it started that has its environment. After a crash it is run
    again, with the same SLIPWAY_EFFECT_KEY in its environment, when nothing is left of the first one: let it find by
    that what it did.
    Has no undo of its own: what takes it back is another command, which the step's `revert` says.
    """

    name = "command"
    kind = "command"
    irreversible = True
    runs_commands = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        """What it changes is outside of our database."""
        return Durability.FOREIGN

    def do(
        self,
        work: Work,
        argv: tuple[str, ...],
        env: Mapping[str, str] = {},
        cwd: str | None = None,
    ) -> CommandResult:
        """`argv`: the program and its arguments; `env`: what is in its environment besides that of this process;
        `cwd`: the directory where it is run, that of this process without it.

        At the step's deadline, and where the run is not to go on, it is ended with all processes of its group.
        Raises `CommandsNotAllowed`, `CommandFailed`, `StepTimeout`.
        """
        if not work.tools.allow_commands:
            raise CommandsNotAllowed("commands are not allowed here: whoever trusts the workflow allows them")
        if not argv or not argv[0] or any("\0" in text for text in (*argv, *env, *env.values(), cwd or "")):
            raise InvalidArguments("command: argv must have a program, and nothing may have a NUL in it")
        if any("=" in name or not name for name in env):
            raise InvalidArguments("command: a name in env must have something in it and no '='")
        key = work.effect.key
        _end_earlier(work, argv[0])
        environment = {**os.environ, **env, orphans.KEY_VARIABLE: key}
        with watched(key), _started(argv, environment, cwd) as process:
            said = _listen(process, work, argv[0])
        if process.returncode != 0:
            how = f"with {process.returncode}" if process.returncode > 0 else f"by {_signal(-process.returncode)}"
            end = one_line(said.stderr.strip())[-_SHOWN:]
            raise CommandFailed(f"command {argv[0]} ended {how}" + (f": {end}" if end else ""))
        return said


def _end_earlier(work: Work, program: str) -> None:
    """End what an earlier worker has left of this step, or an inverse what is left of a step that never ended: two
    would be at the same thing. Raises `CommandFailed` where it does not end."""
    key = work.effect.key
    step = key if work.effect.result is not None else key.removesuffix("/revert")
    if not orphans.end({key, step}):
        raise CommandFailed(f"command {program} is not begun: what an earlier one has started does not end")


@contextmanager
def _started(
    argv: tuple[str, ...], environment: Mapping[str, str], cwd: str | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, in a group of its own which is ended where this is left with an error."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            argv, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, start_new_session=True
        )
    except OSError as error:
        where = f" in {cwd}" if cwd else ""
        raise CommandFailed(f"command {argv[0]} cannot be started{where}: {error.strerror}") from error
    try:
        yield process
    except BaseException:
        _end(process)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Have the group end, and kill what of it does not."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(orphans.GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _listen(process: subprocess.Popen[bytes], work: Work, program: str) -> CommandResult:
    """What the process writes until it has ended; one that it left behind is not waited for."""
    tools = work.tools
    kept: dict[IO[bytes] | None, bytes] = {process.stdout: b"", process.stderr: b""}
    look = tools.monotonic() + tools.settings.poll_interval
    with selectors.DefaultSelector() as open_ends:
        for stream in kept:
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                open_ends.register(stream, selectors.EVENT_READ)
        while process.poll() is None:
            if open_ends.get_map():
                _hear(open_ends, kept, _PATIENCE)
            else:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_PATIENCE)
            if (now := tools.monotonic()) >= work.deadline:
                raise StepTimeout(f"command {program} was ended: its time was over")
            if now >= look:
                work.check()
                look = now + tools.settings.poll_interval
        # What is in the pipes still; a process that it left behind may write for ever.
        for _ in range(_MOST_PIECES):
            if not _hear(open_ends, kept, 0.0):
                break
    stdout, stderr = (text.decode("utf-8", "replace") for text in kept.values())
    return CommandResult(stdout, stderr)


def _hear(open_ends: selectors.BaseSelector, kept: dict[IO[bytes] | None, bytes], seconds: float) -> bool:
    """Read what there is, waiting for it at most so long; whether there was anything."""
    heard = False
    for key, _ in open_ends.select(seconds):
        stream: IO[bytes] = key.fileobj  # type: ignore[assignment]
        piece = os.read(stream.fileno(), _PIECE)
        if not piece:
            open_ends.unregister(stream)
            continue
        heard = True
        kept[stream] = (kept[stream] + piece)[-MOST_BYTES:]
    return heard


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"

"""The verb of `slipway drill --verb`: a command as it is typed, done to the instances of a drill."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.options import Options

if TYPE_CHECKING:
    from slipway.drill.verb import Verb
    from slipway.model.record import Event
    from slipway.orchestrator import Orchestrator

AFTER_A_RESTART = ("repair", "up", "evacuate")
"""Those that have something to do where the hosts were started anew."""
DRILLED = (
    *("attach-interface", "detach-interface", "attach-disk", "detach-disk", "grow-disk"),
    *("resize", "rebuild", "rename", "set", "clone"),
    *("stop", "start", "reboot", "pause", "unpause", "delete", "move", "host drain", *AFTER_A_RESTART),
    *("snapshot create", "snapshot restore", "snapshot delete"),
)
"""The commands that can be drilled."""


@dataclass(frozen=True)
class _Typed:
    """A command whose words are right as far as the command itself can tell."""

    name: str
    command: click.Command
    words: Sequence[str]

    def do(self, slipway: Orchestrator, told: Callable[[Event], None]) -> None:
        """Do it, without a question and without a word on the terminal. Raises what the command raises."""
        context = self._parsed(Options(drilled=slipway, told=told))
        with context, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            self.command.invoke(context)

    def check(self) -> None:
        """Raise a `UsageError` where it cannot be typed so."""
        with self._parsed(Options()):
            pass

    def _parsed(self, options: Options) -> click.Context:
        agreed = ["--yes"] if any(one.name == "yes" for one in self.command.params) else []
        return self.command.make_context(f"slipway {self.name}", [*self.words, *agreed], obj=options)


def verb_of(lines: Sequence[str]) -> Verb:
    """The last of the lines is drilled; those before it come first, in each run. Raises `UsageError`."""
    from slipway.drill.verb import Verb

    *earlier, last = map(_typed, lines)

    def before(slipway: Orchestrator, told: Callable[[Event], None]) -> None:
        for one in earlier:
            one.do(slipway, told)

    words = [word for line in lines for word in ("--verb", line)]
    return Verb(tuple(words), last.do, before, restarted=last.name in AFTER_A_RESTART)


def _typed(line: str) -> _Typed:
    from slipway.cli.main import main

    try:
        words = shlex.split(line)
    except ValueError as error:
        raise click.BadParameter(f"{line!r}: {error}", param_hint="--verb") from error
    words = words[1:] if words[:1] == ["slipway"] else words
    name = next((n for n in (" ".join(words[:2]), " ".join(words[:1])) if n in DRILLED), None)
    if name is None:
        from slipway.yamlfile.mistakes import did_you_mean

        meant = did_you_mean(" ".join(words[:1]), DRILLED)
        text = f"{line!r} is no command that can be drilled{meant}; there are {', '.join(sorted(DRILLED))}"
        raise click.BadParameter(text, param_hint="--verb")
    command: Any = main
    for part in name.split():
        command = command.get_command(click.Context(command), part)
    found = _Typed(name, command, words[len(name.split()) :])
    found.check()
    return found

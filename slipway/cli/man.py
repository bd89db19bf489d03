"""`slipway man`: the manual pages, made from the commands themselves."""

from __future__ import annotations

from pathlib import Path

import click

from slipway.cli.options import common_options, example
from slipway.cli.say import say


@click.command(
    "man",
    epilog=example(
        "slipway man stop | man -l -", "slipway man --write ~/.local/share/man/man1", "slipway man | man -l -"
    ),
)
@click.argument("name", metavar="[COMMAND]", required=False)
@click.option(
    "--write",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the pages of all commands there, slipway.1, slipway-list.1 and so on.",
)
@common_options()
def command(name: str | None, directory: Path | None) -> None:
    """Print the manual page of a command, or of `slipway` itself; or write them all."""
    from slipway.cli.main import COMMANDS
    from slipway.cli.manpages import page
    from slipway.yamlfile.mistakes import did_you_mean

    if directory is None:
        if name is not None and name not in COMMANDS:
            raise click.UsageError(f"there is no command '{name}'{did_you_mean(name, COMMANDS)}")
        click.echo(page(name), nl=False)
        return
    if name is not None:
        raise click.UsageError("--write writes the pages of all commands: name none")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for one in (None, *COMMANDS):
            directory.joinpath(f"slipway-{one}.1" if one else "slipway.1").write_text(page(one))
    except OSError as error:
        raise click.UsageError(f"{directory} cannot be written: {error.strerror}") from error
    say(f"{len(COMMANDS) + 1} pages written to {directory}")

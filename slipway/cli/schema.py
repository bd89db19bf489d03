"""`slipway schema`: the JSON Schema of the files, for editors, and of what commands write, for programs."""

from __future__ import annotations

from importlib.resources import files

import click

from slipway.cli.options import common_options, example
from slipway.cli.say import say

_FILES = {"run": ("slipway.runfile", "schema.json"), "workflow": ("slipway.flows.workflows", "schema.json")}


@click.command(
    "schema", epilog=example("slipway schema run", "slipway schema workflow", "slipway schema --of 'runs list'")
)
@click.argument("kind", type=click.Choice(list(_FILES)), required=False)
@click.option(
    "--of", "command_name", metavar="COMMAND", help="Of what this command writes with --output json, such as list."
)
@common_options()
def command(kind: str | None, command_name: str | None) -> None:
    """Print the JSON Schema of run files or of workflows, or of a command's JSON.

    An editor with a YAML language server checks files by it while they are written: a first line
    `# yaml-language-server: $schema=run.schema.json` says so. Of what a command writes a line at a time it is that of
    each line; `error` has that of what any command writes in place of all else.
    """
    if (kind is None) == (command_name is None):
        raise click.UsageError("name a kind of file, run or workflow, or a command with --of")
    if kind is not None:
        package, name = _FILES[kind]
        say(files(package).joinpath(name).read_text().rstrip())
        return
    import json

    from slipway.cli.shapes import COMMANDS, schema_of
    from slipway.yamlfile.mistakes import did_you_mean

    wanted = " ".join(str(command_name).split())
    if wanted not in COMMANDS:
        hint = did_you_mean(wanted, COMMANDS) or f"; there are {', '.join(COMMANDS)}"
        raise click.UsageError(f"there is no schema of '{wanted}'{hint}")
    say(json.dumps(schema_of(wanted), indent=2))

"""`slipway schema`: the JSON Schema of the files, for editors."""

from __future__ import annotations

from importlib.resources import files

import click

from slipway.cli.options import common_options, example
from slipway.cli.say import say

_FILES = {"run": ("slipway.runfile", "schema.json"), "workflow": ("slipway.flows.workflows", "schema.json")}


@click.command("schema", epilog=example("slipway schema run", "slipway schema workflow"))
@click.argument("kind", type=click.Choice(list(_FILES)))
@common_options()
def command(kind: str) -> None:
    """Print the JSON Schema of run files or of workflows.

    An editor with a YAML language server checks files by it while they are written: a first line
    `# yaml-language-server: $schema=run.schema.json` says so.
    """
    package, name = _FILES[kind]
    say(files(package).joinpath(name).read_text().rstrip())

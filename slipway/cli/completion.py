"""`slipway completion`: what has a shell complete commands, options and names."""

from __future__ import annotations

import click

from slipway.cli.options import common_options, example

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog=example(
        "slipway completion bash > ~/.local/share/bash-completion/completions/slipway",
        "slipway completion zsh > ~/.zfunc/_slipway",
        "slipway completion fish > ~/.config/fish/completions/slipway.fish",
    ),
)
@click.argument("shell", type=click.Choice(_SHELLS))
@common_options()
def command(shell: str) -> None:
    """Print a script by which the shell completes what is typed after `slipway`.

    Commands, options and their values are completed, and the names of instances, hosts, stacks, projects and runs that
    are on record, where that is a file of this machine.
    """
    from click.shell_completion import get_completion_class

    from slipway.cli.main import main

    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(main, {}, "slipway", "_SLIPWAY_COMPLETE")
    # Not `source()`, which starts the shell to see its version.
    click.echo((made.source_template % made.source_vars()).strip())

"""`slipway set`: what is on record of instances, and their security groups."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example
from slipway.cli.selecting import Chosen, Label, selectors


@click.command(
    "set",
    epilog=example(
        "slipway set web-1 --metadata tier=front --unset-metadata old",
        "slipway set --name 'web-*' --security-group web --security-group ssh --yes",
        "slipway set web-1 --autostart no",
    ),
)
@power.names
@power.project
@click.option("--metadata", metavar="NAME=VALUE", type=Label(), multiple=True, help="Set; may be given often.")
@click.option("--unset-metadata", metavar="NAME", multiple=True, help="Take away; may be given often.")
@click.option("--security-group", metavar="GROUP", multiple=True, help="All that the ports have then; repeatable.")
@click.option("--autostart", type=click.Choice(["yes", "no"]), help="Whether it is started where it has ended.")
@selectors(changes=True)
@common_options(selects=True)
@click.pass_obj
def command(
    options: Options,
    chosen: Chosen,
    metadata: tuple[tuple[str, str], ...],
    unset_metadata: tuple[str, ...],
    security_group: tuple[str, ...],
    autostart: str | None,
) -> int:
    """Set metadata, security groups or autostart of the instances called NAME (or with this id).

    Security groups reach the ports that were made for them, and their hosts, at once. What fails is taken back.
    """
    if not (metadata or unset_metadata or security_group or autostart):
        raise click.UsageError("say what is to be set: --metadata, --unset-metadata, --security-group or --autostart")
    said = (
        *(word for name, value in metadata for word in ("--metadata", f"{name}={value}")),
        *(word for name in unset_metadata for word in ("--unset-metadata", name)),
        *(word for group in security_group for word in ("--security-group", group)),
        *(("--autostart", autostart) if autostart else ()),
    )
    words: dict[str, str | None] = {**dict.fromkeys(unset_metadata), **dict(metadata)}
    return power.change_all(
        "set",
        options,
        chosen,
        by=lambda slipway: partial(
            slipway.changes.set,
            metadata=words,
            security_groups=security_group or None,
            autostart=None if autostart is None else autostart == "yes",
        ),
        said=said,
    )

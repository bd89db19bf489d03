"""`slipway set`: what is on record of instances, and their security groups."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from slipway.cli import power
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, Label, selectors

if TYPE_CHECKING:
    from slipway.model.request import Readiness


@click.command(
    "set",
    epilog=example(
        "slipway set web-1 --metadata tier=front --unset-metadata old",
        "slipway set --name 'web-*' --security-group web --security-group ssh --yes",
        "slipway set web-1 --wait-for lease=30s --wait-for 'marker=2m:login:'",
        "slipway set web-1 --autostart no",
    ),
)
@power.names
@power.project
@click.option("--metadata", metavar="NAME=VALUE", type=Label(), multiple=True, help="Set; may be given often.")
@click.option("--unset-metadata", metavar="NAME", multiple=True, help="Take away; may be given often.")
@click.option("--security-group", metavar="GROUP", multiple=True, help="All that the ports have then; repeatable.")
@click.option(
    "--wait-for",
    metavar="SIGN=TIME",
    multiple=True,
    help="By what it is known to be ready: lease=30s, ping=1m, ssh=2m, marker=2m:TEXT, or none; repeatable.",
)
@click.option("--autostart", type=click.Choice(["yes", "no"]), help="Whether it is started where it has ended.")
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(
    options: Options,
    chosen: Chosen,
    metadata: tuple[tuple[str, str], ...],
    unset_metadata: tuple[str, ...],
    security_group: tuple[str, ...],
    wait_for: tuple[str, ...],
    autostart: str | None,
) -> int:
    """Set metadata, security groups, signs of readiness or autostart of the instances called NAME (or with this id).

    Security groups reach the ports that were made for them, and their hosts, at once. What fails is taken back.
    """
    if not (metadata or unset_metadata or security_group or wait_for or autostart):
        options_there = "--metadata, --unset-metadata, --security-group, --wait-for or --autostart"
        raise click.UsageError(f"say what is to be set: {options_there}")
    signs = _signs(wait_for)
    said = (
        *(word for name, value in metadata for word in ("--metadata", f"{name}={value}")),
        *(word for name in unset_metadata for word in ("--unset-metadata", name)),
        *(word for group in security_group for word in ("--security-group", group)),
        *(word for sign in wait_for for word in ("--wait-for", sign)),
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
            wait_for=signs if wait_for else None,
            autostart=None if autostart is None else autostart == "yes",
        ),
        said=said,
    )


def _signs(said: tuple[str, ...]) -> tuple[Readiness, ...]:
    """The signs of readiness, in the order in which they are looked for; `none` by itself is none at all."""
    from slipway.model.request import Readiness, Sign
    from slipway.yamlfile.mistakes import did_you_mean
    from slipway.yamlfile.units import parse_duration

    found: list[Readiness] = []
    for one in said if said != ("none",) else ():
        name, _, rest = one.partition("=")
        if name not in set(Sign):
            there = f"there are {', '.join(Sign)}, and none by itself"
            raise click.UsageError(f"--wait-for {one}: {name!r} is no sign{did_you_mean(name, list(Sign))}; {there}")
        time, colon, text = rest.partition(":")
        if (name == Sign.MARKER) is not bool(text) or (colon and not text):
            raise click.UsageError(f"--wait-for {one}: a marker has its text, as marker=2m:login:, and no other sign")
        try:
            found.append(Readiness(Sign(name), parse_duration(time), text))
        except ValueError as error:
            raise click.UsageError(f"--wait-for {one}: {time!r} is no time with a unit, such as 30s") from error
    return tuple(sorted(found, key=lambda sign: list(Sign).index(sign.sign)))

"""`slipway metrics`: what monitoring asks for, as Prometheus text."""

from __future__ import annotations

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say


@click.command(
    "metrics",
    epilog=example(
        "slipway metrics", "slipway metrics > /var/lib/node_exporter/slipway.prom.new", "slipway metrics --output json"
    ),
)
@common_options()
@click.pass_obj
def command(options: Options) -> None:
    """Print how many instances and runs are in which state, what hosts have and have given out, how long builds took,
    what is stuck, and whose worker is gone; in the text format of Prometheus.

    Nothing but the record is asked. Prometheus gets it through a file that its node exporter reads.
    """
    from slipway.cli.output import print_json
    from slipway.looks.prometheus import exposition

    with orchestrator(options) as slipway:
        found = slipway.metrics()
    if options.json:
        print_json(found)
    else:
        say(exposition(found).rstrip())

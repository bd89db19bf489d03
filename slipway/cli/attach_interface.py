"""`slipway attach-interface`: one more NIC."""

from __future__ import annotations

from functools import partial

import click

from slipway.cli import power
from slipway.cli.completing import Names
from slipway.cli.options import Options, board_option, common_options, example
from slipway.cli.selecting import Chosen, selectors


@click.command(
    "attach-interface",
    epilog=example(
        "slipway attach-interface web-1 --network demo-net",
        "slipway attach-interface web-1 --network demo-net --fixed-ip 192.168.0.30",
        "slipway attach-interface web-1 --port web-port",
    ),
)
@power.names
@power.project
@click.option("--network", metavar="NETWORK", shell_complete=Names("network"), help="The network (name or id).")
@click.option("--fixed-ip", metavar="ADDRESS", help="The address that it gets there. [default: a free one]")
@click.option("--port", metavar="PORT", help="In place of a network: a port (name or id) that was made beforehand.")
@selectors(changes=True)
@board_option
@common_options(selects=True)
@click.pass_obj
def command(options: Options, chosen: Chosen, network: str | None, fixed_ip: str | None, port: str | None) -> int:
    """Give the instances called NAME (or with this id) one more NIC, behind those that they have.

    A guest that runs sees it at once; whether it uses it is the guest's affair. What fails is taken back.
    """
    from slipway.model.request import NetworkRequest

    if (network is None) == (port is None):
        raise click.UsageError("say --network or --port: one of the two")
    if port is not None and fixed_ip is not None:
        raise click.UsageError("--fixed-ip goes with --network: a port has its addresses")
    nic = NetworkRequest(network=network, fixed_ip=fixed_ip, port=port)
    told = (("--network", network), ("--fixed-ip", fixed_ip), ("--port", port))
    said = tuple(word for flag, value in told if value is not None for word in (flag, value))
    return power.change_all(
        "attach-interface",
        options,
        chosen,
        by=lambda slipway: partial(slipway.changes.attach_interface, nic=nic),
        said=said,
    )

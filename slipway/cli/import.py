"""`slipway import`: what is there already, brought under a stack."""  # noqa: N999

from __future__ import annotations

import click

from slipway.cli import power
from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say

_DOMAIN = "domain"
_KINDS = ("instance", "network", "subnet", "port", "security group", "host", _DOMAIN)


@click.command(
    "import",
    epilog=example(
        "slipway import web-1 --stack shop",
        "slipway import back --kind network --stack shop --project demo",
        "slipway import rack-a-1 --stack shop",
        "slipway import old --kind domain --host node-1 --network front --stack shop",
    ),
)
@click.argument("name")
@click.option("--stack", metavar="STACK", required=True, help="The stack: a run file's `name`, or its stem.")
@click.option("--kind", type=click.Choice(_KINDS), help="What it is, where several things are called so.")
@click.option("--host", metavar="HOST", help="Of a domain that was made by hand: where it is.")
@click.option("--network", metavar="NETWORK", multiple=True, help="Of such a domain: where each of its NICs is to be.")
@power.project
@common_options()
@click.pass_obj
def command(
    options: Options,
    name: str,
    stack: str,
    kind: str | None,
    host: str | None,
    network: tuple[str, ...],
    project: str | None,
) -> None:
    """Have what is called NAME (or has this id), and no run of a file made, be of a stack.

    Nothing is done to it now. From then on `slipway plan` and `run` of the stack's file change it to what the file
    says, `--prune` and `slipway destroy` take it away. A network brings its subnets along. What is a network service's
    elsewhere, and Slipway has not made, is only given back then.

    A domain that was made by hand (--kind domain) must be shut down; it is built anew, as an instance with its name, on
    its disks and with its MACs, and runs then. What would be lost by that is refused, with all reasons.
    """
    if (kind == _DOMAIN) is not (host is not None) or (network and kind != _DOMAIN):
        raise click.UsageError("--kind domain and --host HOST belong together, and --network to them")
    if host is not None:
        _import_domain(options, name, host, network, stack, project)
        return
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        found = slipway.import_into(stack, name, kind=kind, project=project)
    if options.json:
        print_json(found)
        return
    label = f"{found.kind} {found.name}"
    along = f", with {', '.join(f'subnet {name or id_}' for id_, name in found.parts)}" if found.parts else ""
    where = f"stack {found.stack} of project {found.project}"
    say(f"{label} is of {where} by now{along}" if found.changed else f"Nothing to do: {label} is of {where}.")


def _import_domain(
    options: Options, name: str, host: str, networks: tuple[str, ...], stack: str, project: str | None
) -> None:
    from slipway.cli.output import instance_json, print_json

    with orchestrator(options) as slipway:
        instance = slipway.import_domain(stack, name, host, networks=networks, project=project)
    if options.json:
        print_json(instance_json(instance))
        return
    say(f"domain {name} of host {host} is instance {instance.name} of stack {stack} of project {instance.project}")

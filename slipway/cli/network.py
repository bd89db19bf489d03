"""`slipway network`: networks."""

from __future__ import annotations

import click

from slipway.cli.options import Options
from slipway.cli.resources import (
    delete_named,
    flag,
    given,
    group,
    naming,
    network_service,
    page_options,
    project_option,
    scope_options,
    show_named,
    subcommand,
)

command = group(
    "network",
    "List, show, create and delete networks.",
    "slipway network list",
    "slipway network create demo-net",
    "slipway network delete demo-net",
)


@subcommand(command, "list", "slipway network list --project demo", "slipway network list --limit 50 --output json")
@scope_options
@click.option("--name", metavar="NAME", help="Only those with this name.")
@flag("shared", "Only those that are shared, or not.")
@flag("router-external", "Only those that are external, or not.")
@click.option("--provider-network-type", metavar="TYPE", help="Only those of this type.")
@page_options
def list_(options: Options, project: str | None, **filters: str | int | bool | None) -> None:
    """List networks, by name."""
    from slipway.cli.resourcetext import show_list, yes

    with network_service(options) as network:
        found = network.list_networks(**given(project_id=project, **filters))
    show_list(
        options,
        "network",
        found,
        ("NAME", "PROJECT", "SUBNETS>", "MTU>", "SHARED", "ID"),
        lambda one: (one.name, one.project_id, str(len(one.subnets)), str(one.mtu), yes(one.shared), one.id),
    )


@subcommand(command, "show", "slipway network show demo-net")
@click.argument("name")
@scope_options
def show(options: Options, name: str, project: str | None) -> None:
    """Show the network called NAME (or with this id)."""
    show_named(options, "network", name, project)


@subcommand(
    command,
    "create",
    "slipway network create demo-net",
    "slipway network create demo-net --mtu 1400 --no-port-security-enabled",
    "slipway network create v7 --provider-network-type vlan \\\n"
    "    --provider-physical-network physnet1 --provider-segmentation-id 7",
)
@naming
@project_option("Whose it is to be. [default: default]")
@click.option("--description", metavar="TEXT", help="A description.")
@click.option("--mtu", metavar="BYTES", type=int, help="Its MTU. [default: the largest possible]")
@flag("admin-state-up", "Whether it is to be up. [default: up]")
@flag("port-security-enabled", "Whether its ports have port security. [default: yes]")
@flag("shared", "Whether other projects may use it. [default: no]")
@flag("router-external", "Whether it is external. [default: no]")
@click.option("--dns-domain", metavar="DOMAIN", help="The domain of its ports' names, such as example.org.")
@flag("host-address", "Whether its hosts have an address on it. [default: no]")
@click.option("--provider-network-type", metavar="TYPE", help="local, flat, vlan or vxlan.")
@click.option("--provider-physical-network", metavar="NAME", help="The physical network of a flat or VLAN one.")
@click.option("--provider-segmentation-id", metavar="ID", type=int, help="The VLAN or VNI. [default: a free one]")
def create(options: Options, project: str | None, **attributes: str | int | bool | None) -> None:
    """Make a network."""
    from slipway.cli import resourcetext

    with network_service(options, project, new=True) as network:
        made = network.create_network(**given(**attributes))
    resourcetext.show(options, made)


@subcommand(
    command, "delete", "slipway network delete demo-net", "slipway network delete demo-net other --project demo"
)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@scope_options
def delete(options: Options, names: tuple[str, ...], project: str | None) -> None:
    """Delete the networks called NAME (or with this id), with their subnets.

    A network on which ports are is not deleted.
    """
    delete_named(options, "network", names, project)

"""`slipway router`: routers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from slipway.cli.options import Options
from slipway.cli.resources import (
    delete_named,
    find,
    flag,
    given,
    group,
    keyed,
    naming,
    network_service,
    page_options,
    project_option,
    refer,
    scope_options,
    show_named,
    subcommand,
    together,
)

if TYPE_CHECKING:
    from slipway.networks import Networks

command = group(
    "router",
    "List, show, create, change and delete routers.",
    "slipway router create edge --external-network public",
    "slipway router add-subnet edge demo-subnet",
    "slipway router set edge --route destination=10.9.0.0/16,nexthop=10.0.0.7",
    "slipway router delete edge",
)


@subcommand(command, "list", "slipway router list", "slipway router list --project demo")
@scope_options
@click.option("--name", metavar="NAME", help="Only those with this name.")
@page_options
def list_(options: Options, project: str | None, **filters: str | int | None) -> None:
    """List routers, by name."""
    from slipway.cli.resources import names_of
    from slipway.cli.resourcetext import show_list, yes

    with network_service(options) as network:
        found = network.list_routers(**given(project_id=project, **filters))
        gateways = [one.external_gateway_info for one in found]
        names = names_of(network, [gateway.network_id for gateway in gateways if gateway])

    def row(one: Any) -> tuple[str, ...]:
        gateway = one.external_gateway_info
        outside = (names[gateway.network_id], yes(gateway.enable_snat)) if gateway else ("", "")
        return (one.name, one.project_id, *outside, str(len(one.routes)), one.id)

    show_list(options, "router", found, ("NAME", "PROJECT", "EXTERNAL", "SNAT", "ROUTES>", "ID"), row)


@subcommand(command, "show", "slipway router show edge")
@click.argument("name")
@scope_options
def show(options: Options, name: str, project: str | None) -> None:
    """Show the router called NAME (or with this id)."""
    show_named(options, "router", name, project)


_ROUTE = click.option(
    "--route",
    "routes",
    metavar="destination=CIDR,nexthop=IP",
    multiple=True,
    callback=keyed("destination", "nexthop"),
    help="A static route; several times for several.",
)
_CHANGEABLE = (
    click.option("--external-network", metavar="NETWORK", help="The external network of its gateway (name or id)."),
    click.option(
        "--fixed-ip",
        "fixed_ips",
        metavar="ip=IP,subnet=SUBNET",
        multiple=True,
        callback=keyed("ip", "subnet"),
        help="An address of the gateway, by one of both or both. [default: one of each IP version]",
    ),
    flag("snat", "Whether what it sends out bears its address. [default: yes]"),
    flag("admin-state-up", "Whether it is to be up. [default: up]"),
    click.option("--description", metavar="TEXT", help="A description."),
)


def _gateway(
    network: Networks,
    project: str | None,
    external_network: str | None,
    fixed_ips: list[dict[str, str]],
    snat: bool | None,
) -> dict[str, Any]:
    if external_network is None:
        if fixed_ips or snat is not None:
            raise click.UsageError("--fixed-ip and --snat go with --external-network")
        return {}
    outside = refer(network, "network", external_network, project).id
    addresses = [
        given(
            ip_address=one.get("ip"),
            subnet_id=refer(network, "subnet", one["subnet"], project).id if "subnet" in one else None,
        )
        for one in fixed_ips
    ]
    info = given(network_id=outside, enable_snat=snat, external_fixed_ips=addresses or None)
    return {"external_gateway_info": info}


@subcommand(
    command,
    "create",
    "slipway router create edge",
    "slipway router create edge --external-network public \\\n    --fixed-ip ip=203.0.113.5",
)
@naming
@project_option("Whose it is to be. [default: default]")
@together(_CHANGEABLE)
def create(
    options: Options,
    project: str | None,
    external_network: str | None,
    fixed_ips: list[dict[str, str]],
    snat: bool | None,
    **attributes: str | bool | None,
) -> None:
    """Make a router."""
    from slipway.cli import resourcetext

    with network_service(options, project, new=True) as network:
        gateway = _gateway(network, project, external_network, fixed_ips, snat)
        made = network.create_router(**given(**attributes), **gateway)
    resourcetext.show(options, made)


@subcommand(
    command,
    "set",
    "slipway router set edge --external-network public --no-snat",
    "slipway router set edge --route destination=10.9.0.0/16,nexthop=10.0.0.7",
)
@click.argument("name")
@click.option("--name", "new_name", metavar="NAME", help="What it is to be called.")
@scope_options
@together(_CHANGEABLE)
@_ROUTE
def set_(
    options: Options,
    name: str,
    new_name: str | None,
    project: str | None,
    external_network: str | None,
    fixed_ips: list[dict[str, str]],
    snat: bool | None,
    routes: list[dict[str, str]],
    **attributes: str | bool | None,
) -> None:
    """Change the router called NAME (or with this id); routes come to those that it has."""
    from slipway.cli import resourcetext

    with network_service(options, project) as network:
        router = find(network, "router", name, project)
        changes = _gateway(network, router.project_id, external_network, fixed_ips, snat)
        changes |= given(name=new_name, **attributes)
        if not changes and not routes:
            raise click.UsageError("there is nothing to set: name an attribute, as in --external-network public")
        if routes:
            known = [{"destination": one.destination, "nexthop": one.nexthop} for one in router.routes]
            changes["routes"] = [*known, *(one for one in routes if one not in known)]
        changed = network.update_router(router.id, **changes)
    resourcetext.show(options, changed)


@subcommand(
    command,
    "unset",
    "slipway router unset edge --external-gateway",
    "slipway router unset edge --route destination=10.9.0.0/16,nexthop=10.0.0.7",
)
@click.argument("name")
@scope_options
@click.option("--external-gateway", is_flag=True, help="Its gateway.")
@_ROUTE
def unset(
    options: Options, name: str, project: str | None, external_gateway: bool, routes: list[dict[str, str]]
) -> None:
    """Take the gateway, or static routes, away from the router called NAME (or with this id)."""
    from slipway.cli import resourcetext

    if not external_gateway and not routes:
        raise click.UsageError("there is nothing to take away: name --external-gateway or a --route")
    with network_service(options, project) as network:
        router = find(network, "router", name, project)
        changes: dict[str, Any] = {"external_gateway_info": None} if external_gateway else {}
        if routes:
            known = [{"destination": one.destination, "nexthop": one.nexthop} for one in router.routes]
            changes["routes"] = [one for one in known if one not in routes]
        changed = network.update_router(router.id, **changes)
    resourcetext.show(options, changed)


@subcommand(command, "delete", "slipway router delete edge")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@scope_options
def delete(options: Options, names: tuple[str, ...], project: str | None) -> None:
    """Delete the routers called NAME (or with this id), with their gateways and routes.

    A router that leads to a subnet is not deleted.
    """
    delete_named(options, "router", names, project)


@subcommand(command, "add-subnet", "slipway router add-subnet edge demo-subnet")
@click.argument("name")
@click.argument("subnet")
@scope_options
def add_subnet(options: Options, name: str, subnet: str, project: str | None) -> None:
    """Have the router called NAME lead to SUBNET, with the address of its gateway."""
    _lead(options, name, "subnet", subnet, project)


@subcommand(command, "remove-subnet", "slipway router remove-subnet edge demo-subnet")
@click.argument("name")
@click.argument("subnet")
@scope_options
def remove_subnet(options: Options, name: str, subnet: str, project: str | None) -> None:
    """Have the router called NAME lead to SUBNET no longer."""
    _lead(options, name, "subnet", subnet, project, no_longer=True)


@subcommand(command, "add-port", "slipway router add-port edge edge-port")
@click.argument("name")
@click.argument("port")
@scope_options
def add_port(options: Options, name: str, port: str, project: str | None) -> None:
    """Have the router called NAME lead to the network of PORT, with the port's addresses.

    So it has other addresses than the gateway's: a subnet can have two routers, or one that is no gateway.
    """
    _lead(options, name, "port", port, project)


@subcommand(command, "remove-port", "slipway router remove-port edge edge-port")
@click.argument("name")
@click.argument("port")
@scope_options
def remove_port(options: Options, name: str, port: str, project: str | None) -> None:
    """Have the router called NAME lead to the network of PORT no longer; the port is deleted."""
    _lead(options, name, "port", port, project, no_longer=True)


def _lead(options: Options, name: str, kind: str, target: str, project: str | None, *, no_longer: bool = False) -> None:
    """Have a router lead to a subnet or by a port, or do so no longer, and show what came of it."""
    from slipway.cli import resourcetext

    with network_service(options, project) as network:
        router = find(network, "router", name, project)
        done = network.remove_router_interface if no_longer else network.add_router_interface
        came = done(router.id, **{f"{kind}_id": refer(network, kind, target, router.project_id).id})
    resourcetext.show(options, came)

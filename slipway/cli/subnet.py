"""`slipway subnet`: subnets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from slipway.cli.options import Options
from slipway.cli.resources import (
    delete_named,
    find,
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

MODES = click.Choice(["slaac", "dhcpv6-stateful", "dhcpv6-stateless"])
command = group(
    "subnet",
    "List, show, create, change and delete subnets.",
    "slipway subnet list --network demo-net",
    "slipway subnet create --network demo-net --cidr 10.0.0.0/24 demo-subnet",
    "slipway subnet delete demo-subnet",
)


@subcommand(command, "list", "slipway subnet list --network demo-net", "slipway subnet list --ip-version 6")
@scope_options
@click.option("--network", metavar="NETWORK", help="Only those of this network (name or id).")
@click.option("--name", metavar="NAME", help="Only those with this name.")
@click.option("--cidr", metavar="CIDR", help="Only those with exactly this CIDR.")
@click.option("--ip-version", type=click.Choice(["4", "6"]), help="Only those of this IP version.")
@page_options
def list_(
    options: Options, project: str | None, network: str | None, ip_version: str | None, **filters: str | int | None
) -> None:
    """List subnets, in the order in which they were made."""
    from slipway.cli.resources import names_of
    from slipway.cli.resourcetext import show_list

    with network_service(options) as service:
        network_id = refer(service, "network", network, project).id if network else None
        found = service.list_subnets(
            **given(project_id=project, network_id=network_id, **filters),
            **given(ip_version=int(ip_version) if ip_version else None),
        )
        names = names_of(service, [one.network_id for one in found])
    show_list(
        options,
        "subnet",
        found,
        ("NAME", "CIDR", "GATEWAY", "NETWORK", "PROJECT", "ID"),
        lambda one: (one.name, one.cidr, one.gateway_ip, names[one.network_id], one.project_id, one.id),
    )


@subcommand(command, "show", "slipway subnet show demo-subnet")
@click.argument("name")
@scope_options
def show(options: Options, name: str, project: str | None) -> None:
    """Show the subnet called NAME (or with this id)."""
    show_named(options, "subnet", name, project)


def _pools(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[dict[str, str]] | None:
    pools = [value.partition("-") for value in values]
    for (start, _, end), value in zip(pools, values, strict=True):
        if not start or not end:
            raise click.BadParameter(f"'{value}' is not of the form FIRST-LAST", ctx, parameter)
    return [{"start": start, "end": end} for start, _, end in pools] or None


_CHANGEABLE = (
    click.option(
        "--gateway",
        "--gateway-ip",
        "gateway",
        metavar="IP|none",
        help="The gateway, or none. [default: the first address]",
    ),
    click.option(
        "--pool",
        "--allocation-pool",
        "pools",
        metavar="FIRST-LAST",
        multiple=True,
        callback=_pools,
        help="Addresses to hand out; several times for several ranges. [default: all but the gateway]",
    ),
    click.option(
        "--dns",
        "--dns-nameserver",
        "dns",
        metavar="IP",
        multiple=True,
        help="A name server; several times for several.",
    ),
    click.option(
        "--host-route",
        "host_routes",
        metavar="destination=CIDR,nexthop=IP",
        multiple=True,
        callback=keyed("destination", "nexthop"),
        help="A route for DHCP to hand out; several times for several.",
    ),
    click.option(
        "--dhcp/--no-dhcp",
        "--enable-dhcp/--no-enable-dhcp",
        "dhcp",
        default=None,
        help="Whether DHCP is to be on. [default: yes]",
    ),
    click.option("--service-type", metavar="OWNER", multiple=True, help="The device owners that may use it."),
    click.option("--description", metavar="TEXT", help="A description."),
)
"""What may be said of a new subnet and of one that is there."""


def _attributes(
    *,
    gateway: str | None,
    pools: list[dict[str, str]] | None,
    dns: tuple[str, ...],
    host_routes: list[dict[str, str]],
    dhcp: bool | None,
    service_type: tuple[str, ...],
    description: str | None,
) -> dict[str, Any]:
    attributes = given(
        description=description,
        allocation_pools=pools,
        dns_nameservers=dns or None,
        host_routes=host_routes or None,
        service_types=service_type or None,
        enable_dhcp=dhcp,
    )
    if gateway is not None:
        attributes["gateway_ip"] = None if gateway == "none" else gateway
    return attributes


@subcommand(
    command,
    "create",
    "slipway subnet create --network demo-net --cidr 10.0.0.0/24 demo-subnet",
    "slipway subnet create --network demo-net --cidr 10.0.1.0/24 \\\n"
    "    --gateway none --pool 10.0.1.10-10.0.1.99 --pool 10.0.1.200-10.0.1.220",
    "slipway subnet create --network demo-net --cidr 2001:db8::/64 \\\n    --ra-mode slaac --address-mode slaac",
)
@naming
@click.option(
    "--network", "--network-id", "network", metavar="NETWORK", required=True, help="The network (name or id)."
)
@click.option("--cidr", metavar="CIDR", required=True, help="Its addresses, as 10.0.0.0/24.")
@click.option("--ip-version", type=click.Choice(["4", "6"]), help="The IP version. [default: that of the CIDR]")
@together(_CHANGEABLE)
@click.option("--ra-mode", "--ipv6-ra-mode", "ra_mode", type=MODES, help="How IPv6 routers announce it.")
@click.option(
    "--address-mode", "--ipv6-address-mode", "address_mode", type=MODES, help="How IPv6 addresses come about."
)
@project_option("Whose it is to be. [default: default]")
def create(
    options: Options,
    name: str | None,
    network: str,
    cidr: str,
    ip_version: str | None,
    ra_mode: str | None,
    address_mode: str | None,
    project: str | None,
    **said: Any,
) -> None:
    """Make a subnet."""
    from slipway.cli import resourcetext

    modes = given(ipv6_ra_mode=ra_mode, ipv6_address_mode=address_mode)
    version = int(ip_version) if ip_version else 6 if ":" in cidr else 4
    with network_service(options, project) as service:
        network_id = refer(service, "network", network, project).id
        made = service.create_subnet(
            network_id=network_id, cidr=cidr, ip_version=version, **given(name=name), **modes, **_attributes(**said)
        )
    resourcetext.show(options, made)


@subcommand(
    command,
    "update",
    "slipway subnet update demo-subnet --dhcp",
    "slipway subnet update demo-subnet --gateway none --dns 9.9.9.9 --dns 1.1.1.1",
)
@click.argument("subnet", metavar="NAME")
@click.option("--name", metavar="NAME", help="Its new name.")
@together(_CHANGEABLE)
@scope_options
def update(options: Options, subnet: str, project: str | None, name: str | None, **said: Any) -> None:
    """Change the subnet called NAME (or with this id); what is not named stays as it is.

    What may be given several times is all that it has afterwards. Guests hear of it when they ask by DHCP again.
    """
    from slipway.cli import resourcetext

    with network_service(options) as service:
        found = find(service, "subnet", subnet, project)
        changed = service.update_subnet(found.id, **given(name=name), **_attributes(**said))
    resourcetext.show(options, changed)


@subcommand(command, "delete", "slipway subnet delete demo-subnet")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@scope_options
def delete(options: Options, names: tuple[str, ...], project: str | None) -> None:
    """Delete the subnets called NAME (or with this id).

    A subnet of which ports have addresses is not deleted.
    """
    delete_named(options, "subnet", names, project)

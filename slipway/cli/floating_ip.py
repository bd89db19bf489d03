"""`slipway floating-ip`: addresses of external networks that stand for those of ports, and ports that are forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from slipway import errors
from slipway.cli.options import Options
from slipway.cli.resources import (
    given,
    group,
    network_service,
    page_options,
    project_option,
    refer,
    scope_options,
    subcommand,
)

if TYPE_CHECKING:
    from slipway.model.routing import FloatingIp
    from slipway.networks import Networks

command = group(
    "floating-ip",
    "List, show, create, change and delete floating IPs.",
    "slipway floating-ip create public --port web-port",
    "slipway floating-ip unset 203.0.113.10",
    "slipway floating-ip forward add 203.0.113.11 --port web-port \\\n    --external-port 2222 --internal-port 22",
)


def _find(network: Networks, key: str, project: str | None) -> FloatingIp:
    """The floating IP with this id or address. Raises `FloatingIPNotFound`, `NoUniqueMatch`."""
    scope = given(project_id=project)
    try:
        found = network.list_floatingips(id=key, **scope) or network.list_floatingips(floating_ip_address=key, **scope)
    except errors.HTTPBadRequest:  # It is no address.
        found = ()
    if not found:
        raise errors.FloatingIPNotFound(
            f"there is no floating IP {key}" + (f" in project {project}" if project else "")
        )
    if len(found) > 1:
        raise errors.NoUniqueMatch(f"{len(found)} floating IPs have the address {key}: give an id or --project")
    return found[0]


@subcommand(command, "list", "slipway floating-ip list", "slipway floating-ip list --port web-port")
@scope_options
@click.option("--network", metavar="NETWORK", help="Only those of this external network (name or id).")
@click.option("--port", metavar="PORT", help="Only those that stand for this port (name or id).")
@click.option("--router", metavar="ROUTER", help="Only those of this router (name or id).")
@page_options
def list_(
    options: Options,
    project: str | None,
    network: str | None,
    port: str | None,
    router: str | None,
    **filters: str | int | None,
) -> None:
    """List floating IPs, by address."""
    from slipway.cli.resources import names_of
    from slipway.cli.resourcetext import show_list

    with network_service(options) as service:
        wanted = {
            "floating_network_id": network and refer(service, "network", network, project).id,
            "port_id": port and refer(service, "port", port, project).id,
            "router_id": router and refer(service, "router", router, project).id,
        }
        found = service.list_floatingips(**given(project_id=project, **wanted, **filters))
        names = names_of(service, [one.floating_network_id for one in found])
    show_list(
        options,
        "floating IP",
        found,
        ("ADDRESS", "FIXED", "NETWORK", "FORWARDS>", "PROJECT", "ID"),
        lambda one: (
            one.floating_ip_address,
            one.fixed_ip_address,
            names[one.floating_network_id],
            str(len(one.port_forwardings)),
            one.project_id,
            one.id,
        ),
    )


@subcommand(command, "show", "slipway floating-ip show 203.0.113.10")
@click.argument("name", metavar="ADDRESS")
@scope_options
def show(options: Options, name: str, project: str | None) -> None:
    """Show the floating IP with this ADDRESS (or id)."""
    from slipway.cli import resourcetext

    with network_service(options, project) as network:
        found = _find(network, name, project)
    resourcetext.show(options, found)


@subcommand(
    command,
    "create",
    "slipway floating-ip create public",
    "slipway floating-ip create public --port web-port --address 203.0.113.10",
)
@click.argument("network", metavar="NETWORK")
@project_option("Whose it is to be. [default: default]")
@click.option("--port", metavar="PORT", help="The port that it is to stand for (name or id).")
@click.option("--fixed-ip", metavar="IP", help="Which of the port's addresses, where it has several.")
@click.option("--address", metavar="IP", help="The address itself. [default: a free one]")
@click.option("--subnet", metavar="SUBNET", help="The subnet that it is to be of (name or id).")
@click.option("--description", metavar="TEXT", help="A description.")
def create(
    options: Options,
    network: str,
    project: str | None,
    port: str | None,
    fixed_ip: str | None,
    address: str | None,
    subnet: str | None,
    description: str | None,
) -> None:
    """Take an address of the external NETWORK (name or id), for a port's where one is named."""
    from slipway.cli import resourcetext

    with network_service(options, project, new=True) as service:
        made = service.create_floatingip(
            floating_network_id=refer(service, "network", network, project).id,
            **given(
                port_id=port and refer(service, "port", port, project).id,
                subnet_id=subnet and refer(service, "subnet", subnet, project).id,
                fixed_ip_address=fixed_ip,
                floating_ip_address=address,
                description=description,
            ),
        )
    resourcetext.show(options, made)


@subcommand(command, "set", "slipway floating-ip set 203.0.113.10 --port web-port")
@click.argument("name", metavar="ADDRESS")
@scope_options
@click.option("--port", metavar="PORT", help="The port that it is to stand for (name or id).")
@click.option("--fixed-ip", metavar="IP", help="Which of the port's addresses, where it has several.")
@click.option("--description", metavar="TEXT", help="A description.")
def set_(
    options: Options,
    name: str,
    project: str | None,
    port: str | None,
    fixed_ip: str | None,
    description: str | None,
) -> None:
    """Have the floating IP with this ADDRESS (or id) stand for another port."""
    from slipway.cli import resourcetext

    with network_service(options, project) as network:
        found = _find(network, name, project)
        changes = given(
            port_id=port and refer(network, "port", port, found.project_id).id,
            fixed_ip_address=fixed_ip,
            description=description,
        )
        if not changes:
            raise click.UsageError("there is nothing to set: name a --port, or see `slipway floating-ip unset`")
        changed = network.update_floatingip(found.id, **changes)
    resourcetext.show(options, changed)


@subcommand(command, "unset", "slipway floating-ip unset 203.0.113.10")
@click.argument("name", metavar="ADDRESS")
@scope_options
def unset(options: Options, name: str, project: str | None) -> None:
    """Have the floating IP with this ADDRESS (or id) stand for no port any more; the address is kept."""
    from slipway.cli import resourcetext

    with network_service(options, project) as network:
        changed = network.update_floatingip(_find(network, name, project).id, port_id=None)
    resourcetext.show(options, changed)


@subcommand(command, "delete", "slipway floating-ip delete 203.0.113.10")
@click.argument("names", metavar="ADDRESS...", nargs=-1, required=True)
@scope_options
def delete(options: Options, names: tuple[str, ...], project: str | None) -> None:
    """Give the floating IPs with these addresses (or ids) back.

    One that forwards ports is not deleted.
    """
    from slipway.cli.output import print_json
    from slipway.cli.resourcetext import resource_json
    from slipway.cli.say import say

    with network_service(options, project) as network:
        found = list({one.id: one for one in (_find(network, name, project) for name in names)}.values())
        for one in found:
            network.delete_floatingip(one.id)
            if not options.json:
                say(f"deleted floating IP {one.floating_ip_address}")
    if options.json:
        print_json([resource_json(one) for one in found])


forward = group(
    "forward",
    "Add and remove ports that a floating IP forwards; `show` lists them.",
    "slipway floating-ip forward add 203.0.113.11 --port web-port \\\n    --external-port 2222 --internal-port 22",
)
command.add_command(forward)


@subcommand(
    forward,
    "add",
    "slipway floating-ip forward add 203.0.113.11 --port web-port \\\n    --external-port 2222 --internal-port 22",
)
@click.argument("name", metavar="ADDRESS")
@scope_options
@click.option("--port", metavar="PORT", required=True, help="The port that it leads to (name or id).")
@click.option("--fixed-ip", metavar="IP", help="Which of the port's addresses. [default: its only one of IPv4]")
@click.option("--protocol", metavar="NAME", default="tcp", show_default=True, help="tcp, udp, sctp ...")
@click.option("--external-port", metavar="PORT|FIRST-LAST", required=True, help="The floating IP's.")
@click.option("--internal-port", metavar="PORT|FIRST-LAST", required=True, help="The port's.")
@click.option("--description", metavar="TEXT", help="A description.")
def add(
    options: Options,
    name: str,
    project: str | None,
    port: str,
    fixed_ip: str | None,
    external_port: str,
    internal_port: str,
    **attributes: str,
) -> None:
    """Forward ports of the floating IP with this ADDRESS (or id), which stands for no port itself."""
    from slipway.cli import resourcetext

    with network_service(options, project) as network:
        found = _find(network, name, project)
        inside = refer(network, "port", port, found.project_id)
        ports: dict[str, Any] = {
            "external_port_range": external_port.replace("-", ":"),
            "internal_port_range": internal_port.replace("-", ":"),
        }
        made = network.create_port_forwarding(
            found.id,
            internal_port_id=inside.id,
            internal_ip_address=fixed_ip or _only_ipv4(inside),
            **ports,
            **given(**attributes),
        )
    resourcetext.show(options, made)


def _only_ipv4(port: Any) -> str:
    found = [each.ip_address for each in port.fixed_ips if ":" not in each.ip_address]
    if len(found) != 1:
        raise errors.BadRequest(f"port {port.name or port.id} has {len(found)} addresses of IPv4: give --fixed-ip")
    return str(found[0])


@subcommand(
    forward, "remove", "slipway floating-ip forward remove 203.0.113.11 \\\n    6f1d3f9c-7ad2-4a53-a1b5-f0b2a7f1c6f4"
)
@click.argument("name", metavar="ADDRESS")
@click.argument("forwardings", metavar="FORWARDING...", nargs=-1, required=True)
@scope_options
def remove(options: Options, name: str, forwardings: tuple[str, ...], project: str | None) -> None:
    """Forward no longer what has these ids."""
    from slipway.cli.output import print_json
    from slipway.cli.say import say

    with network_service(options, project) as network:
        found = _find(network, name, project)
        for one in forwardings:
            network.delete_port_forwarding(found.id, one)
            if not options.json:
                say(f"deleted forwarding {one}")
    if options.json:
        print_json([{"id": one} for one in forwardings])

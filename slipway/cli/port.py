"""`slipway port`: ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from slipway.cli.options import Options
from slipway.cli.portoptions import Wanted, port_options
from slipway.cli.resources import (
    delete_named,
    find,
    given,
    group,
    names_of,
    naming,
    network_service,
    page_options,
    project_option,
    refer,
    scope_options,
    show_named,
    subcommand,
)

if TYPE_CHECKING:
    from slipway.model.network import Port
    from slipway.networks import Networks

command = group(
    "port",
    "List, show, create, change and delete ports.",
    "slipway port list --network demo-net",
    "slipway port create --network demo-net --fixed-ip ip=10.0.0.5 web-port",
    "slipway port update web-port --fixed-ip ip=10.0.0.6",
)


@subcommand(
    command,
    "list",
    "slipway port list --network demo-net --status ACTIVE",
    "slipway port list --ip-address 10.0.0.5",
    "slipway port list --limit 100 --output json",
)
@scope_options
@click.option("--network", metavar="NETWORK", help="Only those of this network (name or id).")
@click.option("--subnet", metavar="SUBNET", help="Only those with an address of this subnet (name or id).")
@click.option("--security-group", metavar="GROUP", help="Only those with this security group (name or id).")
@click.option("--ip-address", metavar="IP", help="Only those with this address.")
@click.option("--name", metavar="NAME", help="Only those with this name.")
@click.option("--mac", "--mac-address", "mac_address", metavar="MAC", help="Only those with this MAC address.")
@click.option("--device-id", metavar="ID", help="Only those of this device (an instance's id).")
@click.option("--device-owner", metavar="OWNER", help="Only those of this kind of device.")
@click.option("--host", "binding_host_id", metavar="HOST", help="Only those bound to this host.")
@click.option("--status", metavar="STATUS", help="Only those in this status.")
@page_options
def list_(
    options: Options,
    project: str | None,
    network: str | None,
    subnet: str | None,
    security_group: str | None,
    **filters: str | int | None,
) -> None:
    """List ports, in the order in which they were made."""
    from slipway.cli.resourcetext import show_list

    with network_service(options) as service:
        places = {
            "network_id": refer(service, "network", network, project).id if network else None,
            "subnet_id": refer(service, "subnet", subnet, project).id if subnet else None,
            "security_group": refer(service, "security group", security_group, project).id if security_group else None,
        }
        found = service.list_ports(**given(project_id=project, **places, **filters))
        names = names_of(service, [one.network_id for one in found])

    def row(port: Port) -> tuple[str, ...]:
        addresses = ", ".join(ip.ip_address for ip in port.fixed_ips)
        device = f"{port.device_owner} {port.device_id}".strip()
        return port.name, addresses, port.mac_address, names[port.network_id], port.status, device, port.id

    show_list(options, "port", found, ("NAME", "ADDRESSES", "MAC", "NETWORK", "STATUS", "DEVICE", "ID"), row)


@subcommand(command, "show", "slipway port show web-port")
@click.argument("name")
@scope_options
def show(options: Options, name: str, project: str | None) -> None:
    """Show the port called NAME (or with this id)."""
    show_named(options, "port", name, project)


@subcommand(
    command,
    "create",
    "slipway port create --network demo-net --name web-port",
    "slipway port create --network demo-net --fixed-ip ip=10.0.0.5 \\\n"
    "    --fixed-ip subnet=demo-v6 --mac fa:16:3e:00:00:01",
    "slipway port create --network demo-net --no-fixed-ip --no-security-group",
)
@naming
@click.option(
    "--network", "--network-id", "network", metavar="NETWORK", required=True, help="The network (name or id)."
)
@port_options
@project_option("Whose it is to be. [default: default]")
def create(options: Options, network: str, project: str | None, name: str | None, **wanted: Any) -> None:
    """Make a port. Without --fixed-ip it gets an address of each IP version."""
    from slipway.cli import resourcetext

    with network_service(options, project) as service:
        network_id = refer(service, "network", network, project).id
        attributes = _attributes(service, Wanted(**wanted), network_id, project)
        made = service.create_port(network_id=network_id, **given(name=name), **attributes)
    resourcetext.show(options, made)


@subcommand(
    command,
    "update",
    "slipway port update web-port --fixed-ip ip=10.0.0.5 --fixed-ip ip=10.0.0.6",
    "slipway port update web-port --host node-1 --device-id web-1",
    "slipway port update web-port --host ''",
)
@click.argument("port", metavar="NAME")
@click.option("--name", metavar="NAME", help="Its new name.")
@port_options
@scope_options
def update(options: Options, port: str, project: str | None, name: str | None, **wanted: Any) -> None:
    """Change the port called NAME (or with this id); what is not named stays as it is.

    The addresses that --fixed-ip names are all that it has afterwards: those that it has already are kept, others are
    given back. An empty --host unbinds it.
    """
    from slipway.cli import resourcetext

    with network_service(options) as service:
        found: Port = find(service, "port", port, project)
        attributes = _attributes(service, Wanted(**wanted), found.network_id, found.project_id)
        changed = service.update_port(found.id, **given(name=name), **attributes)
    resourcetext.show(options, changed)


def _attributes(service: Networks, wanted: Wanted, network_id: str, project: str | None) -> dict[str, Any]:
    """What was asked for as Neutron's attributes: names of subnets and security groups become ids."""

    def fixed_ip(entry: dict[str, str]) -> dict[str, str]:
        subnet = entry.get("subnet")
        found = refer(service, "subnet", subnet, project, network_id=network_id).id if subnet else None
        return given(subnet_id=found, ip_address=entry.get("ip"))

    def group_id(name: str) -> str:
        found: str = refer(service, "security group", name, project).id
        return found

    attributes = wanted.plain()
    if wanted.fixed_ips is not None:
        attributes["fixed_ips"] = [fixed_ip(entry) for entry in wanted.fixed_ips]
    if wanted.security_groups is not None:
        attributes["security_groups"] = [group_id(name) for name in wanted.security_groups]
    return attributes


@subcommand(command, "delete", "slipway port delete web-port", "slipway port delete web-port other --project demo")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@scope_options
def delete(options: Options, names: tuple[str, ...], project: str | None) -> None:
    """Delete the ports called NAME (or with this id); their addresses are free again."""
    delete_named(options, "port", names, project)

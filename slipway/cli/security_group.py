"""`slipway security-group`: security groups and their rules."""

from __future__ import annotations

import click

from slipway.cli.options import Options
from slipway.cli.resources import (
    delete_named,
    find,
    given,
    group,
    naming,
    network_service,
    page_options,
    project_option,
    refer,
    scope_options,
    show_named,
    subcommand,
)
from slipway.cli.say import say

command = group(
    "security-group",
    "List, show, create and delete security groups; add and remove their rules.",
    "slipway security-group create web",
    "slipway security-group rule add web --protocol tcp --port 80",
    "slipway security-group show web",
)


@subcommand(command, "list", "slipway security-group list --project demo")
@scope_options
@click.option("--name", metavar="NAME", help="Only those with this name.")
@page_options
def list_(options: Options, project: str | None, **filters: str | int | None) -> None:
    """List security groups, by name."""
    from slipway.cli.resourcetext import show_list

    with network_service(options, project) as network:
        found = network.list_security_groups(**given(project_id=project, **filters))
    show_list(
        options,
        "security group",
        found,
        ("NAME", "PROJECT", "RULES>", "DESCRIPTION", "ID"),
        lambda one: (one.name, one.project_id, str(len(one.rules)), one.description, one.id),
    )


@subcommand(command, "show", "slipway security-group show web")
@click.argument("name")
@scope_options
def show(options: Options, name: str, project: str | None) -> None:
    """Show the security group called NAME (or with this id), with its rules."""
    show_named(options, "security group", name, project)


@subcommand(command, "create", "slipway security-group create web --description 'Web servers'")
@naming
@project_option("Whose it is to be. [default: default]")
@click.option("--description", metavar="TEXT", help="A description.")
def create(options: Options, name: str | None, project: str | None, description: str | None) -> None:
    """Make a security group; its first two rules let everything out."""
    from slipway.cli import resourcetext

    with network_service(options, project, new=True) as network:
        made = network.create_security_group(**given(name=name, description=description))
    resourcetext.show(options, made)


@subcommand(command, "delete", "slipway security-group delete web")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@scope_options
def delete(options: Options, names: tuple[str, ...], project: str | None) -> None:
    """Delete the security groups called NAME (or with this id).

    A group that ports have is not deleted.
    """
    delete_named(options, "security group", names, project)


rule = group(
    "rule",
    "Add and remove the rules of security groups; `show` lists a group's.",
    "slipway security-group rule add web --protocol tcp --port 80",
)
command.add_command(rule)


@subcommand(
    rule,
    "add",
    "slipway security-group rule add web --protocol tcp --port 80",
    "slipway security-group rule add web --protocol icmp --from 10.0.0.0/8",
    "slipway security-group rule add web --protocol tcp --port 1-1023 \\\n    --direction egress --ethertype IPv6",
)
@click.argument("group_name", metavar="GROUP")
@click.option("--direction", type=click.Choice(["ingress", "egress"]), default="ingress", show_default=True)
@click.option("--ethertype", type=click.Choice(["IPv4", "IPv6"]), help="[default: that of the prefix, or IPv4]")
@click.option("--protocol", metavar="NAME|NUMBER", help="tcp, udp, icmp ... [default: any]")
@click.option("--port", metavar="PORT|FIRST-LAST", help="The ports; type and code for ICMP. [default: any]")
@click.option("--remote-ip-prefix", "--from", "prefix", metavar="CIDR", help="The addresses at the other end.")
@click.option("--remote-group", metavar="GROUP", help="The group at the other end (name or id).")
@click.option("--description", metavar="TEXT", help="A description.")
@scope_options
def add(
    options: Options,
    group_name: str,
    project: str | None,
    ethertype: str | None,
    port: str | None,
    prefix: str | None,
    remote_group: str | None,
    **attributes: str | None,
) -> None:
    """Add a rule to the security group called GROUP (or with this id)."""
    from slipway.cli import resourcetext

    first, _, last = (port or "").partition("-")
    with network_service(options, project) as network:
        target = find(network, "security group", group_name, project)
        remote = refer(network, "security group", remote_group, target.project_id) if remote_group else None
        made = network.create_security_group_rule(
            security_group_id=target.id,
            project_id=target.project_id,
            **given(
                ethertype=ethertype or ("IPv6" if prefix and ":" in prefix else None),
                port_range_min=first or None,
                port_range_max=last or first or None,
                remote_ip_prefix=prefix,
                remote_group_id=remote.id if remote else None,
                **attributes,
            ),
        )
    resourcetext.show(options, made)


@subcommand(rule, "remove", "slipway security-group rule remove 6f1d3f9c-7ad2-4a53-a1b5-f0b2a7f1c6f4")
@click.argument("rules", metavar="RULE...", nargs=-1, required=True)
def remove(options: Options, rules: tuple[str, ...]) -> None:
    """Remove the rules with these ids."""
    from slipway.cli.output import print_json

    with network_service(options) as network:
        for rule_id in rules:
            network.delete_security_group_rule(rule_id)
            if not options.json:
                say(f"removed rule {rule_id}")
    if options.json:
        print_json([{"id": rule_id} for rule_id in rules])

"""`slipway quota`: how much a project may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options
from slipway.cli.resources import given, group, network_service, project_option, subcommand
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.model.network import Quota

_TEXTS = {
    "network": "Networks; -1 is no limit.",
    "subnet": "Subnets.",
    "port": "Ports.",
    "security_group": "Security groups.",
    "security_group_rule": "Rules of security groups.",
}
RESOURCES = tuple(_TEXTS)
command = group(
    "quota",
    "List, show, set and delete the quotas of projects.",
    "slipway quota show --project demo",
    "slipway quota set --project demo --port 50 --network -1",
    "slipway quota set --project demo --port 0 --force",
    "slipway quota delete --project demo",
)


@subcommand(command, "list", "slipway quota list")
def list_(options: Options) -> None:
    """List the quotas of the projects that have limits of their own."""
    from slipway.cli.output import print_json, table, write

    with network_service(options) as network:
        found = network.list_quotas()
    if options.json:
        print_json(found)
    elif not found:
        say("no quotas")
    else:
        columns = ("PROJECT", *(f"{name.upper()}>" for name in RESOURCES))
        write(table(columns, [(one.project_id, *(_use(one, name) for name in RESOURCES)) for one in found]))


@subcommand(command, "show", "slipway quota show --project demo")
@project_option("Whose. [default: default]")
def show(options: Options, project: str | None) -> None:
    """Show how much a project may have, and how much it has."""
    with network_service(options, project) as network:
        _show(options, network.show_quota())


def _limits(function: Callable[..., None]) -> Callable[..., None]:
    """The options of `set` and `create`."""
    for name, text in reversed(tuple(_TEXTS.items())):
        function = click.option(f"--{name.replace('_', '-')}", metavar="N", type=int, help=text)(function)
    function = click.option("--force", is_flag=True, help="Also below what it has: it then gets no more.")(function)
    return project_option("Whose. [default: default]")(function)


@subcommand(command, "create", "slipway quota create --project demo --port 50", "slipway quota create --subnet -1")
@_limits
def create(options: Options, project: str | None, force: bool, **limits: int | None) -> None:
    """Give a project limits of its own; what is not named stays as it is: the same as `set`."""
    _set(options, project, limits, force=force)


@subcommand(command, "set", "slipway quota set --project demo --port 50", "slipway quota set --subnet -1")
@_limits
def set_(options: Options, project: str | None, force: bool, **limits: int | None) -> None:
    """Give a project limits of its own; what is not named stays as it is.

    A limit below what the project has is refused without --force.
    """
    _set(options, project, limits, force=force)


def _set(options: Options, project: str | None, limits: Mapping[str, int | None], *, force: bool) -> None:
    if not given(**limits):
        raise click.UsageError("there is nothing to set: name a resource, as in --port 50")
    with network_service(options, project, new=True) as network:
        _show(options, network.set_quota(force=force, **given(**limits)))


@subcommand(command, "delete", "slipway quota delete --project demo")
@project_option("Whose. [default: default]")
def delete(options: Options, project: str | None) -> None:
    """Take a project's own limits away: those of the settings hold again."""
    with network_service(options, project) as network:
        network.delete_quota()
        _show(options, network.show_quota())


def _show(options: Options, quota: Quota) -> None:
    from slipway.cli.output import print_json, table, write

    if options.json:
        print_json(quota)
    else:
        rows = [(name, _limit(quota, name), str(getattr(quota.used, name))) for name in RESOURCES]
        write(f"quota of project {quota.project_id}", table(("RESOURCE", "LIMIT>", "USED>"), rows))


def _limit(quota: Quota, name: str) -> str:
    limit: int = getattr(quota, name)
    return "none" if limit < 0 else str(limit)


def _use(quota: Quota, name: str) -> str:
    return f"{getattr(quota.used, name)}/{_limit(quota, name)}"

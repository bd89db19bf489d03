"""`slipway quota`: how much a project may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from slipway import errors
from slipway.cli.options import Options, orchestrator
from slipway.cli.resources import DEFAULT_PROJECT, given, group, project_option, subcommand
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.model.network import Quota
    from slipway.model.quota import InstanceQuota
    from slipway.orchestrator import Orchestrator

_TEXTS = {
    "network": "Networks; -1 is no limit.",
    "subnet": "Subnets.",
    "port": "Ports.",
    "security_group": "Security groups.",
    "security_group_rule": "Rules of security groups.",
    "router": "Routers.",
    "floatingip": "Floating IPs.",
    "router_route": "Static routes of one router.",
}
_INSTANCE_TEXTS = {
    "instances": "Instances.",
    "vcpus": "Their vCPUs.",
    "memory": "Their memory, such as 64GiB.",
    "disk": "Their disks, such as 2TiB.",
}
_SIZES = ("memory", "disk")
RESOURCES = tuple(_TEXTS)
INSTANCE_RESOURCES = tuple(_INSTANCE_TEXTS)


class Size(click.ParamType):  # type: ignore[type-arg]
    """A size with its unit, or -1."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        from slipway.yamlfile.units import parse_size, suggest_size

        if str(value) in ("-1", "0"):
            return int(value)
        try:
            return parse_size(str(value))
        except ValueError as error:
            hint = suggest_size(str(value))
            self.fail(f"{value!r} is no size ({error})" + (f", did you mean {hint}?" if hint else ""), param, ctx)


command = group(
    "quota",
    "List, show, set and delete the quotas of projects.",
    "slipway quota show --project demo",
    "slipway quota set --project demo --port 50 --network -1",
    "slipway quota set --project demo --instances 20 --vcpus 40 --memory 64GiB",
    "slipway quota set --project demo --port 0 --force",
    "slipway quota delete --project demo",
)


@contextmanager
def _quotas(options: Options, project: str | None = None, *, new: bool = False) -> Iterator[tuple[Orchestrator, str]]:
    """An orchestrator, and the project on whose behalf the network service is called."""
    whose = project or DEFAULT_PROJECT
    with orchestrator(options, project=whose, new=new) as slipway:
        yield slipway, whose


@subcommand(command, "list", "slipway quota list")
def list_(options: Options) -> None:
    """List the quotas of the projects that have limits of their own."""
    from slipway.cli.output import print_json, table, write

    with _quotas(options) as (slipway, _):
        networks = {one.project_id: one for one in slipway.network.list_quotas()}
        machines = {one.project: one for one in slipway.quotas.list()}
        projects = sorted({*networks, *machines})
        found = [
            (
                networks.get(one) or slipway.network.show_quota(one),
                machines.get(one) or slipway.quotas.show(one),
            )
            for one in projects
        ]
    if options.json:
        print_json([_json(*pair) for pair in found])
    elif not found:
        say("no quotas")
    else:
        names = (*INSTANCE_RESOURCES, *RESOURCES)
        columns = ("PROJECT", *(f"{name.upper()}>" for name in names))
        rows = [(pair[1].project, *(f"{used}/{limit}" for _, limit, used in _rows(*pair))) for pair in found]
        write(table(columns, rows))


@subcommand(command, "show", "slipway quota show --project demo")
@project_option("Whose. [default: default]")
def show(options: Options, project: str | None) -> None:
    """Show how much a project may have, and how much it has."""
    with _quotas(options, project) as (slipway, whose):
        _show(options, slipway, whose)


def _limits(function: Callable[..., None]) -> Callable[..., None]:
    """The options of `set` and `create`."""
    for name, text in reversed(tuple(_TEXTS.items())):
        function = click.option(f"--{name.replace('_', '-')}", metavar="N", type=int, help=text)(function)
    for name, text in reversed(tuple(_INSTANCE_TEXTS.items())):
        kind, metavar = (Size(), "SIZE") if name in _SIZES else (int, "N")
        function = click.option(f"--{name}", metavar=metavar, type=kind, help=text)(function)
    function = click.option("--force", is_flag=True, help="Also below what it has: it then gets no more.")(function)
    return project_option("Whose. [default: default]")(function)


@subcommand(command, "create", "slipway quota create --project demo --port 50", "slipway quota create --subnet -1")
@_limits
def create(options: Options, project: str | None, force: bool, **limits: int | None) -> None:
    """Give a project limits of its own; what is not named stays as it is: the same as `set`."""
    _set(options, project, limits, force=force)


@subcommand(
    command,
    "set",
    "slipway quota set --project demo --port 50",
    "slipway quota set --subnet -1",
    "slipway quota set --instances 20 --memory 64GiB",
)
@_limits
def set_(options: Options, project: str | None, force: bool, **limits: int | None) -> None:
    """Give a project limits of its own; what is not named stays as it is.

    A limit below what the project has is refused without --force.
    """
    _set(options, project, limits, force=force)


def _set(options: Options, project: str | None, limits: Mapping[str, int | None], *, force: bool) -> None:
    if not given(**limits):
        raise click.UsageError("there is nothing to set: name a resource, as in --port 50")
    of_instances = given(**{name: limits[name] for name in INSTANCE_RESOURCES})
    of_networks = given(**{name: limits[name] for name in RESOURCES})
    with _quotas(options, project, new=True) as (slipway, whose):
        before = slipway.quotas.show(whose)
        if of_instances:
            slipway.quotas.set(whose, force=force, **of_instances)
        try:
            if of_networks:
                slipway.network.set_quota(force=force, **of_networks)
        except Exception:
            slipway.quotas.set(whose, force=True, **{name: getattr(before, name) for name in of_instances})
            raise
        _show(options, slipway, whose)


@subcommand(command, "delete", "slipway quota delete --project demo")
@project_option("Whose. [default: default]")
def delete(options: Options, project: str | None) -> None:
    """Take a project's own limits away: those of the settings hold again."""
    with _quotas(options, project) as (slipway, whose):
        with suppress(errors.TenantQuotaNotFound):
            slipway.network.delete_quota()
        slipway.quotas.clear(whose)
        _show(options, slipway, whose)


def _show(options: Options, slipway: Orchestrator, project: str) -> None:
    from slipway.cli.output import print_json, table, write

    networks, machines = slipway.network.show_quota(), slipway.quotas.show(project)
    if options.json:
        print_json(_json(networks, machines))
    else:
        write(f"quota of project {project}", table(("RESOURCE", "LIMIT>", "USED>"), list(_rows(networks, machines))))


def _json(networks: Quota, machines: InstanceQuota) -> dict[str, Any]:
    from msgspec.structs import asdict

    found = asdict(networks)
    for name in INSTANCE_RESOURCES:
        found[name] = getattr(machines, name)
    return {**found, "used": {**asdict(networks.used), **asdict(machines.used)}}


def _rows(networks: Quota, machines: InstanceQuota) -> Iterator[tuple[str, str, str]]:
    """Name, limit and use of each resource."""
    from slipway.cli.output import size_text

    for quota, names in ((machines, INSTANCE_RESOURCES), (networks, RESOURCES)):
        for name in names:
            limit, used = getattr(quota, name), getattr(quota.used, name)
            text = size_text if name in _SIZES else str
            yield name, "none" if limit < 0 else text(limit), text(used)

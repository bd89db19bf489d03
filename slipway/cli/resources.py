"""What the commands of networks, subnets, ports, security groups and quotas have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from slipway import errors
from slipway.cli.options import F, Options, common_options, example, orchestrator

if TYPE_CHECKING:
    from slipway.cli.resourcetext import Resource
    from slipway.networks import Networks

DEFAULT_PROJECT = "default"
_NOT_FOUND: dict[str, type[errors.NotFound]] = {
    "network": errors.NetworkNotFound,
    "subnet": errors.SubnetNotFound,
    "port": errors.PortNotFound,
    "security group": errors.SecurityGroupNotFound,
    "router": errors.RouterNotFound,
}


_STACKED = ("network", "subnet", "port", "security group", "router")


class Group(click.Group):
    """The commands of one resource; without one it shows its help, and a misspelled one is told."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name, or a usage error that says which one may have been meant."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            from slipway.yamlfile.mistakes import did_you_mean

            ctx.fail(f"there is no command '{ctx.info_name} {args[0]}'{did_you_mean(args[0], self.commands)}")
        return super().resolve_command(ctx, args)


def group(name: str, help_: str, *examples: str) -> Group:
    """The group of a resource's commands."""

    @click.group(name, cls=Group, help=help_, invoke_without_command=True, epilog=example(*examples))
    @common_options()
    @click.pass_context
    def command(ctx: click.Context) -> int | None:
        if ctx.invoked_subcommand is not None:
            return None
        click.echo(ctx.get_help(), err=True)
        return 2

    return command


def subcommand(of: Group, name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a command of the group, with the common options; its first argument is `Options`."""

    def make(function: Callable[..., None]) -> click.Command:
        with_options = common_options()(click.pass_obj(function))
        return of.command(name, epilog=example(*examples))(with_options)

    return make


# --- options ------------------------------------------------------------------------------------------------------


def project_option(text: str) -> Callable[[F], F]:
    """`--project`, for what belongs to one project."""
    return click.option("--project", metavar="PROJECT", help=text)


def scope_options(function: F) -> F:
    """`--project` and `--all-projects`, for lists and look-ups by name."""

    def check(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value and ctx.params.get("project") is not None:
            raise click.UsageError("--project and --all-projects exclude each other", ctx)

    function = click.option(
        "--all-projects", is_flag=True, expose_value=False, callback=check, help="Those of all projects: the default."
    )(function)
    return click.option("--project", metavar="PROJECT", is_eager=True, help="Only those of this project.")(function)


def page_options(function: F) -> F:
    """`--limit` and `--marker`, for lists."""
    function = click.option("--marker", metavar="ID", help="Begin after the one with this id.")(function)
    return click.option("--limit", metavar="N", type=click.IntRange(min=1), help="Show at most N.")(function)


def flag(name: str, text: str) -> Callable[[F], F]:
    """`--NAME` and `--no-NAME`; neither leaves it as Neutron has it."""
    return click.option(f"--{name}/--no-{name}", default=None, help=text)


def together(options: Sequence[Callable[[Any], Any]]) -> Callable[[F], F]:
    """Options that several commands share, in this order in the help."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def naming(function: Callable[..., None]) -> Callable[..., None]:
    """The name of what is to be made, as `NAME` or `--name NAME`."""

    @click.argument("name", required=False)
    @click.option("--name", "also", metavar="NAME", help="Its name; NAME as an argument does the same.")
    @wraps(function)
    def named(*args: Any, name: str | None, also: str | None, **more: Any) -> None:
        if name is not None and also is not None:
            raise click.UsageError("the name is given twice: as NAME and with --name")
        function(*args, name=name if also is None else also, **more)

    return named


_SHORT = {"ip_address": "ip", "subnet_id": "subnet", "mac_address": "mac"}
"""The short forms of Neutron's keys, which are understood as well."""


def keyed(*keys: str) -> Callable[[click.Context, click.Parameter, Sequence[str]], list[dict[str, str]]]:
    """Reads options such as `ip=10.0.0.5,subnet=web`: a mapping for each, with some of these keys."""

    def read(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> list[dict[str, str]]:
        found = []
        for value in values:
            parts = [part.partition("=") for part in value.split(",")]
            read = {_SHORT.get(key, key): text for key, _, text in parts}
            if len(read) != len(parts) or not read.keys() <= set(keys) or not all(text for _, _, text in parts):
                forms = ",".join(f"{key}=..." for key in keys)
                raise click.BadParameter(f"'{value}' is not of the form {forms}", ctx, parameter)
            found.append(read)
        return found

    return read


def given(**values: Any) -> dict[str, Any]:
    """What was said; the rest is as Neutron has it."""
    return {name: value for name, value in values.items() if value is not None}


# --- the network service ------------------------------------------------------------------------------------------


@contextmanager
def network_service(options: Options, project: str | None = None, *, new: bool = False) -> Iterator[Networks]:
    """The network service, called by an administrator of the project. `new`: the command may be a user's first."""
    with orchestrator(options, project=project or DEFAULT_PROJECT, new=new) as slipway:
        yield slipway.network


def find(network: Networks, noun: str, key: str, project: str | None) -> Any:
    """The one with this id or name, of this project if one is named.

    Raises the `NotFound` of its kind, and `NoUniqueMatch` when several have the name.
    """
    found = _matches(network, noun, key)
    return _only(noun, key, [one for one in found if project in (None, one.project_id)], project)


def refer(network: Networks, noun: str, key: str, project: str | None, **filters: str) -> Any:
    """What a new thing refers to by id or name; where several have the name, the one of the thing's own project."""
    found = _matches(network, noun, key, **filters)
    own = [one for one in found if one.project_id == (project or DEFAULT_PROJECT)]
    return _only(noun, key, own if len(found) > 1 and own else found, None)


def _matches(network: Networks, noun: str, key: str, **filters: str) -> Sequence[Resource]:
    method = noun.replace(" ", "_")
    try:
        return [getattr(network, f"show_{method}")(key)]
    except errors.NotFound:
        found: Sequence[Resource] = getattr(network, f"list_{method}s")(name=key, **filters)
        return found


def _only(noun: str, key: str, found: Sequence[Resource], project: str | None) -> Resource:
    if not found:
        raise _NOT_FOUND[noun](f"there is no {noun} {key}" + (f" in project {project}" if project else ""))
    if len(found) > 1:
        some = ", ".join(f"{one.id} (project {one.project_id})" for one in found[:3])
        raise errors.NoUniqueMatch(f"{len(found)} {noun}s are called {key}: {some}; give an id or --project")
    return found[0]


def names_of(network: Networks, ids: Sequence[str]) -> Mapping[str, str]:
    """The names of networks by id; the id itself where there is none."""
    return {one.id: one.name or one.id for one in network.list_networks(id=sorted(set(ids)))} if ids else {}


def show_named(options: Options, noun: str, name: str, project: str | None) -> None:
    """All about the one with this name or id, and which stack made it."""
    from slipway.cli.resourcetext import show

    with orchestrator(options, project=project or DEFAULT_PROJECT) as slipway:
        found = find(slipway.network, noun, name, project)
        stack = slipway.stack_of(noun, found.id) if noun in _STACKED else None
    show(options, found, **({"stack": stack.name} if stack else {}))


def delete_named(options: Options, noun: str, names: Sequence[str], project: str | None) -> None:
    """Delete what has these names or ids; all are looked up before the first is deleted."""
    from slipway.cli.resourcetext import resource_json, write_deleted

    with network_service(options, project) as network:
        found = list({one.id: one for one in (find(network, noun, name, project) for name in names)}.values())
        for one in found:
            getattr(network, f"delete_{noun.replace(' ', '_')}")(one.id)
            if not options.json:
                write_deleted(noun, one)
    if options.json:
        from slipway.cli.output import print_json

        print_json([resource_json(one) for one in found])

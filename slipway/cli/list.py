"""`slipway list`: the instances."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.completing import Names
from slipway.cli.options import Options, Seconds, common_options, example, orchestrator
from slipway.cli.say import say
from slipway.cli.selecting import Chosen, selectors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from slipway.model.record import Instance
    from slipway.model.selection import Order
    from slipway.orchestrator import Orchestrator

COLUMNS = (
    *("name", "id", "project", "state", "host", "addresses", "fault", "stack", "flavor", "image", "group", "zone"),
    *("metadata", "attempt", "created", "launched", "deleted"),
)
USUAL = ("name", "project", "state", "host", "addresses", "fault")
SORTED = ("name", "project", "state", "host", "stack", "created", "launched", "deleted")
_PAGE = 500
"""Rows of one table: their widths are known together."""


def _columns(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(name.strip().lower() for name in value.split(","))
    for name in names:
        if name not in COLUMNS:
            from slipway.yamlfile.mistakes import did_you_mean

            hint = did_you_mean(name, COLUMNS) or f"; there are {', '.join(COLUMNS)}"
            raise click.BadParameter(f"there is no column '{name}'{hint}", ctx, parameter)
    if len(set(names)) < len(names):
        raise click.BadParameter("a column is named twice", ctx, parameter)
    return names


def _order(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Order:
    from slipway.model.selection import BY_NAME, Order, SortKey

    if value is None:
        return BY_NAME
    key, _, way = value.lower().partition(":")
    if key not in SORTED or way not in ("", "asc", "desc"):
        text = f"'{value}' is no order: one of {', '.join(SORTED)}, with :desc for the other way round"
        raise click.BadParameter(text, ctx, parameter)
    return Order(SortKey(key), way == "desc")


@click.command(
    "list",
    epilog=example(
        "slipway list",
        "slipway list --name 'web-*' --status ACTIVE --columns name,addresses,created",
        "slipway list --sort created:desc --limit 10",
        "slipway list --deleted --output json",
        "slipway list --watch",
    ),
)
@click.option(
    "--project", metavar="PROJECT", shell_complete=Names("project"), help="Only the instances of this project."
)
@selectors(every=False)
@click.option("--deleted", is_flag=True, help="Those that were deleted instead.")
@click.option("--columns", metavar="A,B,...", callback=_columns, help=f"Which ones. [all: {', '.join(COLUMNS)}]")
@click.option("--sort", "order", metavar="COLUMN[:desc]", callback=_order, help=f"By one of {', '.join(SORTED)}.")
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most N.")
@click.option("--after", metavar="NAME", help="Go on after this instance, by name or id: the next page of --limit.")
@click.option("--watch", is_flag=True, help="Show them again whenever something changes, until Ctrl-C.")
@click.option("--interval", metavar="SECONDS", type=Seconds(), default=1, help="How often --watch looks. [default: 1]")
@common_options(selects=True)
@click.pass_obj
def command(
    options: Options,
    chosen: Chosen,
    columns: tuple[str, ...] | None,
    order: Order,
    limit: int | None,
    after: str | None,
    interval: float,
    *,
    deleted: bool,
    watch: bool,
) -> int:
    """List the instances, by project and name; deleted ones are left out.

    Selectors may be given: all that is said has to be true of an instance. Any number of them is listed in pages.
    """
    from slipway.cli.failures import Code

    if chosen.states and ("DELETED" in chosen.states) != deleted:
        raise click.UsageError("those that were deleted are listed by --deleted, without another --status")
    if watch:
        return _watch(options, chosen, columns, order, limit, after, interval, deleted=deleted)
    with orchestrator(options) as slipway:
        found = _found(slipway, chosen, order, limit, after, deleted=deleted)
        silent = slipway.silent_hosts()
        _show(options, chosen, columns, found, limit, silent, deleted=deleted)
        if not options.json:
            for host in silent:
                say(f"slipway: host {host} is not heard of: what its instances do now is not known", err=True)
    return Code.DONE


def _found(
    slipway: Orchestrator, chosen: Chosen, order: Order, limit: int | None, after: str | None, *, deleted: bool
) -> Iterator[Instance]:
    place = after and slipway.show(after, project=chosen.project).instance.id
    return islice(chosen.select(slipway, deleted=deleted, order=order, after=place), limit)


def _show(
    options: Options,
    chosen: Chosen,
    columns: tuple[str, ...] | None,
    found: Iterator[Instance],
    limit: int | None,
    silent: Collection[str],
    *,
    deleted: bool,
) -> None:
    from slipway.cli.output import instance_json, print_array

    if options.json:
        if columns is None:
            print_array({**instance_json(one), "known": one.host not in silent} for one in found)
        else:
            print_array({name: _json(one, name) for name in columns} for one in found)
        return
    number, last = 0, ""
    for instance in _tables(found, columns, silent, deleted=deleted):
        number, last = number + 1, instance.id
    if not number:
        which = " like that" if chosen.selectors else ""
        say(
            f"no {'deleted ' if deleted else ''}instances{which}"
            + (f" in project {chosen.project}" if chosen.project else "")
        )
    elif number == limit and sys.stdout.isatty():
        say(f"(the next page: --after {last})", err=True)


def _tables(
    found: Iterator[Instance], columns: tuple[str, ...] | None, silent: Collection[str], *, deleted: bool
) -> Iterator[Instance]:
    """Write them, a page at a time, and give each that was written."""
    from slipway.cli.output import LongTable

    written: LongTable | None = None
    names = columns or ()
    while page := list(islice(found, _PAGE)):
        if written is None:
            # Of what comes later nobody knows yet whether there is a fault.
            faults = len(page) == _PAGE or any(one.fault for one in page)
            names = names or (*(USUAL if faults else USUAL[:-1]), *(("deleted",) if deleted else ()))
            written = LongTable([name.upper() for name in names], folded=("STATE", "FAULT"))
        written.write([[_cell(one, name, silent) for name in names] for one in page])
        yield from page


def _watch(
    options: Options,
    chosen: Chosen,
    columns: tuple[str, ...] | None,
    order: Order,
    limit: int | None,
    after: str | None,
    interval: float,
    *,
    deleted: bool,
) -> int:
    from slipway.cli.failures import Code
    from slipway.cli.interrupt import Stop, following

    stop = Stop(reader=True)
    drawn = sys.stdout.isatty() and not options.json
    with orchestrator(options, sleep=stop.sleep) as slipway, following(stop):
        seen = -1
        while not stop():
            if (last := slipway.last_event()) != seen:
                seen = last
                if drawn:
                    click.clear()
                found = _found(slipway, chosen, order, limit, after, deleted=deleted)
                _show(options, chosen, columns, found, limit, slipway.silent_hosts(), deleted=deleted)
                if not drawn and not options.json:
                    say("")
                sys.stdout.flush()
            stop.sleep(interval)
    return Code.INTERRUPTED


def _cell(instance: Instance, column: str, silent: Collection[str]) -> Any:
    """What a person is shown of it."""
    from slipway.cli.output import coloured, fault_text, several, state_text, time_text

    match column:
        case "state":
            return coloured(state_text(instance, silent))
        case "addresses":
            return several(instance.addresses)
        case "fault":
            return fault_text(instance)
        case "metadata":
            return several([f"{name}={value}" for name, value in instance.request.metadata])
        case "created" | "launched" | "deleted":
            at = getattr(instance, f"{column}_at")
            return "-" if at is None else time_text(at)
    return str(_json(instance, column) or "-")


def _json(instance: Instance, column: str) -> Any:
    """The member of that name, for programs."""
    request = instance.request
    match column:
        case "state":
            return instance.vm_state
        case "flavor":
            return request.flavor.name
        case "image":
            return request.image.name
        case "group":
            return request.group.name if request.group else None
        case "zone":
            return request.zone
        case "metadata":
            return dict(request.metadata)
        case "created" | "launched" | "deleted":
            return getattr(instance, f"{column}_at")
    return getattr(instance, column)

"""`slipway host`: the hosts on record, and what this machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.hosttext import tell_details, tell_hosts
from slipway.cli.options import F, Options, Size, common_options, default_state, example, orchestrator
from slipway.cli.resources import group
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.orchestrator import Orchestrator

command = group(
    "host",
    "Hosts: list, show, add, set, disable, drain, enable, remove; and what this machine can do.",
    "slipway host list",
    "slipway host show node-1",
    "slipway host add node-3 --vcpus 8 --memory 32GiB --disk 500GiB",
    "slipway host drain node-1 --stop",
    "slipway host check",
)
AUTO = ("auto",)
"""Its NUMA cells are to be measured."""


class Cells(click.ParamType):  # type: ignore[type-arg]
    """`0-3/4-7`, or `auto`, or `none`."""

    name = "cells"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The cells; of `auto` that word alone."""
        return () if value == "none" else tuple(str(value).split("/"))


_names = click.argument("names", metavar="NAME...", nargs=-1, required=True)


class Label(click.ParamType):  # type: ignore[type-arg]
    """`KEY=VALUE`."""

    name = "label"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Key and value."""
        key, equals, text = str(value).partition("=")
        if not (key and equals and text):
            self.fail(f"{value!r} is not KEY=VALUE, such as ssd=nvme", param, ctx)
        return key, text


def _room(function: F) -> F:
    """What a host has, and how often it may be given out."""
    for option in (
        click.option("--label", "labels", metavar="KEY=VALUE", type=Label(), multiple=True, help="Repeatable."),
        click.option("--numa", type=Cells(), help="CPUs of each NUMA cell, as 0-3/4-7; auto: as libvirt says."),
        click.option("--disk-ratio", metavar="N", type=float, help="How often a byte of disk may be given out."),
        click.option("--memory-ratio", metavar="N", type=float, help="How often a byte of memory may be."),
        click.option("--cpu-ratio", metavar="N", type=float, help="How often a vCPU may be given out."),
        click.option("--zone", metavar="ZONE", help="The availability zone that it is in."),
        click.option("--disk", metavar="SIZE", type=Size(), help="Disk, as in 500GiB."),
        click.option("--memory", metavar="SIZE", type=Size(), help="Memory, as in 32GiB."),
        click.option("--vcpus", metavar="N", type=int, help="vCPUs."),
    ):
        function = option(function)
    return function


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@command.command("list", epilog=example("slipway host list", "slipway host list --output json"))
@common_options()
@click.pass_obj
def list_(options: Options) -> None:
    """List the hosts, with what is given out of each."""
    with orchestrator(options) as slipway:
        found = slipway.hosts()
    tell_hosts(found, options)


@command.command("show", epilog=example("slipway host show node-1"))
@click.argument("name", metavar="NAME")
@common_options()
@click.pass_obj
def show(options: Options, name: str) -> None:
    """Show a host: what it has, what is given out and free, its failed builds, and what is on it."""
    with orchestrator(options) as slipway:
        tell_details(slipway.show_host(name), options)


@command.command("add", epilog=example("slipway host add node-3 --vcpus 8 --memory 32GiB --disk 500GiB"))
@click.argument("name", metavar="NAME")
@_room
@click.option("--compute", metavar="DRIVER", help="The driver of the hypervisor. [default: sim]")
@click.option("--wiring", metavar="DRIVER", help="The driver of bridges and taps. [default: null]")
@click.option("--disks", metavar="DRIVER", help="The driver of disks. [default: sim]")
@click.option("--uri", metavar="URI", help="Where its libvirt is.")
@click.option("--accel", type=click.Choice(["auto", "kvm", "tcg"]), help="How guests are run. [default: auto]")
@click.option("--netns", metavar="NAME", help="The network namespace that its bridges and taps are in.")
@click.option("--physical-nic", metavar="NIC", help="The NIC through which provider networks leave it.")
@common_options()
@click.pass_obj
def add(options: Options, /, name: str, labels: Sequence[tuple[str, str]], **values: Any) -> None:
    """Put a host on record, on which instances can be placed from then on.

    What is not said of its vCPUs, memory and disk is measured, for which its hypervisor must be within reach. The host
    belongs to no run file. One that is on record already is refused.
    """
    from msgspec.structs import replace

    from slipway.model.request import Host

    with orchestrator(options, new=True) as slipway:
        said = _given(values)
        missing = [what for what in ("vcpus", "memory", "disk") if what not in said]
        blanks: dict[str, Any] = dict.fromkeys(missing, 1)
        host = Host(name, labels=tuple(sorted(labels)), **blanks, **said)
        measured = None
        if host.numa == AUTO or ("vcpus" in missing and "numa" not in said):
            host = replace(host, numa=())
            missing.append("numa")
        if missing:
            host, measured = slipway.measured_host(host, *missing)
        slipway.add_host(host, exist_ok=False, measured=measured)
        _tell(slipway, (name,), options, "added")


@command.command(
    "set", epilog=example("slipway host set node-1 --memory 64GiB", "slipway host set node-1 --label gpu=a100")
)
@click.argument("name", metavar="NAME")
@_room
@click.option("--no-label", "no_labels", metavar="KEY", multiple=True, help="Take a label away. Repeatable.")
@common_options()
@click.pass_obj
def set_(
    options: Options, /, name: str, labels: Sequence[tuple[str, str]], no_labels: Sequence[str], **values: Any
) -> None:
    """Change what a host has; what is not named stays as it is.

    It cannot be made smaller than what is claimed of it, nor lose the zone or a label that an instance on it asked for.
    The run file that made it, if one did, says anew what it has when it is run again.
    """
    from msgspec.structs import replace

    from slipway.operations.hosts import HostChanges

    wanted: dict[str, str | None] = {**dict.fromkeys(no_labels), **dict(labels)}
    if both := {*dict(labels)} & {*no_labels}:
        raise click.UsageError(f"label {min(both)} is to be set and taken away")
    changes = HostChanges(**_given(values), labels=wanted)
    if changes == HostChanges():
        raise click.UsageError("there is nothing to set: name what is to change, as in --memory 64GiB")
    with orchestrator(options) as slipway:
        if changes.numa == AUTO:
            host, _ = slipway.measured_host(slipway.show_host(name).usage.host, "numa")
            changes = replace(changes, numa=host.numa)
        slipway.set_host(name, changes)
        _tell(slipway, (name,), options, "changed")


@command.command("disable", epilog=example("slipway host disable node-1 --reason 'a fan is broken'"))
@_names
@click.option("--reason", metavar="TEXT", default="", help="Why: whoever looks for a place is told.")
@common_options()
@click.pass_obj
def disable(options: Options, names: tuple[str, ...], reason: str) -> None:
    """Place no new instances on hosts until they are enabled, whatever run files say. What is there stays."""
    with orchestrator(options) as slipway:
        slipway.disable_hosts(*names, reason=reason)
        _tell(slipway, names, options, "disabled")


@command.command("enable", epilog=example("slipway host enable node-1"))
@_names
@common_options()
@click.pass_obj
def enable(options: Options, names: tuple[str, ...]) -> None:
    """Place new instances on hosts again."""
    with orchestrator(options) as slipway:
        slipway.enable_hosts(*names)
        _tell(slipway, names, options, "enabled")


@command.command("forget-failures", epilog=example("slipway host forget-failures node-1"))
@_names
@common_options()
@click.pass_obj
def forget_failures(options: Options, names: tuple[str, ...]) -> None:
    """Have failed builds not count against hosts any more, as after a repair.

    Hosts with fewer failed builds are chosen first. A build that succeeds there does the same.
    """
    with orchestrator(options) as slipway:
        slipway.forget_failures(*names)
        _tell(slipway, names, options, "failed builds forgotten")


@command.command("drain", epilog=example("slipway host drain node-1 --move --live", "slipway host drain node-1 --stop"))
@click.argument("name", metavar="NAME")
@click.option("--move", is_flag=True, help="Move the instances to other hosts; guests that run are shut down for it.")
@click.option("--live", is_flag=True, help="With --move: guests that run go on meanwhile.")
@click.option("--stop", is_flag=True, help="Stop the instances.")
@click.option("--parallel", metavar="N", type=click.IntRange(1, 256), help="At how many to be at the same time.")
@click.option("--reason", metavar="TEXT", default="drained", show_default=True, help="Why it is disabled.")
@common_options()
@click.pass_obj
def drain(options: Options, name: str, move: bool, live: bool, stop: bool, parallel: int | None, reason: str) -> int:
    """Disable a host, and move every instance on it to another one, or stop those that are ACTIVE.

    Again it goes on where it was ended. What cannot be moved is told with the reason, and stays as it is. `slipway
    host enable` has the host take instances again. The exit code is that of `move` or `stop`.
    """
    from slipway.cli.failures import Code
    from slipway.cli.power import change_all
    from slipway.cli.selecting import Chosen

    if stop is move:
        raise click.UsageError(
            "say what becomes of its instances: --move moves them to other hosts, --stop stops them; `slipway host "
            "disable` only keeps new ones away"
        )
    if live and not move:
        raise click.UsageError("--live says how instances are moved: with --move")
    states = ("ACTIVE", "STOPPED") if move else ("ACTIVE",)
    with orchestrator(options) as slipway:
        slipway.show_host(name)
        slipway.disable_hosts(name, reason=reason)
        there = slipway.show_host(name).instances
    if not options.json:
        say(f"host {name} is disabled: {options.command('host', 'enable', name)} takes that back")
        for one in there:
            if one.vm_state not in ("ACTIVE", "STOPPED"):
                say(f"{one.name} is {one.vm_state} and left as it is: {options.command('show', one.name)}")
    if any(one.vm_state in states for one in there):
        meant = Chosen(host=name, states=states, yes=True, parallel=parallel)
        by = (lambda slipway: partial(slipway.changes.move, live=live)) if move else None
        return change_all("move" if move else "stop", options, meant, by=by)
    if options.json:
        from slipway.cli.output import print_json

        print_json([])
    else:
        say(f"Nothing to {'move' if move else 'stop'}.")
    return Code.DONE


@command.command("remove", epilog=example("slipway host remove node-1"))
@_names
@common_options()
@click.pass_obj
def remove(options: Options, names: tuple[str, ...]) -> None:
    """Take hosts off the record.

    Refused while anything of ours is on it, which is said: instances, what could not be undone, machines that are not
    on record.
    """
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        for name in names:
            slipway.remove_host(name)
            if not options.json:
                say(f"removed: {name}")
    if options.json:
        print_json({"removed": names})


def _tell(slipway: Orchestrator, names: Sequence[str], options: Options, done: str) -> None:
    """What became of hosts."""
    from slipway.cli.hosttext import host_json
    from slipway.cli.output import print_json

    if options.json:
        print_json([host_json(slipway.show_host(name).usage) for name in dict.fromkeys(names)])
        return
    for name in dict.fromkeys(names):
        maker = slipway.stack_of("host", name)
        note = ""
        if maker is not None and done == "changed":
            note = f" (stack {maker.name} of project {maker.project} made it: its run file says anew what it has)"
        say(f"{done}: {name}{note}")


@command.command("take", epilog=example("slipway host take node-1 node-2"))
@_names
@common_options()
@click.pass_obj
def take(options: Options, names: tuple[str, ...]) -> None:
    """Have hosts belong to this machine and state directory, whoever had them.

    A host belongs to the machine and state directory from which it was used first, and nobody else may act on it. Take
    it where those are gone, or do nothing with it any more: nothing is asked of them.
    """
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        slipway.take_hosts(*names)
    if options.json:
        print_json({"taken": names})
    else:
        say(f"taken: {', '.join(names)}")


@command.command("check", epilog=example("slipway host check", "slipway host check --uri qemu:///system --output json"))
@click.option("--uri", metavar="URI", default="qemu:///system", show_default=True, help="Where libvirt is.")
@common_options()
@click.pass_obj
def check(options: Options, uri: str) -> int:
    """Find out what this machine can do for real virtual machines, by doing it, and say what to install.

    Guests are booted, and links and rules made in a network namespace; nothing is left of them. Without root some of it
    is not tried. Exit code 5 when something that is needed does not work or was not tried.
    """
    from pathlib import Path

    from slipway.cli.failures import Code
    from slipway.cli.hosttext import tell_findings
    from slipway.drivers.hostcheck.finding import Result
    from slipway.drivers.hostcheck.links import check_network
    from slipway.drivers.hostcheck.machines import check_disks, check_machines

    state = Path(options.state or default_state())
    found = [*check_machines(uri, state), *check_disks(), *check_network()]
    tell_findings(found, options)
    return Code.DONE if all(one.result is Result.WORKS for one in found if one.needed) else Code.DIFFERENT

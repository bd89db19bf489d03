"""The routers that hosts carry: the record against what is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from slipway.drivers.deadline import within
from slipway.drivers.registry import Drivers
from slipway.errors import RepairImpossible, SlipwayError
from slipway.flows.tasks.base import Tools
from slipway.model.machine import Wired
from slipway.model.request import Host
from slipway.states import hosts

MISSING, ORPHANED, DIFFERENT = "missing", "orphaned", "different"


def differing(tools: Tools, known: Sequence[Host]) -> Iterator[tuple[str, str, str, str]]:
    """How it differs, on which host, which router by its id, and in words. Changes nothing.

    Of a host whose routers by the record have changed meanwhile nothing is said, nor of one that cannot be asked, which
    the other questions to it tell.
    """
    wired = [host for host in known if _is_wired(host, tools.drivers)]
    if not wired:
        return
    from slipway.flows.tasks.hosting import hosting

    before = hosting(tools.store, tools.drivers.network)
    held: dict[str, Sequence[Wired]] = {}
    for host in wired:
        try:
            with within(tools.settings.step_timeout):
                held[host.name] = tools.drivers.on(host).wiring.list_routers(before.on(host.name))
        except SlipwayError:
            continue
    if not any(held.values()) and not before.routers:
        return
    after = hosting(tools.store, tools.drivers.network)
    for name, there in held.items():
        if before.on(name) == after.on(name):
            wanted = {one.router.id: one.router.name for one in before.on(name)}
            yield from _compared(name, wanted, {one.name: one.fault for one in there})


def _compared(host: str, wanted: Mapping[str, str], there: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    for router_id, name in wanted.items():
        said = f"router {name or router_id}"
        if router_id not in there:
            yield MISSING, host, router_id, f"{said} is not there on {host}"
        elif there[router_id]:
            yield DIFFERENT, host, router_id, f"{said}: {there[router_id]}"
    for router_id in there.keys() - wanted.keys():
        yield ORPHANED, host, router_id, f"no NIC on {host} is behind it by the record"


def carry_again(tools: Tools, name: str) -> None:
    """Have the host carry just its routers, each as it is to be in all its parts. Raises `RepairImpossible`."""
    from slipway.flows.tasks.hosting import carry_routers

    with tools.store.read() as tx:
        host = hosts.get(tx, name)
    with within(tools.settings.step_timeout):
        for at, error in carry_routers(tools.store, tools.drivers, [host], anew=True):
            if at == name:
                raise RepairImpossible(str(error)) from error


def _is_wired(host: Host, drivers: Drivers) -> bool:
    try:
        return not drivers.on(host).wiring.local
    except SlipwayError:
        return False

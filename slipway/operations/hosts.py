"""Hosts put on record and taken off it by programs; run files do the same in one transaction with all they say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from slipway import errors
from slipway.checks import check
from slipway.drivers.registry import Drivers
from slipway.model.request import Host
from slipway.states import hosts, stacks
from slipway.states.store import Store, Transaction


def add_host(host: Host, store: Store, drivers: Drivers) -> None:
    """Put a host on record, or change what is known of it.

    Raises `InvalidRequest`, `UnknownDriver`, `HostElsewhere`.
    """
    check(host, Host, f"host {host.name}" if isinstance(host, Host) else "host")
    drivers.on(host)
    here = drivers.settle()
    with store.write() as tx:
        check_here(tx, [host.name], drivers)
        hosts.save(tx, host, here)


def take_hosts(names: Sequence[str], store: Store, drivers: Drivers) -> None:
    """Have hosts belong here, whoever had them. Raises `HostNotFound` before any is taken."""
    here = drivers.settle()
    with store.write() as tx:
        for name in names:
            if not hosts.there(tx, name):
                raise errors.HostNotFound(f"no host {name} is on record")
            hosts.take(tx, name, here)


def remove_host(name: str, store: Store, drivers: Drivers) -> None:
    """Take a host off the record. Raises `HostNotFound`, `HostElsewhere`, `HostInUse` while instances are on it."""
    with store.write() as tx:
        if not hosts.there(tx, name):
            raise errors.HostNotFound(f"no host {name} is on record")
        check_here(tx, [name], drivers)
        count = sum(claim.host == name for claim in hosts.all_claims(tx))
        if count:
            raise errors.HostInUse(f"host {name} has {count} instance{'s' if count > 1 else ''}: delete them first")
        hosts.remove(tx, name)
        stacks.drop(tx, stacks.Kind.HOST, name)


def check_here(tx: Transaction, names: Iterable[str], drivers: Drivers) -> None:
    """Raise `HostElsewhere` for any of these hosts that is on record and belongs to another place."""
    for name in names:
        with suppress(errors.ComputeResourcesUnavailable, errors.RecordDamaged):
            drivers.check_here(hosts.get(tx, name))

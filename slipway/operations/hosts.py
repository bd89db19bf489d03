"""Hosts put on record and taken off it by programs; run files do the same in one transaction with all they say."""

from __future__ import annotations

from slipway import errors
from slipway.checks import check
from slipway.drivers.registry import Drivers
from slipway.model.request import Host
from slipway.states import hosts
from slipway.states.store import Store


def add_host(host: Host, store: Store, drivers: Drivers) -> None:
    """Put a host on record, or change what is known of it. Raises `InvalidRequest`, `UnknownDriver`."""
    check(host, Host, f"host {host.name}" if isinstance(host, Host) else "host")
    drivers.on(host)
    with store.write() as tx:
        hosts.save(tx, host)


def remove_host(name: str, store: Store) -> None:
    """Take a host off the record. Raises `HostNotFound`, and `HostInUse` while instances are on it."""
    with store.write() as tx:
        if not hosts.there(tx, name):
            raise errors.HostNotFound(f"no host {name} is on record")
        count = sum(claim.host == name for claim in hosts.all_claims(tx))
        if count:
            raise errors.HostInUse(f"host {name} has {count} instance{'s' if count > 1 else ''}: delete them first")
        hosts.remove(tx, name)

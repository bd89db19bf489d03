"""Hosts put on record and taken off it by programs; run files do the same in one transaction with all they say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import asdict, replace

from slipway import errors
from slipway.checks import check
from slipway.drivers.registry import Drivers
from slipway.flows.scheduler import required, size
from slipway.flows.tasks.base import Tools
from slipway.model.measured import Measured
from slipway.model.record import Effect, Instance
from slipway.model.request import Host
from slipway.states import effects, hostmeasures, hosts, instances, stacks
from slipway.states.hosts import HostUsage
from slipway.states.store import Store, Transaction
from slipway.texts import some


class HostChanges(Struct, frozen=True):
    """What is to be different of a host; None: it stays. A label whose value is None is taken away."""

    vcpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    zone: str | None = None
    cpu_ratio: float | None = None
    memory_ratio: float | None = None
    disk_ratio: float | None = None
    numa: tuple[str, ...] | None = None
    labels: Mapping[str, str | None] = {}

    def of(self, host: Host) -> Host:
        """The host with them."""
        said = {name: value for name, value in asdict(self).items() if name != "labels" and value is not None}
        labels = {**dict(host.labels), **self.labels}
        kept = tuple(sorted((key, value) for key, value in labels.items() if value is not None))
        return replace(host, **said, labels=kept)


class HostDetails(Struct, frozen=True):
    """A host with what is on it: its instances, and the effects of others that are there or may be; and what was
    measured of it last."""

    usage: HostUsage
    instances: tuple[Instance, ...]
    left: tuple[Effect, ...]
    measured: Measured | None = None


def add_host(host: Host, store: Store, drivers: Drivers, *, exist_ok: bool = True) -> None:
    """Put a host on record, or change what is known of it.

    Raises `InvalidRequest`, `UnknownDriver`, `HostElsewhere`, `HostExists`, and `HostInUse` where more of it is claimed
    than it would have.
    """
    check(host, Host, f"host {host.name}" if isinstance(host, Host) else "host")
    drivers.on(host)
    here = drivers.settle()
    with store.write() as tx:
        hosts.lock(tx, [host.name])
        if not exist_ok and hosts.there(tx, host.name):
            raise errors.HostExists(f"host {host.name} is on record already: `slipway host set` changes it")
        check_here(tx, [host.name], drivers)
        check_room(tx, host)
        hosts.save(tx, host, here)


def set_host(name: str, changes: HostChanges, store: Store, drivers: Drivers) -> HostUsage:
    """Change what is known of a host on record. Raises `HostNotFound`, `RecordDamaged`, and as `add_host` does; also
    `HostInUse` where an instance on it asked for the zone or label that it has."""
    with store.write() as tx:
        hosts.lock(tx, [name])
        old = hosts.usage(tx, name).host
        new = changes.of(replace(old, place=None))
        check(new, Host, f"host {name}")
        check_here(tx, [name], drivers)
        check_room(tx, new)
        _check_asked_for(tx, old, new)
        hosts.save(tx, new)
        return hosts.usage(tx, name)


def check_room(tx: Transaction, host: Host) -> None:
    """Raise `HostInUse` where more is claimed of a host on record than it would have as it is here."""
    try:
        usage = hosts.usage(tx, host.name)
    except (errors.HostNotFound, errors.RecordDamaged):
        return
    limits = hosts.limits(host)
    said = (("vcpus", limits.vcpus, usage.vcpus_used, str), ("memory", limits.memory, usage.memory_used, size))
    short = [
        f"{text(used)} of {what} are claimed, {text(limit)} could be given out"
        for what, limit, used, text in (*said, ("disk", limits.disk, usage.disk_used, size))
        if limit < used
    ]
    if short:
        raise errors.HostInUse(
            f"host {host.name} cannot be made as small: {'; '.join(short)}: give it more, or delete or move instances "
            f"first (slipway host show {host.name})"
        )


def _check_asked_for(tx: Transaction, old: Host, new: Host) -> None:
    """Instances that are on it because of its zone or a label keep it."""
    lost = {*old.labels} - {*new.labels}
    if old.zone == new.zone and not lost:
        return
    for instance in _instances_on(tx, old.name):
        request = instance.request
        if old.zone != new.zone and request.zone == old.zone:
            raise errors.HostInUse(f"host {old.name} stays in zone {old.zone}: instance {instance.name} asked for it")
        if needed := lost & {*required(request)}:
            key, value = min(needed)
            raise errors.HostInUse(
                f"host {old.name} keeps its label {key}={value}: instance {instance.name} requires it"
            )


def disable_hosts(names: Sequence[str], reason: str, store: Store) -> None:
    """Place no new instances on these hosts. Raises `HostNotFound` before any is changed."""
    with store.write() as tx:
        hosts.lock(tx, names)
        _check_there(tx, names)
        for name in names:
            hosts.disable(tx, name, reason)


def enable_hosts(names: Sequence[str], store: Store) -> None:
    """Place new instances on them again. Raises `HostNotFound` before any is changed, `RecordDamaged`."""
    with store.write() as tx:
        hosts.lock(tx, names)
        _check_there(tx, names)
        for name in names:
            hosts.enable(tx, name)


def forget_failures(names: Sequence[str], store: Store) -> None:
    """Have failed builds not count against these hosts any more. Raises `HostNotFound` before any is changed."""
    with store.write() as tx:
        hosts.lock(tx, names)
        _check_there(tx, names)
        for name in names:
            hosts.build_succeeded(tx, name)


def host_details(name: str, store: Store) -> HostDetails:
    """A host and what is on it, by the record. Raises `HostNotFound`, `RecordDamaged`."""
    with store.read() as tx:
        there = tuple(_instances_on(tx, name))
        usage = replace(hosts.apart(hosts.usage(tx, name)), instances=len(there))
        return HostDetails(usage, there, tuple(_left_on(tx, name)), hostmeasures.of(tx, name))


def _instances_on(tx: Transaction, name: str) -> Sequence[Instance]:
    found = (instances.get(tx, claim.instance_id) for claim in hosts.claims_on(tx, name))
    # What has moved away may claim something still.
    there = (instance for instance in found if instance.host == name)
    return sorted(there, key=lambda instance: (instance.project, instance.name))


def _left_on(tx: Transaction, name: str) -> Sequence[Effect]:
    """What is there, or may be, of instances that are not on the host any more."""
    there = {instance.id for instance in _instances_on(tx, name)}
    return [effect for effect in effects.standing_on(tx, name) if effect.instance_id not in there]


def take_hosts(names: Sequence[str], store: Store, drivers: Drivers) -> None:
    """Have hosts belong here, whoever had them. Raises `HostNotFound` before any is taken."""
    here = drivers.settle()
    with store.write() as tx:
        hosts.lock(tx, names)
        _check_there(tx, names)
        for name in names:
            hosts.take(tx, name, here)


def remove_host(name: str, tools: Tools) -> None:
    """Take a host off the record.

    Raises `HostNotFound`, `HostElsewhere`, and `HostInUse` while anything of ours is there, on record or not; where
    the host cannot be asked the record alone decides.
    """
    store, drivers = tools.store, tools.drivers
    with store.read() as tx:
        _check_free(tx, name, drivers)
        known = [] if name in hosts.damaged(tx) else [hosts.get(tx, name)]
    # What looks at the machines of a host is not needed by what puts one on record.
    from slipway.operations.unrecorded import unrecorded

    if found := unrecorded(tools, known):
        listed = some([f"{one.kind} {one.name}" for one in found], _MOST_NAMED)
        raise errors.HostInUse(
            f"host {name} has machines of ours that are not on record: {listed}: `slipway audit` lists them"
        )
    with store.write() as tx:
        hosts.lock(tx, [name])
        _check_free(tx, name, drivers)
        hosts.remove(tx, name)
        stacks.drop(tx, stacks.Kind.HOST, name)


_MOST_NAMED = 5


def _check_free(tx: Transaction, name: str, drivers: Drivers) -> None:
    _check_there(tx, [name])
    check_here(tx, [name], drivers)
    if there := [instance.name for instance in _instances_on(tx, name)]:
        count = f"{len(there)} instance{'s' if len(there) > 1 else ''}"
        raise errors.HostInUse(f"host {name} has {count} ({some(there, _MOST_NAMED)}): delete them first")
    if left := _left_on(tx, name):
        listed = some([f"{effect.kind} {effect.key}" for effect in left], _MOST_NAMED)
        raise errors.HostInUse(
            f"host {name} may still have what could not be undone: {listed}: delete the instance again first, which "
            f"tries it again"
        )


def _check_there(tx: Transaction, names: Iterable[str]) -> None:
    for name in names:
        if not hosts.there(tx, name):
            raise errors.HostNotFound(f"no host {name} is on record: `slipway host list` has them")


def check_here(tx: Transaction, names: Iterable[str], drivers: Drivers) -> None:
    """Raise `HostElsewhere` for any of these hosts that is on record and belongs to another place."""
    for name in names:
        with suppress(errors.ComputeResourcesUnavailable, errors.RecordDamaged):
            drivers.check_here(hosts.get(tx, name))

"""Each change of an instance: how it is brought about, and what the instance is like when it has come about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slipway import NetworkRequest, Orchestrator
from slipway.model.machine import Disk
from slipway.model.record import Instance
from slipway.states import codec


@dataclass(frozen=True)
class Verb:
    """`says` is what the run file has besides; `before` is done to the instance first.

    `done` says whether an instance is changed: after whatever went wrong it is, wholly, or is what it was before.
    """

    name: str
    do: Callable[[Orchestrator], Instance]
    done: Callable[[Orchestrator, Instance], bool]
    before: Callable[[Orchestrator], Any] = lambda _slipway: None
    says: dict[str, str] = field(default_factory=dict)


def _nics(instance: Instance) -> int:
    return len(instance.addresses)


def _stop(slipway: Orchestrator) -> None:
    slipway.stop("web-1", force=True)


def _attach(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_interface("web-1", NetworkRequest(network="a"))


def _bring(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_interface("web-1", NetworkRequest(port="mine"))


def _detach(slipway: Orchestrator) -> Instance:
    return slipway.changes.detach_interface("web-1", "10.0.0.2")


def _disks(slipway: Orchestrator, instance: Instance) -> list[int]:
    """The sizes of its disks by slot: on record, on its host and claimed they are the same."""
    details = slipway.show(instance.id)
    disks = [codec.decode(e.result or b"", Disk) for e in details.effects if (e.kind, e.state) == ("disk", "done")]
    sizes = [disk.size for disk in sorted(disks, key=lambda disk: disk.slot)]
    (usage,) = (one for one in slipway.hosts() if one.host.name == instance.host)
    assert usage.disk_used == slipway.quotas.show().used.disk == sum(sizes), (usage, sizes)
    assert sizes[1:] == [disk for disk in instance.request.disks if isinstance(disk, int)]
    return sizes[1:]


_SEEDED = ', disks: [3B, 4B], user_data: "#!/bin/true"'


def _add(size: int) -> Callable[[Orchestrator], Instance]:
    return lambda slipway: slipway.changes.attach_disk("web-1", size)


def _less(disk: str) -> Callable[[Orchestrator], Instance]:
    return lambda slipway: slipway.changes.detach_disk("web-1", disk)


def _rename(slipway: Orchestrator) -> Instance:
    return slipway.changes.rename("web-1", "shop-1")


def _renamed(slipway: Orchestrator, instance: Instance) -> bool:
    (port,) = (port for port in slipway.network.list_ports() if port.device_id == instance.id)
    assert (port.dns_name, instance.request.name) == (instance.name, instance.name)
    return instance.name == "shop-1"


def _set(slipway: Orchestrator) -> Instance:
    return slipway.changes.set("web-1", metadata={"tier": "front"}, security_groups=["strict"], autostart=False)


def _is_set(slipway: Orchestrator, instance: Instance) -> bool:
    (group,) = (one for one in slipway.network.list_security_groups() if one.name == "strict")
    (port,) = (port for port in slipway.network.list_ports() if port.device_id == instance.id)
    on_record = (instance.request.security_groups, dict(instance.request.metadata), instance.request.autostart)
    done = on_record == (("strict",), {"tier": "front"}, False)
    assert done == (port.security_groups == (group.id,))
    return done


def _move(slipway: Orchestrator) -> Instance:
    return slipway.changes.move("web-1")


def _moved(_slipway: Orchestrator, instance: Instance) -> bool:
    return instance.host == "node-2"


VERBS = (
    Verb("attach-interface", _attach, lambda _, instance: _nics(instance) == 2),
    Verb("attach-interface of a stopped one", _attach, lambda _, instance: _nics(instance) == 2, before=_stop),
    Verb("attach-interface by a port", _bring, lambda _, instance: "10.0.0.77" in instance.addresses),
    Verb("detach-interface", _detach, lambda _, instance: _nics(instance) == 0),
    Verb(
        "detach-interface of a port",
        lambda s: s.changes.detach_interface("web-1", "mine"),
        lambda _, instance: _nics(instance) == 1,
        before=_bring,
    ),
    Verb("attach-disk", _add(3), lambda s, instance: _disks(s, instance) == [3]),
    Verb("attach-disk of a stopped one", _add(3), lambda s, instance: _disks(s, instance) == [3], before=_stop),
    Verb(
        "attach-disk behind others and a seed",
        _add(5),
        lambda s, instance: _disks(s, instance) == [3, 4, 5],
        says={"more": _SEEDED},
    ),
    Verb("detach-disk", _less("vdb"), lambda s, instance: _disks(s, instance) == [4], says={"more": _SEEDED}),
    Verb(
        "detach-disk that was attached",
        _less("vde"),
        lambda s, instance: _disks(s, instance) == [3, 4],
        before=_add(5),
        says={"more": _SEEDED},
    ),
    Verb("rename", _rename, _renamed),
    Verb("rename of a stopped one", _rename, _renamed, before=_stop),
    Verb("set", _set, _is_set),
    Verb("move", _move, _moved),
    Verb("move of a stopped one", _move, _moved, before=_stop),
    Verb(
        "move with a port and a volume",
        _move,
        _moved,
        before=_bring,
        says={"more": ", disks: [1GiB, {volume: /v.qcow2, format: qcow2}], user_data: '#cloud-config'"},
    ),
    Verb("move back", lambda s: s.changes.move("web-1", to="node-1"), lambda _, i: i.host == "node-1", before=_move),
)

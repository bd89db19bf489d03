"""Each change of an instance: how it is brought about, and what the instance is like when it has come about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway import NetworkRequest, Orchestrator
from slipway.model.machine import Disk
from slipway.model.record import Instance
from slipway.model.request import Image, Volume
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
    stuck: bool = False
    """Whether what it leaves on a host is stuck until a repair."""


def _nics(instance: Instance) -> int:
    return len(instance.addresses)


def _id(slipway: Orchestrator) -> str:
    return slipway.show("web-1").instance.id


def _stop(slipway: Orchestrator) -> None:
    slipway.stop("web-1", force=True)


def _attach(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_interface("web-1", NetworkRequest(network="a"))


def _bring(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_interface("web-1", NetworkRequest(port="mine"))


def _detach(slipway: Orchestrator) -> Instance:
    return slipway.changes.detach_interface("web-1", slipway.show("web-1").instance.addresses[0])


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


def _take(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_disk("web-1", Volume("/data.raw", "raw"))


def _has_volume(slipway: Orchestrator, instance: Instance) -> bool:
    """As it was asked for; what is on its host is the same."""
    standing = [e for e in slipway.show(instance.id).effects if (e.kind, e.state) == ("disk", "done")]
    there = [disk.path for e in standing if (disk := codec.decode(e.result or b"", Disk)).volume]
    assert there == [disk.path for disk in instance.request.disks if isinstance(disk, Volume)]
    return bool(there)


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


def _move_live(slipway: Orchestrator) -> Instance:
    return slipway.changes.move("web-1", live=True)


def _die(slipway: Orchestrator) -> None:
    """Its host is off: it does not run there. What the host has on its disks is there again when it is back."""
    for path in (slipway._state / "world/node-1/domains").glob(f"{_id(slipway)}*"):
        path.write_text(path.read_text().replace('"running"', '"shutdown"'))


def _moved(_slipway: Orchestrator, instance: Instance) -> bool:
    return instance.host == "node-2"


def _snapshot(slipway: Orchestrator) -> Instance:
    return slipway.changes.snapshots.create("web-1", "first")


def _has_snapshot(slipway: Orchestrator, instance: Instance) -> bool:
    found = slipway.changes.snapshots.list(instance.id)
    assert [len(one.disks) for one in found] in ([], [1 + len(instance.request.disks)]), "whole, or not at all"
    return bool(found)


def _write(slipway: Orchestrator, text: str) -> None:
    """As its guest would: on all of its disks."""
    for file in _files(slipway):
        file.write_text(json.dumps({**json.loads(file.read_text()), "image": text}))


def _read(slipway: Orchestrator) -> set[str]:
    return {json.loads(file.read_text())["image"] for file in _files(slipway)}


def _files(slipway: Orchestrator) -> list[Path]:
    return sorted((slipway._state / "world").glob(f"*/disks/{_id(slipway)}-*.json"))


def _changed_since(slipway: Orchestrator) -> None:
    _write(slipway, "before")
    _snapshot(slipway)
    _write(slipway, "after")


def _changed_and_stopped(slipway: Orchestrator) -> None:
    _changed_since(slipway)
    _stop(slipway)


def _restore(slipway: Orchestrator) -> Instance:
    return slipway.changes.snapshots.restore("web-1", "first")


def _is_restored(slipway: Orchestrator, _instance: Instance) -> bool:
    said = _read(slipway)
    assert said in ({"before"}, {"after"}), "all disks, or none"
    assert _has_snapshot(slipway, _instance)
    return said == {"before"}


def _delete_snapshot(slipway: Orchestrator) -> Instance:
    return slipway.changes.snapshots.delete("web-1", "first")


_TWO_DISKS = {"more": ", disks: [1GiB]"}


def _resize(slipway: Orchestrator) -> Instance:
    return slipway.changes.resize("web-1", vcpus=2, memory=1 << 30, disk=4 << 30, stops=True)


def _is_resized(slipway: Orchestrator, instance: Instance) -> bool:
    details = slipway.show(instance.id)
    flavor, claim = instance.request.flavor, details.claim
    assert claim is not None
    assert (claim.vcpus, claim.memory, claim.disk) == (flavor.vcpus, flavor.memory, flavor.disk)
    return (flavor.vcpus, flavor.memory, flavor.disk) == (2, 1 << 30, 4 << 30)


def _grow(slipway: Orchestrator) -> Instance:
    return slipway.changes.resize("web-1", disk=4 << 30)


def _has_grown(_slipway: Orchestrator, instance: Instance) -> bool:
    return instance.request.flavor.disk == 4 << 30


def _clone(slipway: Orchestrator) -> Instance:
    return slipway.changes.clone("web-1", "web-2")


def _enlarge(slipway: Orchestrator) -> Instance:
    return slipway.changes.grow_disk("web-1", "vdc", 9)


_OTHER = Image("other", path="/other.qcow2", format="qcow2")


def _rebuild(slipway: Orchestrator) -> Instance:
    return slipway.changes.rebuild("web-1", image=_OTHER, stops=True)


def _rebuild_with(slipway: Orchestrator) -> Instance:
    return slipway.changes.rebuild("web-1", image=_OTHER, user_data="#cloud-config\n{}", stops=True)


def _is_rebuilt(slipway: Orchestrator, instance: Instance) -> bool:
    """On record, on the host, and in the definition; nothing of user data is on record."""
    made = {json.loads(file.read_text())["image"] for file in _files(slipway) if '"root"' in file.read_text()}
    image = instance.request.image.name
    assert made == {image}
    (xml,) = (slipway._state / "instances").rglob("*.xml")
    assert f"image>{image}<" in xml.read_text()
    details = slipway.show(instance.id)
    assert instance.request.user_data is None
    seeds = [effect for effect in details.effects if (effect.kind, effect.state) == ("seed", "done")]
    assert len(seeds) == (instance.request.user_data_sha256 is not None)
    return image == "other"


VERBS = (
    Verb("rebuild", _rebuild, _is_rebuilt),
    Verb("rebuild of a stopped one", _rebuild, _is_rebuilt, before=_stop),
    Verb("rebuild with other user data", _rebuild_with, _is_rebuilt, says={"more": _SEEDED}),
    Verb("rebuild that keeps its seed", _rebuild, _is_rebuilt, says={"more": _SEEDED}),
    Verb("clone", _clone, lambda s, _: len(s.list()) == 2, lambda s: _write(s, "mine"), _TWO_DISKS),
    Verb("snapshot create", _snapshot, _has_snapshot),
    Verb("snapshot create of two disks", _snapshot, _has_snapshot, says=_TWO_DISKS),
    Verb("snapshot create of a stopped one", _snapshot, _has_snapshot, before=_stop),
    Verb("snapshot restore", _restore, _is_restored, before=_changed_since),
    Verb("snapshot restore of two disks", _restore, _is_restored, before=_changed_since, says=_TWO_DISKS),
    Verb("snapshot restore of a stopped one", _restore, _is_restored, before=_changed_and_stopped),
    Verb("snapshot delete", _delete_snapshot, lambda s, i: not _has_snapshot(s, i), before=_snapshot),
    Verb("snapshot delete of two disks", _delete_snapshot, lambda s, i: not _has_snapshot(s, i), _snapshot, _TWO_DISKS),
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
    Verb("attach-disk of a volume", _take, _has_volume),
    Verb("detach-disk of a volume", _less("/data.raw"), lambda s, instance: not _has_volume(s, instance), before=_take),
    Verb("detach-disk", _less("vdb"), lambda s, instance: _disks(s, instance) == [4], says={"more": _SEEDED}),
    Verb(
        "detach-disk that was attached",
        _less("vde"),
        lambda s, instance: _disks(s, instance) == [3, 4],
        before=_add(5),
        says={"more": _SEEDED},
    ),
    Verb("grow-disk", _enlarge, lambda s, instance: _disks(s, instance) == [3, 9], says={"more": _SEEDED}),
    Verb("grow-disk of a stopped one", _enlarge, lambda s, i: _disks(s, i) == [3, 9], _stop, {"more": _SEEDED}),
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
    Verb(
        "evacuate",
        lambda s: s.changes.evacuate("web-1"),
        _moved,
        before=_die,
        says={"more": ", disks: [1GiB]"},
        stuck=True,
    ),
    Verb("move live", _move_live, _moved),
    Verb("move live of a stopped one", _move_live, _moved, before=_stop),
    Verb(
        "move live with a port, a disk and a volume",
        _move_live,
        _moved,
        before=_bring,
        says={"more": ", disks: [1GiB, {volume: /v.qcow2, format: qcow2}], user_data: '#cloud-config'"},
    ),
    Verb(
        "move live and back",
        lambda s: s.changes.move("web-1", to="node-1", live=True),
        lambda _, i: i.host == "node-1",
        before=_move_live,
    ),
    Verb("move back", lambda s: s.changes.move("web-1", to="node-1"), lambda _, i: i.host == "node-1", before=_move),
    Verb("resize", _resize, _is_resized),
    Verb("resize of a stopped one", _resize, _is_resized, before=_stop),
    Verb("resize of the disk alone", _grow, _has_grown),
)

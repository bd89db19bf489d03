"""Checks of what instances refer to: flavors, images, networks, ports, groups, hosts, files and each other."""

from __future__ import annotations

import os
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from typing import Any

from slipway.runfile.guests import check_guest, resolve
from slipway.runfile.references import References
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

MAX_INSTANCES = 10_000
_NAME_LENGTH = 63
_KINDS = {"flavor": "flavor", "image": "image", "group": "server group", "host": "host", "zone": "zone"}
_MAX_CIRCLES = 10


def names_of(name: str, entry: dict[str, Any]) -> tuple[str, ...]:
    """The instances that an entry stands for: itself, or with `count` NAME-1 and so on."""
    if "count" not in entry:
        return (name,)
    return tuple(f"{name}-{number}" for number in range(1, entry["count"] + 1))


def check_instances(document: Document, references: References) -> None:
    """Note what is wrong with the instances, and put the text of user data files in place of their paths."""
    instances: dict[str, dict[str, Any]] = document.value.get("instances", {})
    total = sum(entry.get("count", 1) for entry in instances.values())
    if total > MAX_INSTANCES:
        text = f"{total} instances are too many for one file: at most {MAX_INSTANCES}"
        document.problem(("instances",), text, key=True)
        return
    _check_names(document, instances)
    brought: dict[str, NodePath] = {}
    volumes: dict[str, NodePath] = {}
    for name, entry in instances.items():
        path = ("instances", name)
        for key, kind in _KINDS.items():
            if key in entry:
                references.check(document, (*path, key), kind, entry[key])
        for index, group in enumerate(entry.get("security_groups", ())):
            references.check(document, (*path, "security_groups", index), "security group", group)
        for index, nic in enumerate(entry.get("networks", ())):
            _check_nic(document, references, (*path, "networks", index), nic, entry.get("count", 1), brought)
        for index, disk in enumerate(entry.get("disks", ())):
            if isinstance(disk, dict) and "volume" in disk:
                place = (*path, "disks", index, "volume")
                _check_volume(document, place, disk["volume"], entry.get("count", 1), volumes)
        for index, keypair in enumerate(entry.get("keypairs", ())):
            references.check(document, (*path, "keypairs", index), "keypair", keypair)
        check_guest(document, path, entry)
    _check_order(document, instances, references)


def _check_names(document: Document, instances: dict[str, dict[str, Any]]) -> None:
    owners: dict[str, str] = {}
    for entry_name, entry in instances.items():
        names = names_of(entry_name, entry)
        if len(names[-1]) > _NAME_LENGTH and "count" in entry:
            text = f"with a number {quoted(entry_name)} is longer than {_NAME_LENGTH} characters"
            document.problem(("instances", entry_name), text, key=True)
        clash = next((name for name in names if name in owners), None)
        if clash is not None:
            line = document.key_position(("instances", owners[clash])).line
            text = f"{quoted(entry_name)} makes a second instance {quoted(clash)}; the first is in line {line}"
            document.problem(("instances", entry_name), text, key=True)
        owners.update(dict.fromkeys(names, entry_name))


def _check_nic(
    document: Document, references: References, path: NodePath, nic: Any, count: int, brought: dict[str, NodePath]
) -> None:
    if nic is None:
        return
    if isinstance(nic, str):
        references.check(document, path, "network", nic)
        return
    if "network" in nic:
        references.check(document, (*path, "network"), "network", nic["network"])
    if "port" in nic:
        _check_port(document, references, (*path, "port"), nic, count, brought)
    if "fixed_ip" in nic and count > 1:
        document.problem((*path, "fixed_ip"), f"fixed_ip cannot be given to {count} instances (count)")


def _check_port(
    document: Document,
    references: References,
    path: NodePath,
    nic: dict[str, Any],
    count: int,
    brought: dict[str, NodePath],
) -> None:
    port = nic["port"]
    references.check(document, path, "port", port)
    if count > 1:
        document.problem(path, f"port {quoted(port)} cannot be brought along by {count} instances (count)")
    if port in brought:
        line = document.position(brought[port]).line
        document.problem(path, f"port {quoted(port)} is brought along already, in line {line}")
    brought.setdefault(port, path)


def _check_volume(document: Document, path: NodePath, volume: str, count: int, brought: dict[str, NodePath]) -> None:
    real = os.path.realpath(resolve(document, volume))
    if count > 1:
        document.problem(path, f"volume {quoted(volume)} cannot be brought along by {count} instances (count)")
    if real in brought:
        line = document.position(brought[real]).line
        document.problem(path, f"volume {quoted(volume)} is brought along already, in line {line}")
    brought.setdefault(real, path)


def _check_order(document: Document, instances: dict[str, dict[str, Any]], references: References) -> None:
    """Note unknown dependencies, and each circle once, where its first instance stands."""
    entry_of = {name: entry for entry in instances for name in (entry, *names_of(entry, instances[entry]))}
    graph: dict[str, dict[str, NodePath]] = defaultdict(dict)
    for name, entry in instances.items():
        for index, other in enumerate(entry.get("depends_on", ())):
            path: NodePath = ("instances", name, "depends_on", index)
            if other in entry_of:
                graph[name][entry_of[other]] = path
            else:
                references.check(document, path, "instance", other)
    for _ in range(_MAX_CIRCLES):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1][::-1]
        else:
            return
        first = min(range(len(circle) - 1), key=lambda at: document.position(("instances", circle[at])))
        circle = [*circle[first:-1], *circle[: first + 1]]
        shown = [*circle[:8], "..."] if len(circle) > 9 else circle
        path = graph[circle[0]].pop(circle[1])
        document.problem(path, f"depends_on goes in a circle: {' -> '.join(shown)}")

"""Whether a run file that a program made can be one; those that were loaded passed the same checks before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from slipway.checks import Mistake, mistakes_of
from slipway.errors import InvalidRequest
from slipway.runfile.entries import RunFile


def check_file(file: RunFile) -> None:
    """Raise `InvalidRequest` with all that is wrong with a run file."""
    found = mistakes_of(file, RunFile) or list(_together(file))
    if found:
        raise InvalidRequest(tuple(map(str, found)), "run file")


def _together(file: RunFile) -> Iterator[Mistake]:
    names = [entry.request.name for entry in file.instances]
    for attribute, given in (
        ("hosts", [host.name for host in file.hosts]),
        ("networks", [network.name for network in file.networks]),
        ("security_groups", [group.name for group in file.security_groups]),
        ("routers", [router.name for router in file.routers]),
        ("floating_ips", [address.name for address in file.floating_ips]),
        ("instances", names),
    ):
        yield from _twice(attribute, given)
    known, needs = frozenset(names), {}
    for index, entry in enumerate(file.instances):
        if entry.request.project != file.project:
            yield Mistake(
                ("instances", index, "request", "project"),
                f'must be the file\'s, "{file.project}", not "{entry.request.project}"',
            )
        if entry.request.idempotency_key is not None:
            place = ("instances", index, "request", "idempotency_key")
            yield Mistake(place, "is for requests of their own: a run file is brought about once by its names")
        for at, need in enumerate(entry.depends_on):
            if need not in known:
                text = f'names "{need}", which is no instance of the file'
                yield Mistake(("instances", index, "depends_on", at), text)
        needs[entry.request.name] = entry.depends_on
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        yield Mistake(("instances",), f"depends_on goes in a circle: {' -> '.join(error.args[1][::-1])}")


def _twice(attribute: str, names: Iterable[str]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Mistake((attribute, index), f'"{name}" is there already')
        seen.add(name)

"""An instance on record against the one that a file asks for: what differs, and by which runs it becomes that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.flows.scheduler import size
from slipway.model.record import Effect, Instance
from slipway.model.request import Flavor, InstanceRequest, Volume
from slipway.runfile.entries import InstanceEntry
from slipway.stacks.parts import Parts, compare_disks, compare_nics, nic_text
from slipway.stacks.plan import Difference, How, PlannedRun
from slipway.stacks.rules import RULES, Rule, rule
from slipway.stacks.words import shown
from slipway.states.machines import VmState
from slipway.states.secrets import to_keep

_PARTS = ("flavor", "image")
"""Attributes whose own attributes are compared one by one."""

_SECRET = {
    "user_data_sha256": "user_data",
    "files": "files",
    "ssh_keys": "ssh_keys",
    "network_config": "network_config",
}
"""Attributes of which nothing is shown, by the names that they have in a file."""

_NOT_COMPARED = ("name", "project", "idempotency_key", "user_data", "source", "networks", "disks")

_SIZES = ("flavor.vcpus", "flavor.memory", "flavor.disk")
"""What a resize changes."""

_PLACE = ("host", "zone", "requires", "group")
"""What says where an instance may be."""

T = TypeVar("T", Difference, PlannedRun)

_LAST = ("rebuild", "detach-interface", "detach-disk")
"""What goes does so when all that is new is there."""


class Becoming(Struct, frozen=True):
    """What a file says otherwise of an instance, what becomes of each, and the runs that do it, in their order."""

    differences: tuple[Difference, ...] = ()
    runs: tuple[PlannedRun, ...] = ()


def becoming(found: Instance, entry: InstanceEntry, effects: Sequence[Effect], met: Callable[[str], bool]) -> Becoming:
    """`effects`: those of the instance, where its NICs or disks are not asked for in the same words.

    `met`: whether what the attribute's row says under `unless` is so. Raises `RecordDamaged`.
    """
    have, want = to_keep(found.request), to_keep(entry.request)
    differing = list(_differences(have, want, met))
    runs: list[PlannedRun] = []
    for name, compare in (("networks", compare_nics), ("disks", compare_disks)):
        old, new = getattr(have, name), getattr(want, name)
        if old != new and new is not None:
            parts: Parts = compare(found, effects, new)
            runs += parts.runs
            differing += _of_parts(name, _text(name, old), _text(name, new), parts, entry.position)
    sizes = [one for one in differing if one.attribute in _SIZES and one.how in (How.CHANGE, How.STOP)]
    if sizes:
        runs.insert(0, _resize(have.flavor, want.flavor, sizes))
    rebuilt = [one for one in differing if _is_of_root(one.attribute)]
    if rebuilt:
        runs.append(_rebuild(want, rebuilt))
    placed = [one for one in differing if one.attribute in _PLACE]
    if any(one.how is How.STOP for one in placed):
        runs.insert(0, _move(found, placed))
    else:
        placed = []
    handled = (*_SIZES, "networks", "disks", *(one.attribute for one in placed))
    words = [one for one in differing if one.how is How.CHANGE and one not in rebuilt and one.attribute not in handled]
    if words:
        runs.append(_set(words))
    runs.sort(key=lambda run: run.verb in _LAST)
    if found.vm_state == VmState.STOPPED:
        differing, runs = [_at_rest(one) for one in differing], [_at_rest(one) for one in runs]
    return Becoming(tuple(differing), tuple(runs))


def _at_rest(one: T) -> T:
    """Nothing is stopped of what does not run."""
    return replace(one, how=How.CHANGE) if one.how is How.STOP else one


def _differences(have: InstanceRequest, want: InstanceRequest, met: Callable[[str], bool]) -> Iterator[Difference]:
    for name in have.__struct_fields__:
        old, new = getattr(have, name), getattr(want, name)
        if old == new or name in _NOT_COMPARED:
            continue
        if name in _SECRET:
            row = rule("instance", _SECRET[name])
            how = row.applied(met=met(_SECRET[name]))
            yield Difference(_SECRET[name], "as it was built", "another", how, row.why)
        elif name in _PARTS:
            for part in old.__struct_fields__:
                before, after = getattr(old, part), getattr(new, part)
                if before != after:
                    yield _difference(f"{name}.{part}", shown(before, part), shown(after, part), have, want, met)
        else:
            yield _difference(name, _text(name, old), _text(name, new), have, want, met)


def _difference(
    name: str, old: str, new: str, have: InstanceRequest, want: InstanceRequest, met: Callable[[str], bool]
) -> Difference:
    row: Rule = rule("instance", name)
    if name in _SIZES and not _resizable(have.flavor, want.flavor):
        row = rule("instance", "flavor")
    return Difference(name, old, new, row.applied(met=met(name)), row.why)


def _resizable(have: Flavor, want: Flavor) -> bool:
    """Whether a resize makes one of the other, but for what else differs."""
    return not (have.pin_cpus or want.pin_cpus) and bool(have.disk) == bool(want.disk)


def _of_parts(name: str, have: str, want: str, parts: Parts, position: str) -> Iterator[Difference]:
    row = rule("instance", name)
    if parts.runs:
        yield Difference(name, have, want, row.how)
    elif parts.reordered:
        yield Difference(name, have, want, row.applied(met=True), row.why)
    for disk in parts.shrinking:
        where = f"{SHRINKS} ({position})" if position else SHRINKS
        yield Difference(f"disk {disk.device}", size(disk.have), size(disk.want), How.KEEP, where)


SHRINKS = "a disk never shrinks: detach it, and attach a smaller one"


def _resize(have: Flavor, want: Flavor, differing: Sequence[Difference]) -> PlannedRun:
    how = How.STOP if any(one.how is How.STOP for one in differing) else How.CHANGE
    named = [(one.attribute.removeprefix("flavor."), one) for one in differing]
    what = ", ".join(f"{name} {one.have} to {one.want}" for name, one in named)
    back = [f"{name} back to {one.have}" for name, one in named if name != "disk"]
    return PlannedRun("resize", how, what, ", ".join(back))


def _move(found: Instance, differing: Sequence[Difference]) -> PlannedRun:
    """To which host says the plan once it knows what is on them."""
    names = tuple(one.attribute for one in differing)
    inverse = f"move it to host {found.host} again"
    return PlannedRun("move", How.STOP, f"from host {found.host}", inverse, attributes=names)


def _is_of_root(attribute: str) -> bool:
    """Whether a root disk has to be made anew for it."""
    own = attribute in RULES["instance"]
    return attribute in ("user_data", "files") or (attribute.startswith("image.") and not own)


def _rebuild(want: InstanceRequest, differing: Sequence[Difference]) -> PlannedRun:
    how = How.STOP if any(one.how is How.STOP for one in differing) else How.CHANGE
    what = f"its root disk anew, from image {want.image.name}"
    return PlannedRun("rebuild", how, what, "", "its root disk with all that is on it")


def _set(differing: Sequence[Difference]) -> PlannedRun:
    names = tuple(one.attribute for one in differing)
    back = ", ".join(f"{one.attribute} back to {one.have}" for one in differing)
    return PlannedRun("set", How.CHANGE, ", ".join(names), back, attributes=names)


def size_wanted(have: Flavor, want: Flavor) -> Flavor:
    """The flavor that a resize gives an instance: a disk that would shrink stays as large as it is."""
    return replace(want, disk=max(have.disk, want.disk))


def as_changed(have: InstanceRequest, want: InstanceRequest, runs: Sequence[PlannedRun]) -> InstanceRequest:
    """What an instance is asked to be once these runs have changed its flavor, disks and place; no disk shrinks."""
    flavor = size_wanted(have.flavor, want.flavor) if any(run.verb == "resize" for run in runs) else have.flavor
    disks = want.disks if any(run.verb.endswith("-disk") for run in runs) else have.disks
    placed = {name: getattr(want, name) for run in runs if run.verb == "move" for name in run.attributes}
    return replace(have, flavor=flavor, disks=disks, **placed)


def state_problem(found: Instance, runs: Sequence[PlannedRun]) -> str:
    """Why one of its runs will fail, if so."""
    verb = next((run.verb for run in runs if run.verb in ("move", "resize", "rebuild")), None)
    if found.vm_state == VmState.PAUSED and verb:
        return f"{errors.UnexpectedState.__name__}: it is PAUSED, where no {verb} is possible: unpause it"
    return ""


def _text(name: str, value: Any) -> str:
    match name:
        case "networks":
            return "the only one" if value is None else "; ".join(map(nic_text, value)) or "none"
        case "disks":
            return ", ".join(each.path if isinstance(each, Volume) else shown(each, "disk") for each in value) or "none"
        case "metadata" | "requires":
            return ", ".join(f"{key}={text}" for key, text in value) or "none"
        case "shares":
            return ", ".join(f"{share.tag} {share.path}" for share in value) or "none"
        case "group":
            return "none" if value is None else f"{value.name} ({value.policy})"
        case "wait_for":
            return ", ".join(f"{each.sign} within {each.within:g} s" for each in value) or "none"
    return shown(value)

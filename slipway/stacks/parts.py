"""The NICs and disks that an instance has against those that a file asks for: which come, which go, which grow.

A file has them in an order, the record in slots. What is asked for alike is the same, whatever stands beside it; so one
more in the middle of a list is one that is attached.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from slipway import errors
from slipway.flows.scheduler import size
from slipway.model.machine import Disk, Nic
from slipway.model.record import Effect, Instance
from slipway.model.request import NetworkRequest, Volume
from slipway.operations.changes.disks import data_disks
from slipway.operations.changes.nics import networks_of, nics_of
from slipway.stacks.plan import How, PlannedRun

H = TypeVar("H")
W = TypeVar("W")


class Shrinking(Struct, frozen=True):
    """A disk that the file has smaller than it is; sizes in bytes."""

    device: str
    have: int
    want: int


class Parts(Struct, frozen=True):
    """What is to be done, what comes before what goes. `reordered`: the file has another order than there is then."""

    runs: tuple[PlannedRun, ...]
    reordered: bool
    shrinking: tuple[Shrinking, ...] = ()


def compare_nics(instance: Instance, effects: Sequence[Effect], wanted: Sequence[NetworkRequest]) -> Parts:
    """Raises `RecordDamaged` where the record has other NICs than were asked for."""
    nics, asked = list(nics_of(effects).values()), networks_of(instance, effects)
    if len(nics) != len(asked):
        text = f"instance {instance.name} was asked for with {len(asked)} NICs and has {len(nics)}"
        raise errors.RecordDamaged(f"{text}: `slipway audit` says what is wrong")
    is_which, new = _matched(list(zip(asked, nics, strict=True)), wanted, _is_nic)
    runs = [_attach_nic(wanted[index]) for index in new]
    runs += [_detach_nic(nic) for nic, which in zip(nics, is_which, strict=True) if which is None]
    return Parts(tuple(runs), _reordered(is_which, new))


def compare_disks(instance: Instance, effects: Sequence[Effect], wanted: Sequence[int | Volume]) -> Parts:
    """Raises `RecordDamaged`."""
    disks, asked = list(data_disks(instance, effects).values()), instance.request.disks
    if _only_grown(asked, wanted):
        is_which: list[int | None] = [*range(len(asked))]
        new: list[int] = []
    else:
        is_which, new = _matched(asked, wanted, _is_disk)
        _pair_sizes(asked, wanted, is_which, new)
    grown, detached, shrinking = [], [], []
    for disk, have, which in zip(disks, asked, is_which, strict=True):
        want = None if which is None else wanted[which]
        if want is None:
            detached.append(_detach_disk(disk, have))
        elif isinstance(have, int) and isinstance(want, int) and want > have:
            grown.append(_grow(disk.device, have, want))
        elif isinstance(have, int) and isinstance(want, int) and want < have:
            shrinking.append(Shrinking(disk.device, have, want))
    attached = [_attach_disk(wanted[index]) for index in new]
    return Parts((*grown, *attached, *detached), _reordered(is_which, new), tuple(shrinking))


def _only_grown(have: Sequence[int | Volume], want: Sequence[int | Volume]) -> bool:
    """Whether each is the one in the same place, some of them larger; the same ones in another order are not."""
    if len(have) != len(want) or Counter(have) == Counter(want):
        return False
    return all(
        old <= new if isinstance(old, int) and isinstance(new, int) else _is_disk(old, new)
        for old, new in zip(have, want, strict=True)
    )


def _pair_sizes(
    have: Sequence[int | Volume], want: Sequence[int | Volume], is_which: list[int | None], new: list[int]
) -> None:
    """Have a size that is there no more be the next one that is not there yet: it is to grow, or to shrink."""
    left = [number for number, which in enumerate(is_which) if which is None and isinstance(have[number], int)]
    sizes = [index for index in new if isinstance(want[index], int)]
    for number, index in zip(left, sizes, strict=False):
        is_which[number] = index
        new.remove(index)


def _matched(have: Sequence[H], want: Sequence[W], same: Callable[[H, W], bool]) -> tuple[list[int | None], list[int]]:
    """Of each that there is which of the wanted ones it is, the first that is no other one's; and the others."""
    free = list(range(len(want)))
    found: list[int | None] = []
    for one in have:
        which = next((index for index in free if same(one, want[index])), None)
        found.append(which)
        if which is not None:
            free.remove(which)
    return found, free


def _reordered(is_which: Sequence[int | None], new: Sequence[int]) -> bool:
    then = [*(index for index in is_which if index is not None), *new]
    return then != sorted(then)


def _is_nic(have: tuple[NetworkRequest, Nic], want: NetworkRequest) -> bool:
    asked, made = have[0], have[1].request
    if want.port is not None:
        return made.port_id is not None and want.port in (asked.port, made.port_id, have[1].port.name)
    there = (asked.network, made.network.id, made.network.name)
    return made.port_id is None and want.network in there and want.fixed_ip == asked.fixed_ip


def _is_disk(have: int | Volume, want: int | Volume) -> bool:
    if isinstance(have, Volume) and isinstance(want, Volume):
        return (os.path.realpath(have.path), have.format) == (os.path.realpath(want.path), want.format)
    return have == want


# --- in words -----------------------------------------------------------------------------------------------------


def nic_text(nic: NetworkRequest) -> str:
    """A NIC as it was asked for."""
    if nic.port is not None:
        return f"port {nic.port}"
    return f"{nic.network} {nic.fixed_ip}" if nic.fixed_ip else f"{nic.network}"


def _attach_nic(nic: NetworkRequest) -> PlannedRun:
    return PlannedRun("attach-interface", How.CHANGE, f"a NIC on {nic_text(nic)}", "detach it", nic=nic)


def _detach_nic(nic: Nic) -> PlannedRun:
    addresses = ", ".join(ip.ip_address for ip in nic.port.fixed_ips) or "no address"
    what = f"the NIC {nic.port.mac_address} on {nic.request.network.name}, {addresses}"
    brought = nic.request.port_id is not None
    inverse = "attach the port again" if brought else "attach another one, with another address"
    return PlannedRun("detach-interface", How.CHANGE, what, inverse, of=nic.port.id)


def _attach_disk(disk: int | Volume) -> PlannedRun:
    what = f"volume {disk.path}" if isinstance(disk, Volume) else f"a disk of {size(disk)}"
    return PlannedRun("attach-disk", How.CHANGE, what, "detach it", disk=disk)


def _grow(device: str, have: int, want: int) -> PlannedRun:
    return PlannedRun("grow-disk", How.CHANGE, f"disk {device}, {size(have)} to {size(want)}", "", of=device, disk=want)


def _detach_disk(disk: Disk, asked: int | Volume) -> PlannedRun:
    if isinstance(asked, Volume):
        what = f"disk {disk.device}, volume {asked.path}, which stays as it is"
        return PlannedRun("detach-disk", How.CHANGE, what, "attach it again", of=disk.device)
    what = f"disk {disk.device}, {size(asked)}"
    return PlannedRun("detach-disk", How.CHANGE, what, "", f"{what}, with all that is on it", of=disk.device)

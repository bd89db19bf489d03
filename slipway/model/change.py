"""What is to be made of an instance that was built."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from slipway.model.machine import DiskSnapshot
from slipway.model.request import InstanceRequest, NetworkRequest, Volume


class Change(Struct, frozen=True):
    """A change of an instance, as its run was begun with it; `workflow` has its steps, `what` says it in words.

    `request` is what the instance is asked to be from then on. What is made has slots from `slot` on,
    `nics` and `disks` among it; where a disk grows it is the one of that slot, and `disks` has its size.
    `retired`: the keys of the effects that are taken back once all that is new is there; from the first of them on
    nothing brings the old back. `regroups`: the ports that were made for it get the request's security groups.
    `host`: the one that it moves to; what is made there has the `slots` that it has where it comes from, by kind.
    `lost`: nothing is asked of its old host, whose part stays stuck until that is back. `patience`: the seconds that a
    guest may take to go there while it runs, None: as the workflow says.
    `snapshots`: those that are made or had again; `force`: the guest is ended for it. `reseeds`: its seed is made anew.
    """

    workflow: str
    what: str
    request: InstanceRequest
    slot: int = 0
    nics: tuple[NetworkRequest, ...] = ()
    retired: tuple[str, ...] = ()
    disks: tuple[int | Volume, ...] = ()
    regroups: bool = False
    host: str | None = None
    slots: Mapping[str, tuple[int, ...]] = {}
    snapshots: tuple[DiskSnapshot, ...] = ()
    force: bool = False
    lost: bool = False
    reseeds: bool = False
    patience: float | None = None

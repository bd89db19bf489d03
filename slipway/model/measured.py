"""What a host has by its own drivers, beside what its entry says."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Hypervisor(Struct, frozen=True):
    """What a hypervisor says of itself and its machine; memory in bytes.

    `numa`: the CPUs of each NUMA cell, as `0-3,8`; none: it does not say.
    """

    version: str
    vcpus: int
    memory: int
    numa: tuple[str, ...] = ()


class Measured(Struct, frozen=True):
    """What was measured on a host, and when. None, and no `nics`: its driver measures nothing.

    `disk`: the bytes of where its disks are; `nics`: the links by which a network could leave it.
    """

    at: datetime
    hypervisor: Hypervisor | None = None
    disk: int | None = None
    nics: tuple[str, ...] = ()

"""How many instances a project may have, and how large they may be together."""

from msgspec import Struct


class InstanceUse(Struct, frozen=True):
    """Instances, and their vCPUs, memory and disk in bytes, as they were asked for."""

    instances: int = 0
    vcpus: int = 0
    memory: int = 0
    disk: int = 0


class InstanceQuota(Struct, frozen=True):
    """What a project may have of each, -1: as much as it likes; and what it has."""

    project: str
    instances: int = -1
    vcpus: int = -1
    memory: int = -1
    disk: int = -1
    used: InstanceUse = InstanceUse()


INSTANCE_RESOURCES = InstanceUse.__struct_fields__

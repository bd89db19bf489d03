"""What each command writes with `--output json`, as types: from them comes its JSON Schema, and `docs/cli.md` tells it.

Programs are to expect more members than these, which stay.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.json import schema_components

from slipway.cli.entries import Entry
from slipway.drivers.images.shelf import StoredImage
from slipway.looks.drawing import Drawing
from slipway.looks.timeline import Timeline
from slipway.model.deed import Deed, Pruned
from slipway.model.machine import Claim, Disk, PowerState
from slipway.model.metrics import Metric
from slipway.model.record import EffectState, Fault, RecordedEvent, Scope
from slipway.model.request import Flavor
from slipway.model.routing import FloatingIp, PortForwarding, Router, RouterInterface
from slipway.operations.access import Screen
from slipway.operations.audit import Difference
from slipway.operations.batch import Status
from slipway.operations.usage import Uses
from slipway.operations.workers import Workers
from slipway.states.run_machine import RunState


class Instance(Struct):
    """An instance as it is on record."""

    id: str
    name: str
    project: str
    stack: str | None
    vm_state: str
    task_state: str | None
    host: str | None
    addresses: tuple[str, ...]
    access_ipv4: str | None
    access_ipv6: str | None
    fault: Fault | None
    flavor: Flavor
    image: str
    group: str | None
    zone: str | None
    metadata: dict[str, str]
    attempt: int
    created_at: datetime
    launched_at: datetime | None
    deleted_at: datetime | None


class ListedInstance(Instance, kw_only=True):
    """An instance, and whether it is `known` how it is now: the worker of its host is heard of."""

    known: bool


class Effect(Struct):
    """A row of the ledger."""

    key: str
    step: str
    slot: int
    kind: str
    scope: Scope
    host: str | None
    attempt: int
    state: EffectState
    error: str | None
    held_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    undone_at: datetime | None


class Lease(Struct):
    """An address that a DHCP server has leased."""

    ip_address: str
    expires_at: datetime | None


class Port(Struct):
    """A port of an instance, and what is seen of it on its host."""

    id: str
    name: str
    network_id: str
    network: str
    mac_address: str
    addresses: tuple[str, ...]
    brought_along: bool
    interface: str | None
    leases: tuple[Lease, ...] | None
    guest_addresses: tuple[str, ...] | None


class ShownInstance(ListedInstance, kw_only=True):
    """An instance with everything on record about it."""

    request: dict[str, Any]
    claim: Claim | None
    ports: tuple[Port, ...]
    unasked: tuple[str, ...]
    disks: tuple[Disk, ...]
    effects: tuple[Effect, ...]
    timeline: tuple[Entry, ...]


class Event(Struct):
    """Something that happens while a command works."""

    event: str
    at: datetime
    instance: str | None
    name: str | None
    step: str | None
    slot: int | None
    host: str | None
    vm_state: str
    task_state: str | None
    attempt: int
    message: str


class EndedInstance(Struct):
    """How it ended with an instance; an `Instance` with more, of which one that was not begun has only these."""

    id: str | None
    name: str
    project: str | None
    stack: str | None
    vm_state: str | None
    task_state: str | None
    host: str | None
    addresses: tuple[str, ...]
    fault: Fault | None
    status: Status
    message: str
    seconds: float
    kept: tuple[str, ...]
    undone: tuple[Effect, ...]
    stuck: tuple[Effect, ...]


class Changes(Struct):
    """What was changed on record beside the instances, a line each."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]


class Result(Struct):
    """The last line of what works on instances."""

    event: Literal["result"]
    exit_code: int
    instances: tuple[EndedInstance, ...]
    changes: Changes | UnsetType = UNSET


class Run(Struct):
    """A run as it is on record."""

    id: str
    workflow: str
    file: str
    instance: str | None
    project: str
    state: RunState
    attempt: int
    inputs: Any
    outputs: Any
    fault: Fault | None
    waits_for: str | None
    wake_at: datetime | None
    asked_by: str | None
    idempotency_key: str | None
    parent: str | None
    created_at: datetime
    ended_at: datetime | None


class ShownRun(Run, kw_only=True):
    """A run with what its steps did."""

    effects: tuple[Effect, ...]


class RunsResult(Struct):
    """The last line of what works on runs."""

    event: Literal["result"]
    exit_code: int
    runs: tuple[Run, ...]


class Finding(Struct):
    """A difference between the record and what is there; `next` are commands that mend it."""

    difference: Difference
    kind: str
    name: str
    host: str | None
    instance_id: str | None
    detail: str
    state: str | None
    loose: bool
    role: str
    untried: bool
    instance: str | None
    next: tuple[str, ...]


class Used(Struct):
    """What a project has."""

    network: int
    subnet: int
    port: int
    security_group: int
    security_group_rule: int
    router: int
    floatingip: int
    router_route: int
    instances: int
    vcpus: int
    memory: int
    disk: int


class Quota(Struct):
    """What a project may have; -1: as much as it likes."""

    project_id: str
    network: int
    subnet: int
    port: int
    security_group: int
    security_group_rule: int
    router: int
    floatingip: int
    router_route: int
    instances: int
    vcpus: int
    memory: int
    disk: int
    used: Used


class ConsoleLine(Struct):
    """A line of a guest's console."""

    line: str


class Forwarded(Struct):
    """Where is listened for a guest, and to which port of it that leads."""

    instance: str
    address: str
    port: int
    guest_port: int


class ErrorText(Struct):
    """Which error, in words, and each mistake of a file."""

    type: str
    message: str
    problems: tuple[str, ...] | UnsetType = UNSET


class Failed(Struct):
    """What is written in place of all else where a command cannot do its work."""

    error: ErrorText


class Snapshot(Struct):
    """A snapshot of an instance's disks (their slots); `size`: the bytes that it takes."""

    name: str
    at: datetime
    disks: tuple[int, ...]
    size: int
    state: PowerState
    consistent: bool


class Imported(Struct):
    """What bears a stack by now; `parts`: the ids and names of the subnets that came along with a network."""

    kind: str
    id: str
    name: str
    stack: str
    project: str
    parts: tuple[tuple[str, str], ...]
    changed: bool


class Id(Struct):
    """Something that is gone."""

    id: str


class Upgraded(Struct):
    """The version of the tables before and after; `kept` is the copy of an older record in SQLite."""

    from_: int = field(name="from")
    to: int
    kept: str | None


class TablesChecked(Struct):
    """The version of the record's tables, the one that this Slipway knows, and where they are otherwise than made."""

    schema: int
    known: int
    differences: tuple[str, ...]


class TablesVersion(Struct):
    """A version of the tables: what it brought, and whether the record has it."""

    schema: int
    what: str
    applied: bool


_LEADING = ("add-subnet", "remove-subnet", "add-port", "remove-port")
CHANGES = (
    *("attach-interface", "detach-interface", "attach-disk", "detach-disk", "grow-disk"),
    *("rename", "set", "resize", "rebuild", "move", "evacuate", "clone"),
    *("snapshot create", "snapshot restore", "snapshot delete"),
)
"""What makes instances that were built other ones."""
LINES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("stop", "start", "reboot", "pause", "unpause", "delete", "destroy", *CHANGES), (Event, Result)),
    **dict.fromkeys(("run", "resume"), (Event, Result, RunsResult)),
    **{f"runs {verb}": (Event, RunsResult) for verb in ("approve", "reject", "retry", "cancel", "undo")},
    "watch": (Event,),
    "events": (RecordedEvent,),
    "console": (ConsoleLine,),
    "forward": (Forwarded,),
}
"""What commands write a line at a time."""
WHOLE: dict[str, Any] = {
    "list": tuple[ListedInstance, ...],
    "show": ShownInstance,
    **dict.fromkeys(("runs list", "runs prune"), tuple[Run, ...]),
    "runs show": ShownRun,
    "audit": tuple[Finding, ...],
    **dict.fromkeys(("image add", "image pull", "image create", "image show"), StoredImage),
    **dict.fromkeys(("image list", "image delete", "image prune"), tuple[StoredImage, ...]),
    "snapshot list": tuple[Snapshot, ...],
    "snapshot show": Snapshot,
    "history": tuple[Deed, ...],
    "import": Imported,
    "prune": Pruned,
    "metrics": tuple[Metric, ...],
    "workers": Workers,
    "db upgrade": Upgraded,
    "db check": TablesChecked,
    "db history": tuple[TablesVersion, ...],
    "quota list": tuple[Quota, ...],
    **dict.fromkeys(("quota show", "quota set", "quota create", "quota delete"), Quota),
    **dict.fromkeys((f"router {verb}" for verb in ("show", "create", "set", "unset")), Router),
    **dict.fromkeys(("router list", "router delete"), tuple[Router, ...]),
    **dict.fromkeys((f"router {verb}" for verb in _LEADING), RouterInterface),
    **dict.fromkeys(("floating-ip list", "floating-ip delete"), tuple[FloatingIp, ...]),
    **dict.fromkeys((f"floating-ip {verb}" for verb in ("show", "create", "set", "unset")), FloatingIp),
    "floating-ip forward add": PortForwarding,
    "floating-ip forward remove": tuple[Id, ...],
    "timeline": Timeline,
    "graph": Drawing,
    "vnc": Screen,
    "top": Uses,
    "error": Failed,
}
"""What commands write at once; `error` is what any of them may."""
COMMANDS = tuple(sorted({*LINES, *WHOLE}))


def schema_of(command: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what a command writes; of a line of it, where it writes several."""
    kinds = LINES.get(command) or (WHOLE[command],)
    schemas, parts = schema_components(kinds, ref_template="#/$defs/{name}")
    about = {"title": f"slipway {command} --output json" + (", a line" if command in LINES else "")}
    shape = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **about, **shape, "$defs": parts}

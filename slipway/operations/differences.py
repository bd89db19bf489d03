"""What an instance that exists keeps, although a run file says otherwise by now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from slipway.flows.scheduler import size
from slipway.model.request import InstanceRequest
from slipway.states.secrets import to_keep

_SIZES = {"memory", "disk", "min_disk", "min_memory", "size"}
_NAMES = {"user_data_sha256": "user_data"}


def differences(have: InstanceRequest, want: InstanceRequest) -> tuple[str, ...]:
    """What another request says differently of an instance that exists, a line each for a person."""
    return tuple(_differences(f"instance {have.name}", to_keep(have), to_keep(want)))


def _differences(label: str, have: Struct, want: Struct) -> Iterator[str]:
    """Those of one record, with those of its records that bear the same name in both."""
    for name in have.__struct_fields__:
        old, new = getattr(have, name), getattr(want, name)
        if old == new:
            continue
        if isinstance(old, Struct) and isinstance(new, Struct) and _shown(name, old) == _shown(name, new):
            yield from _differences(f"{label}: {name} {_shown(name, old)}", old, new)
        elif isinstance(old, tuple) or isinstance(new, tuple) or name in _NAMES:
            yield f"{label}: {_NAMES.get(name, name)} stays as it was built (the file differs)"
        else:
            yield f"{label}: {name} stays {_shown(name, old)} (the file says {_shown(name, new)})"


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "unset"
    return size(value) if name in _SIZES else str(getattr(value, "name", value))

"""An instance on record against the one that a file asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from slipway.model.request import InstanceRequest, NetworkRequest, Volume
from slipway.stacks.plan import Difference
from slipway.stacks.rules import rule
from slipway.stacks.words import shown
from slipway.states.secrets import to_keep

_PARTS = ("flavor", "image")
"""Attributes whose own attributes are compared one by one."""

_SECRET = {"user_data_sha256": "user_data", "files": "files", "ssh_keys": "ssh_keys"}
"""Attributes of which nothing is shown, by the names that they have in a file."""

_NOT_COMPARED = ("name", "project", "idempotency_key", "user_data", "source")


def differences(have: InstanceRequest, want: InstanceRequest, met: Callable[[str], bool]) -> tuple[Difference, ...]:
    """What a request says otherwise than the one by which an instance was built, and what becomes of each.

    `met`: whether what the attribute's row says under `unless` is so.
    """
    return tuple(_differences(to_keep(have), to_keep(want), met))


def _differences(have: InstanceRequest, want: InstanceRequest, met: Callable[[str], bool]) -> Iterator[Difference]:
    for name in have.__struct_fields__:
        old, new = getattr(have, name), getattr(want, name)
        if old == new or name in _NOT_COMPARED:
            continue
        if name in _SECRET:
            row = rule("instance", _SECRET[name])
            yield Difference(_SECRET[name], "as it was built", "another", row.how, row.why)
        elif name in _PARTS:
            for part in old.__struct_fields__:
                before, after = getattr(old, part), getattr(new, part)
                if before != after:
                    yield _difference(f"{name}.{part}", shown(before, part), shown(after, part), met=False)
        else:
            yield _difference(name, _text(name, old), _text(name, new), met=met(name))


def _difference(name: str, have: str, want: str, *, met: bool) -> Difference:
    row = rule("instance", name)
    return Difference(name, have, want, row.applied(met=met), row.why)


def _text(name: str, value: Any) -> str:
    match name:
        case "networks":
            return "the only one" if value is None else "; ".join(map(nic_text, value)) or "none"
        case "disks":
            return ", ".join(each.path if isinstance(each, Volume) else shown(each, "disk") for each in value) or "none"
        case "metadata" | "requires":
            return ", ".join(f"{key}={text}" for key, text in value) or "none"
        case "group":
            return "none" if value is None else f"{value.name} ({value.policy})"
        case "wait_for":
            return ", ".join(f"{each.sign} within {each.within:g} s" for each in value) or "none"
    return shown(value)


def nic_text(nic: NetworkRequest) -> str:
    """A NIC as it was asked for."""
    if nic.port is not None:
        return f"port {nic.port}"
    return f"{nic.network} {nic.fixed_ip}" if nic.fixed_ip else f"{nic.network}"

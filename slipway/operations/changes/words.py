"""What an instance is called, and what is said of it: what it is to become, checked against what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from slipway.checks import check
from slipway.model.change import Change
from slipway.model.record import Effect, Instance
from slipway.model.request import InstanceRequest, Readiness
from slipway.states.secrets import to_keep


def rename(instance: Instance, _effects: Sequence[Effect], new: str) -> Change | None:
    """With another name; None where it is called so. Raises `InvalidRequest`."""
    if new == instance.name:
        return None
    request = checked(replace(instance.request, name=new), instance)
    return Change("rename", f"from {instance.name} to {new}", request)


def set_words(
    instance: Instance,
    _effects: Sequence[Effect],
    *,
    metadata: Mapping[str, str | None],
    security_groups: Sequence[str] | None,
    wait_for: Sequence[Readiness] | None,
    autostart: bool | None,
) -> Change | None:
    """With other metadata (None: without that key), security groups, conditions of readiness, autostart.

    What is None otherwise stays; None is given where all is so already. Raises `InvalidRequest`.
    """
    have = instance.request
    there = {**dict(have.metadata), **metadata}
    said = {
        "metadata": tuple((key, value) for key, value in there.items() if value is not None),
        "security_groups": have.security_groups if security_groups is None else tuple(security_groups),
        "wait_for": have.wait_for if wait_for is None else tuple(wait_for),
        "autostart": have.autostart if autostart is None else autostart,
    }
    changed = [name for name, value in said.items() if value != getattr(have, name)]
    if not changed:
        return None
    request = checked(replace(have, **said), instance)
    what = ", ".join(name.replace("_", " ") for name in changed)
    return Change("set", what, request, regroups="security_groups" in changed)


def as_asked(
    instance: Instance, _effects: Sequence[Effect], *, wanted: InstanceRequest, attributes: Sequence[str]
) -> Change | None:
    """With these attributes, or parts of them ("flavor.name"), as another request has them, on record and at its ports.

    None where all is so already. Raises `InvalidRequest`.
    """
    have = instance.request
    request = with_attributes(have, wanted, attributes)
    if request == have:
        return None
    what = ", ".join(name.replace("_", " ") for name in attributes)
    return Change("set", what, checked(request, instance), regroups=request.security_groups != have.security_groups)


def with_attributes(have: InstanceRequest, wanted: InstanceRequest, attributes: Sequence[str]) -> InstanceRequest:
    """A request with these attributes, or parts of them ("flavor.name"), as another one has them."""
    for name in attributes:
        whole, _, part = name.partition(".")
        value = getattr(to_keep(wanted), whole)
        if part:
            value = replace(getattr(have, whole), **{part: getattr(value, part)})
        have = replace(have, **{whole: value})
    return have


def checked(request: InstanceRequest, instance: Instance) -> InstanceRequest:
    """What an instance is to be made, where that may be asked for. Raises `InvalidRequest`."""
    # What is kept of user data and files is their digest.
    files = tuple(file for file in request.files if file.content is not None)
    check(replace(request, user_data_sha256=None, files=files), InstanceRequest, f"instance {instance.name}")
    return request

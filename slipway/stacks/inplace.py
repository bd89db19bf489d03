"""Changes of an instance that nothing stops for: on record, and on the ports that were made for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext

from msgspec.structs import replace

from slipway import errors
from slipway.flows.tasks.base import Tools
from slipway.model.machine import Nic
from slipway.model.network import Context, Port
from slipway.model.record import EffectState, Event, Instance
from slipway.model.request import InstanceRequest
from slipway.operations.follow import follow
from slipway.states import codec, effects, instances
from slipway.states.secrets import to_keep
from slipway.states.store import Transaction


def change_in_place(
    instance_id: str,
    wanted: InstanceRequest,
    attributes: Collection[str],
    tools: Tools,
    notify: Callable[[Event], None],
) -> Instance:
    """Have the attributes of an instance at rest as a request says; gives it as it is then. Doing it twice is safe.

    Raises `PlanOutdated` where it is not at rest any more, and what the network service refuses.
    """
    driver = tools.drivers.network
    changed: list[Port] = []
    with tools.store.write() if driver.local else nullcontext() as tx:
        if "security_groups" in attributes:
            changed = _regroup(instance_id, wanted, tools, tx)
        with nullcontext(tx) if tx is not None else tools.store.write() as own:
            found = instances.get(own, instance_id)
            request = _with(found.request, to_keep(wanted), attributes)
            if not instances.reword(own, found, request):
                raise errors.PlanOutdated(f"instance {found.name} is not at rest any more: run it again")
    for port in changed:
        follow(port, tools, notify)
    return replace(found, request=request)


def _with(have: InstanceRequest, want: InstanceRequest, attributes: Collection[str]) -> InstanceRequest:
    for name in attributes:
        whole, _, part = name.partition(".")
        value = getattr(want, whole)
        have = replace(
            have, **{whole: replace(getattr(have, whole), **{part: getattr(value, part)}) if part else value}
        )
    return have


def _regroup(instance_id: str, wanted: InstanceRequest, tools: Tools, tx: Transaction | None) -> list[Port]:
    """Give the ports that were made for the instance its security groups; those brought along keep their own."""
    driver = tools.drivers.network
    admin = Context(wanted.project, is_admin=True)
    groups = _group_ids(wanted, tools, tx)
    with nullcontext(tx) if tx is not None else tools.store.read() as own:
        made = [
            codec.decode(effect.result, Nic)
            for effect in effects.effects_of(own, instance_id)
            if effect.kind == "port" and effect.state is EffectState.DONE and effect.result
        ]
    return [
        driver.update_port(admin, nic.port.id, security_groups=groups, tx=tx)
        for nic in made
        if nic.request.port_id is None
    ]


def _group_ids(wanted: InstanceRequest, tools: Tools, tx: Transaction | None) -> Sequence[str]:
    """Each group by id or by name; the project's `default` where none is named."""
    known = tools.drivers.network.list_security_groups(Context(wanted.project), tx=tx)
    found: list[str] = []
    for name in wanted.security_groups or ("default",):
        meant = [one.id for one in known if one.id == name] or [one.id for one in known if one.name == name]
        if len(meant) != 1:
            kind = errors.NoUniqueMatch if meant else errors.SecurityGroupNotFound
            raise kind(f"security group {name}: {len(meant)} are called so in project {wanted.project}")
        found += meant
    return list(dict.fromkeys(found))

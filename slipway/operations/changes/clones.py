"""A clone: another instance of the same request, whose disks are copies."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway.model.machine import Nic
from slipway.model.record import Effect, EffectState, Instance
from slipway.model.request import InstanceRequest, NetworkRequest
from slipway.states import codec

WORKFLOW = "clone-instance"


def clone_of(instance: Instance, standing: Sequence[Effect], name: str) -> InstanceRequest:
    """What is asked for: the same, on the same host, but for what only one can have: name, addresses, ports, key.

    Without user data and files, which are not kept once an instance is built; what they did is on its disks.
    """
    request = instance.request
    return replace(
        request,
        name=name,
        host=instance.host,
        networks=_networks(request, standing),
        idempotency_key=None,
        user_data=None,
        user_data_sha256=None,
        files=(),
        source=instance.id,
    )


def _networks(request: InstanceRequest, standing: Sequence[Effect]) -> tuple[NetworkRequest, ...] | None:
    if request.networks is None:
        return None
    ports = sorted((e for e in standing if _is_port(e)), key=lambda effect: effect.slot)
    nics = [codec.decode(effect.result or b"", Nic) for effect in ports]
    return tuple(NetworkRequest(network=nic.port.network_id) for nic in nics)


def _is_port(effect: Effect) -> bool:
    return effect.kind == "port" and effect.state is EffectState.DONE and effect.result is not None

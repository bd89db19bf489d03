"""A clone: another instance of the same request, whose disks are copies."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from slipway.model.machine import Nic
from slipway.model.record import Effect, Instance
from slipway.model.request import InstanceRequest, NetworkRequest
from slipway.states.effects import results

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
    return tuple(NetworkRequest(network=nic.port.network_id) for nic in results(standing, "port", Nic))

"""What carries a network: a VLAN of a physical network, a VNI, a physical network as it is, or nothing of the kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from slipway import errors
from slipway.drivers.network.embedded.common.tables import networks
from slipway.model.network import Network
from slipway.settings import Settings
from slipway.states.store import Transaction

_IDS = {"vlan": range(1, 4095), "vxlan": range(1, 1 << 24)}
_ATTRIBUTES = ("provider_network_type", "provider_physical_network", "provider_segmentation_id")
_MISUSED = "provider_{}: a {} network has none"

_USED = sa.select(networks.c.provider_segmentation_id).where(
    networks.c.provider_network_type == sa.bindparam("kind"),
    sa.func.coalesce(networks.c.provider_physical_network, "") == sa.bindparam("physical"),
)


class Segment(Struct, frozen=True):
    """A network's type, and the physical network and VLAN or VNI where it has them; `id` None: one is to be found."""

    kind: str | None
    physical: str | None
    id: int | None


def requested(values: Mapping[str, Any], settings: Settings) -> Segment:
    """The segment that was asked for, checked as Neutron's type drivers do. Raises `InvalidInput`."""
    kind = values["provider_network_type"]
    physical, number = values["provider_physical_network"], values["provider_segmentation_id"]
    if kind not in (None, "local", "flat", "vlan", "vxlan"):
        raise errors.InvalidInput(f"provider_network_type: {kind!r} is not supported")
    if kind == "vlan":
        physical = _vlan_physical(physical, number, settings)
    elif kind == "flat" and not physical:
        raise errors.InvalidInput("provider_physical_network: a flat network needs one")
    elif kind != "flat" and physical is not None:
        raise errors.InvalidInput(_MISUSED.format("physical_network", kind))
    if number is not None and kind not in _IDS:
        raise errors.InvalidInput(_MISUSED.format("segmentation_id", kind))
    if number is not None and number not in _IDS[kind]:
        raise errors.InvalidInput(
            f"provider_segmentation_id: {number} is out of range ({_IDS[kind][0]} through {_IDS[kind][-1]})"
        )
    return Segment(kind, physical, number)


def _vlan_physical(physical: str | None, number: int | None, settings: Settings) -> str:
    if physical is None and number is not None:
        raise errors.InvalidInput("provider_segmentation_id: a VLAN needs its provider_physical_network")
    if physical is None and settings.physical_networks:
        return settings.physical_networks[0]
    if physical not in settings.physical_networks:
        known = ", ".join(settings.physical_networks)
        raise errors.InvalidInput(f"provider_physical_network: {physical!r} is unknown for VLANs; known are: {known}")
    return physical


def is_changed(network: Network, values: Mapping[str, Any], settings: Settings) -> bool:
    """Whether these values change the network's segment. Only the id of a VLAN network can be changed.

    Neutron: `_update_provider_network_attributes`. Raises `InvalidInput`.
    """
    current = {name: getattr(network, name) for name in _ATTRIBUTES}
    wanted = current | {name: values[name] for name in _ATTRIBUTES if name in values}
    if wanted == current:
        return False
    for name in _ATTRIBUTES[:2]:
        if wanted[name] != current[name]:
            raise errors.InvalidInput(f"{name}: cannot be changed")
    if network.provider_network_type != "vlan":
        raise errors.InvalidInput("provider_segmentation_id: can only be changed of a VLAN network")
    requested(wanted, settings)
    return True


def complete(tx: Transaction, segment: Segment) -> Segment:
    """The segment with the lowest VLAN or VNI that is free where none was asked for. Raises `NoNetworkAvailable`."""
    if segment.id is not None or segment.kind not in _IDS:
        return segment
    used = set(tx.scalars(_USED, {"kind": segment.kind, "physical": segment.physical or ""}))
    number = next((number for number in _IDS[segment.kind] if number not in used), None)
    if number is None:
        raise errors.NoNetworkAvailable(f"no {segment.kind} segment is left; delete networks that are not needed")
    return Segment(segment.kind, segment.physical, number)


def in_use(segment: Segment) -> errors.Conflict:
    """The error for a segment that is another network's."""
    if segment.kind == "vlan":
        return errors.VlanIdInUse(f"VLAN {segment.id} on {segment.physical}: another network's")
    if segment.kind == "vxlan":
        return errors.TunnelIdInUse(f"VNI {segment.id}: another network's")
    return errors.FlatNetworkInUse(f"physical network {segment.physical}: another flat network's")

"""The disk that cloud-init finds by its label: NoCloud, an ISO of user data, meta data and network config."""

from __future__ import annotations

from slipway.drivers.disk.qcow2.iso import iso_image
from slipway.model.machine import Seed


def seed_image(seed: Seed) -> bytes:
    """The ISO."""
    files = {"user-data": seed.user_data, "meta-data": seed.meta_data, "network-config": seed.network_config}
    return iso_image("cidata", {name: text.encode() for name, text in files.items()})

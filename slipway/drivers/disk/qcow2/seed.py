"""The disk that cloud-init finds by its label: NoCloud, an ISO of user data, meta data and network config."""

from __future__ import annotations

import io

from slipway.errors import DiskError
from slipway.model.machine import Seed


def seed_image(seed: Seed) -> bytes:
    """The ISO. Raises `DiskError` where pycdlib is not installed."""
    try:
        from pycdlib import PyCdlib
    except ModuleNotFoundError as error:
        raise DiskError("a seed needs the Python module pycdlib: pip install 'slipway[libvirt]'") from error
    files = {"user-data": seed.user_data, "meta-data": seed.meta_data, "network-config": seed.network_config}
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for name, text in files.items():
        short, content = name.upper().replace("-", "_"), text.encode()
        iso.add_fp(io.BytesIO(content), len(content), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()

"""The disk that cloud-init finds by its label: NoCloud, an ISO of user data and meta data."""

from __future__ import annotations

import io
import json

from slipway.errors import DiskError
from slipway.model import DiskRequest


def seed_image(request: DiskRequest) -> bytes:
    """The ISO for an instance. Without network config, cloud-init asks for an address by DHCP on the first NIC.

    Raises `DiskError` where pycdlib is not installed.
    """
    try:
        from pycdlib import PyCdlib
    except ModuleNotFoundError as error:
        raise DiskError("user data needs the Python module pycdlib: pip install 'slipway[libvirt]'") from error
    # JSON is YAML, and needs no thought about which texts YAML takes for something else.
    meta = {"instance-id": request.instance_id, "local-hostname": request.hostname}
    files = {"user-data": (request.user_data or "").encode(), "meta-data": json.dumps(meta).encode()}
    iso = PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for name, content in files.items():
        short = name.upper().replace("-", "_")
        iso.add_fp(io.BytesIO(content), len(content), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}")
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()

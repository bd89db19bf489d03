"""The disk that cloud-init finds by its label: an ISO of user data, meta data and network config.

NoCloud's has the label cidata, a config drive config-2.
"""

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
    iso = PyCdlib()
    label = "config-2" if seed.config_drive else "cidata"
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    place = ""
    for name in ("openstack", "latest") if seed.config_drive else ():
        short = f"{place}/{name}".upper()
        iso.add_directory(short, rr_name=name, joliet_path=f"{place}/{name}")
        place = f"{place}/{name}"
    for name, text in _files(seed).items():
        short, content = name.upper().replace("-", "_"), text.encode()
        short = short if "." in short else f"{short}."
        iso.add_fp(
            io.BytesIO(content), len(content), f"{place.upper()}/{short};1", rr_name=name, joliet_path=f"{place}/{name}"
        )
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()


def _files(seed: Seed) -> dict[str, str]:
    if not seed.config_drive:
        return {"user-data": seed.user_data, "meta-data": seed.meta_data, "network-config": seed.network_config}
    files = {"meta_data.json": seed.meta_data, "network_data.json": seed.network_config, "vendor_data.json": "{}"}
    return files | ({"user_data": seed.user_data} if seed.user_data else {})

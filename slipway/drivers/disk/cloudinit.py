"""What cloud-init is told by way of the seed, as NoCloud has it; the same for every disk driver.

All of it is JSON where cloud-init reads YAML: that needs no thought about which texts YAML takes for something else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from slipway.drivers.disk.network_config import addresses_of, network_config
from slipway.model.hostname import host_name
from slipway.model.machine import Seed, Vif
from slipway.model.record import Instance
from slipway.model.request import InjectedFile


def needs_seed(instance: Instance, vifs: Sequence[Vif]) -> bool:
    """Whether there is something to tell besides the host name that a guest could not find out by DHCP."""
    request = instance.request
    says = request.user_data is not None or bool(request.ssh_keys or request.files or request.metadata)
    return says or any(not subnet.enable_dhcp for vif in vifs for _, subnet in addresses_of(vif))


def make_seed(instance: Instance, vifs: Sequence[Vif]) -> Seed:
    """The three files of the seed for an instance with these NICs."""
    request = instance.request
    meta: dict[str, Any] = {"instance-id": instance.id, "local-hostname": host_name(instance.name)}
    if request.ssh_keys:
        meta["public-keys"] = list(request.ssh_keys)
    if request.metadata:
        # By OpenStack's name; in the guest: cloud-init query ds.meta_data.meta
        meta["meta"] = dict(request.metadata)
    return Seed(
        user_data=_user_data(request.user_data, request.files),
        meta_data=json.dumps(meta),
        network_config=json.dumps(network_config(vifs)),
    )


# --- user data ----------------------------------------------------------------------------------------------------


def _user_data(text: str | None, files: Sequence[InjectedFile]) -> str:
    """The user data as they are; where files are injected as well, both as parts of one MIME message.

    Not as vendor data: of two lists `write_files` cloud-init would take the user's alone.
    """
    if not files:
        return text or ""
    written = [{"path": file.path, "content": file.content, "permissions": file.mode} for file in files]
    config = "#cloud-config\n" + json.dumps({"write_files": written})
    if not text:
        return config
    # Python's package for MIME is loaded where there is some to be made.
    from slipway.drivers.disk.multipart import multipart

    return multipart(text, config)

"""What cloud-init is told by way of the seed, as NoCloud or a config drive has it; the same for every disk driver.

All of it is JSON where cloud-init reads YAML: that needs no thought about which texts YAML takes for something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from slipway.drivers.disk.network_config import addresses_of, network_config
from slipway.drivers.disk.network_data import network_data
from slipway.model.hostname import host_name
from slipway.model.machine import Seed, Vif
from slipway.model.record import Instance
from slipway.model.request import DEFAULT_ZONE, InjectedFile, InstanceRequest


def needs_seed(instance: Instance, vifs: Sequence[Vif]) -> bool:
    """Whether there is something to tell besides the host name that a guest could not find out by DHCP."""
    request = instance.request
    if request.config_drive or request.network_config or request.timezone or request.locale:
        return True
    says = request.user_data is not None or bool(request.ssh_keys or request.files or request.metadata)
    return says or any(not subnet.enable_dhcp for vif in vifs for _, subnet in addresses_of(vif))


def make_seed(instance: Instance, vifs: Sequence[Vif]) -> Seed:
    """The three files of the seed for an instance with these NICs."""
    request = instance.request
    if request.config_drive:
        return _config_drive(instance, vifs)
    meta: dict[str, Any] = {"instance-id": instance.id, "local-hostname": host_name(instance.name)}
    if request.ssh_keys:
        meta["public-keys"] = list(request.ssh_keys)
    if request.metadata:
        # By OpenStack's name; in the guest: cloud-init query ds.meta_data.meta
        meta["meta"] = dict(request.metadata)
    return Seed(
        user_data=_user_data(request),
        meta_data=_json_for_yaml(meta),
        network_config=request.network_config or json.dumps(network_config(vifs)),
    )


def _config_drive(instance: Instance, vifs: Sequence[Vif]) -> Seed:
    """As Nova writes it."""
    request = instance.request
    meta: dict[str, Any] = {
        "uuid": instance.id,
        "name": instance.name,
        "hostname": host_name(instance.name),
        "launch_index": 0,
        "availability_zone": request.zone or DEFAULT_ZONE,
        "project_id": instance.project,
        "meta": dict(request.metadata),
        "devices": [],
    }
    if request.ssh_keys:
        meta["public_keys"] = {f"key-{number}": key for number, key in enumerate(request.ssh_keys)}
        meta["keys"] = [{"name": name, "type": "ssh", "data": key} for name, key in meta["public_keys"].items()]
    return Seed(_user_data(request), json.dumps(meta), json.dumps(network_data(vifs)), config_drive=True)


# --- user data ----------------------------------------------------------------------------------------------------


def _user_data(request: InstanceRequest) -> str:
    """The user data as they are; where there is more to be said, both as parts of one MIME message.

    Not as vendor data: of two lists `write_files` cloud-init would take the user's alone.
    """
    said = {"timezone": request.timezone, "locale": request.locale, "write_files": list(map(_file, request.files))}
    more, text = {key: value for key, value in said.items() if value}, request.user_data
    if not more:
        return text or ""
    config = "#cloud-config\n" + _json_for_yaml(more)
    if not text:
        return config
    # Python's package for MIME is loaded where there is some to be made.
    from slipway.drivers.disk.multipart import multipart

    return multipart(text, config)


def _file(file: InjectedFile) -> dict[str, Any]:
    said: dict[str, Any] = {"path": file.path, "content": file.content, "permissions": file.mode}
    if file.owner is None:
        return said
    # Users and groups that the same user data make are there by then.
    return said | {"owner": file.owner, "defer": True}


def _json_for_yaml(value: object) -> str:
    """JSON in which an emoji stands as it is: of its escaped pair YAML makes two characters, which no file can have."""
    return re.sub("[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))

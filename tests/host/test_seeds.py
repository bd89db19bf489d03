"""What is on the seeds of instances whose disks are real: each has one, if only for its host name."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from slipway.orchestrator import Orchestrator
from slipway.runfile import loads

pytestmark = pytest.mark.host

TEXT = """
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, disks: qcow2}}}}
networks: {{served: {{subnets: {{a: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: {disk}}}}}
images: {{tiny: {{kernel: ./vmlinuz}}}}
instances: {{Web_1: {{flavor: small, image: tiny, networks: [served]{more}}}}}
"""


def read(path: Path, name: str) -> Any:
    pycdlib = pytest.importorskip("pycdlib")
    iso, content = pycdlib.PyCdlib(), io.BytesIO()
    iso.open(str(path))
    iso.get_file_from_iso_fp(content, joliet_path=f"/{name}")
    iso.close()
    return json.loads(content.getvalue())


@pytest.mark.parametrize("disk", ["1GiB", "0GiB"])
@pytest.mark.parametrize(
    ("more", "meta"), [("", {}), (", metadata: {role: db, 'a b': 'ä <&>'}", {"meta": {"role": "db", "a b": "ä <&>"}})]
)
def test_each_instance_has_a_seed(tmp_path: Path, disk: str, more: str, meta: dict[str, Any]) -> None:
    state = tmp_path / "state"
    with Orchestrator(state) as slipway:
        (ended,) = slipway.run(loads(TEXT.format(disk=disk, more=more), "seeds.yaml")).ended
        assert ended.instance is not None
        slot = 1 if disk == "1GiB" else 0
        seed = state / "disks" / "node-1" / f"{ended.instance.id}-{slot}.iso"
        assert read(seed, "meta-data") == {"instance-id": ended.instance.id, "local-hostname": "web-1", **meta}
        assert read(seed, "network-config")["ethernets"]["eth0"]["dhcp4"] is True
        definition = (state / "instances" / "node-1" / f"{ended.instance.id}.xml").read_text()
        assert str(seed) in definition
        assert ('key="role">db<' in definition) is bool(meta)
        assert slipway.audit() == ()
        slipway.delete("Web_1")
        assert slipway.audit() == ()
        assert not seed.exists()

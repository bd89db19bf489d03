"""What changes at a port or in its security groups holds at once where an instance is plugged."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.host.lan import Lan

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft (nftables)"),
]


@pytest.fixture
def netns() -> Iterator[str]:
    lan = Lan()
    try:
        netns = lan.host().netns
        assert netns is not None
        yield netns
    finally:
        lan.close()


def test_filters_follow_the_record(netns: str, tmp_path: Path) -> None:
    def ruleset() -> str:
        return subprocess.check_output(["ip", "netns", "exec", netns, "nft", "list", "ruleset"], text=True)

    before = ruleset()
    file = loads(
        f"""
schema: 1
hosts: {{here: {{vcpus: 8, memory: 8GiB, disk: 1TiB, compute: sim, wiring: linuxbridge, netns: {netns}}}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}}}}}
security_groups: {{web: {{rules: [{{protocol: tcp, ports: 80, from: 0.0.0.0/0}}]}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 1GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [net], security_groups: [web]}}}}
""",
        "demo.yaml",
    )
    with Orchestrator(tmp_path) as slipway:
        assert [ended.status.value for ended in slipway.run(file).ended] == ["built"]
        (group,) = slipway.network.list_security_groups(name="web")
        rule = slipway.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", protocol="udp", port_range_min=5353, port_range_max=5353
        )
        assert "dport 5353" in ruleset()
        slipway.network.delete_security_group_rule(rule.id)
        assert "dport 5353" not in ruleset()
        assert "dport 80" in ruleset()
        (port,) = slipway.network.list_ports(device_id=slipway.show("web").instance.id)
        slipway.network.update_port(port.id, allowed_address_pairs=[{"ip_address": "10.0.0.99"}])
        assert "10.0.0.99" in ruleset()
        assert slipway.audit() == ()
        slipway.destroy(file)
        assert slipway.audit() == ()
    assert ruleset() == before

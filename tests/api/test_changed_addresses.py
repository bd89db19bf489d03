"""An instance's addresses are those that its ports have, also when these change."""

from __future__ import annotations

from pathlib import Path

from slipway import Orchestrator
from slipway.runfile import loads

FILE = loads(
    """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks:
  a: {subnets: {a4: {cidr: 10.0.0.0/24}}}
  b: {subnets: {b4: {cidr: 10.1.0.0/24}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  web: {flavor: small, image: tiny, networks: [{network: b, fixed_ip: 10.1.0.5}, {network: a, fixed_ip: 10.0.0.5}]}
""",
    "addresses.yaml",
)


def test_a_port_that_changes_and_a_prefix_that_comes_later(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        slipway.run(FILE)
        (port,) = slipway.network.list_ports(ip_address="10.1.0.5")
        slipway.network.update_port(port.id, fixed_ips=[{"ip_address": "10.1.0.77"}])
        web = slipway.show("web").instance
        assert web.addresses == ("10.1.0.77", "10.0.0.5")
        assert [nic.port for nic in slipway.addresses("web").nics] == [("10.1.0.77",), ("10.0.0.5",)]
        slipway.network.create_subnet(
            network_id=port.network_id,
            ip_version=6,
            cidr="fd00:1::/64",
            gateway_ip=None,
            ipv6_ra_mode="slaac",
            ipv6_address_mode="slaac",
        )
        (listed,) = slipway.list()
        own = slipway.network.show_port(port.id).fixed_ips[1].ip_address
        assert listed.addresses == ("10.1.0.77", own, "10.0.0.5")
        slipway.network.update_port(port.id, fixed_ips=[])
        # SLAAC addresses stay (Neutron).
        assert slipway.list()[0].addresses == (own, "10.0.0.5")
        slipway.delete("web")
        assert slipway.audit() == ()

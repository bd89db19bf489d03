"""A guest that goes from one real host to another: the file that makes it, on the first of both."""

from __future__ import annotations

from pathlib import Path

from slipway import RunFile
from slipway.runfile import loads
from tests.conftest import Guest
from tests.host.hosts import RealHost

Hosts = tuple[RealHost, RealHost]
ADDRESS = "10.10.0.11"


def file_of(hosts: Hosts, guest: Guest, volume: Path) -> RunFile:
    return loads(
        f"""
schema: 1
hosts:
  {hosts[0].entry()}
  {hosts[1].entry()}
networks: {{front: {{provider: {{type: vxlan}}, subnets: {{front-v4: {{cidr: 10.10.0.0/24}}}}}}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{{guest.image}}}}}
security_groups: {{ping: {{rules: [{{protocol: icmp, from: 0.0.0.0/0}}]}}}}
instances:
  one:
    flavor: tiny
    image: guest
    security_groups: [ping]
    networks: [{{network: front, fixed_ip: {ADDRESS}}}]
    disks: [{{volume: {volume}, format: raw}}]
    host: {hosts[0].name}
""",
        "moved.yaml",
    )

"""Of several NICs the first that a gateway is on has the guest's default route; the others' DHCP names no router."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import Orchestrator
from slipway.model.machine import Nic
from slipway.model.request import NetworkRequest
from slipway.runfile import RunFile, loads
from slipway.states.effects import results

FILE = """
schema: 1
hosts: {node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB}}
networks:
  closed: {subnets: {a: {cidr: 10.0.0.0/24, gateway: null}}}
  front: {subnets: {b: {cidr: 10.1.0.0/24}}}
  back: {subnets: {c: {cidr: 10.2.0.0/24}}}
  six: {subnets: {d: {cidr: "2001:db8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {one: {flavor: small, image: tiny, networks: [closed]}}
"""


def file() -> RunFile:
    return loads(FILE, "ways.yaml")


def told_of_no_router(orchestrator: Orchestrator, name: str) -> list[bool]:
    """Of each NIC of the instance, in their order."""
    nics = results(orchestrator.show(name).effects, "port", Nic)
    ports = {port.id: port for port in orchestrator.network.list_ports()}
    return [("router", "") in [(o.opt_name, o.opt_value) for o in ports[nic.port.id].extra_dhcp_opts] for nic in nics]


@pytest.mark.parametrize(
    ("networks", "told"),
    [
        ("front", [False]),
        ("front back", [False, True]),
        ("closed back front", [False, False, True]),
        ("front closed back", [False, True, True]),
        ("six front", [False, False]),
        # What somebody made beforehand says itself what DHCP tells.
        ("front mine", [False, False]),
        ("mine front", [False, True]),
    ],
)
def test_the_first_with_a_gateway_has_the_default_route(tmp_path: Path, networks: str, told: list[bool]) -> None:
    with Orchestrator(tmp_path) as orchestrator:
        orchestrator.run(file())
        [back] = [network for network in orchestrator.network.list_networks() if network.name == "back"]
        orchestrator.network.create_port(network_id=back.id, name="mine")
        nics = tuple(NetworkRequest(**{"port" if one == "mine" else "network": one}) for one in networks.split())
        orchestrator.create(replace(file().instances[0].request, name="two", networks=nics))
        assert told_of_no_router(orchestrator, "two") == told
        assert orchestrator.audit() == ()


def test_a_nic_that_is_attached_comes_behind_those_that_are_there(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as orchestrator:
        orchestrator.run(file())
        for network in ("front", "back"):
            orchestrator.changes.attach_interface("one", NetworkRequest(network=network))
        assert told_of_no_router(orchestrator, "one") == [False, False, True]

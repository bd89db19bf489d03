"""Names in run files that several things have: none of them is taken by chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator, errors
from slipway.drill.simulated import simulated_drivers
from slipway.model.network import Network, Port, SecurityGroup, Subnet
from slipway.networks import Networks
from slipway.runfile import RunFile, loads

NAMES = {"network": "net", "subnet": "sub", "port": "spare", "group": "web"}
"""What the file names, by kind."""


def file() -> RunFile:
    text = """
schema: 1
project: p
hosts: {a: {vcpus: 8, memory: 16GiB, disk: 100GiB}}
networks: {net: {subnets: {sub: {cidr: 10.0.0.0/24}}, ports: {spare: {security_groups: [web]}}}}
security_groups: {web: {rules: [{protocol: any, from: 10.0.0.0/8}]}}
"""
    return loads(text, "mine.yaml")


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=request.param == "remote")
    with Orchestrator(tmp_path, project="p", drivers=drivers) as made:
        yield made


def another(network: Networks, kind: str, number: int) -> str:
    """Make one more of a name that is in the file; its id."""
    (net,) = network.list_networks(name="net")[:1] or (network.create_network(name="net"),)
    cidr = f"10.9.{number}.0/24"
    makers: dict[str, Callable[..., Network | Subnet | Port | SecurityGroup]] = {
        "network": network.create_network,
        "subnet": partial(network.create_subnet, network_id=net.id, cidr=cidr, ip_version=4),
        "port": partial(network.create_port, network_id=net.id),
        "group": network.create_security_group,
    }
    return makers[kind](name=NAMES[kind]).id


@pytest.mark.parametrize("kind", list(NAMES))
def test_a_name_that_several_have_is_an_error_that_says_so(kind: str, slipway: Orchestrator) -> None:
    network = slipway.network
    for number in range(2):
        another(network, kind, number)
    with pytest.raises((errors.NoUniqueMatch, errors.NetworkAmbiguous), match=f"several .* called {NAMES[kind]}"):
        slipway.run(file())


@pytest.mark.parametrize("kind", list(NAMES))
def test_the_stacks_own_is_meant_where_others_came_later(kind: str, slipway: Orchestrator) -> None:
    """And destroy takes back that one, and says that the other stays."""
    slipway.run(file())
    theirs = another(slipway.network, kind, 1)
    slipway.run(file())
    _, changes = slipway.destroy(file())
    every: dict[str, Sequence[Any]] = {
        "network": slipway.network.list_networks(),
        "subnet": slipway.network.list_subnets(),
        "port": slipway.network.list_ports(device_owner=""),
        "group": [group for group in slipway.network.list_security_groups() if group.name != "default"],
    }
    assert [each.id for each in every[kind]] == [theirs]
    assert changes.removed


@pytest.mark.parametrize("kind", list(NAMES))
def test_what_several_have_keeps_nothing_from_being_taken_back(kind: str, slipway: Orchestrator) -> None:
    """None of them is the stack's: it was made after both, with other names then."""
    slipway.run(file())
    every: dict[str, Sequence[Any]] = {
        "network": slipway.network.list_networks(name="net"),
        "subnet": slipway.network.list_subnets(name="sub"),
        "port": slipway.network.list_ports(name="spare"),
        "group": slipway.network.list_security_groups(name="web"),
    }
    change = {"group": "security_group"}.get(kind, kind)
    getattr(slipway.network, f"update_{change}")(every[kind][0].id, name="renamed")
    for number in range(2):
        another(slipway.network, kind, number)
    _, changes = slipway.destroy(file())
    if kind in ("port", "group"):
        assert any("renamed" in line for line in changes.removed)
    assert any(f"several {kind if kind != 'group' else 'security group'}s called" in line for line in changes.kept)


def test_another_projects_port_is_not_meant(slipway: Orchestrator) -> None:
    """On an own network the ports of others are seen."""
    slipway.run(file())
    (net,) = slipway.network.list_networks(name="net")
    (mine,) = slipway.network.list_ports(name="spare")
    slipway.network.delete_port(mine.id)
    slipway.network.create_port(name="spare", network_id=net.id, project_id="other")
    slipway.run(file())
    assert {port.project_id for port in slipway.network.list_ports(name="spare")} == {"p", "other"}

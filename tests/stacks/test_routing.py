"""Routers and floating IPs of a run file: made, changed, pruned and taken back with their stack."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.drill.simulated import simulated_drivers
from slipway.runfile import loads

FILE = """
schema: 1
networks:
  public: {{external: true, subnets: {{public-v4: {{cidr: 203.0.113.0/24}}}}}}
  demo:
    subnets:
      demo-v4: {{cidr: 10.0.0.0/24}}
      demo-v6: {{cidr: "2001:db8::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}}
    ports: {{web: {{fixed_ip: 10.0.0.5}}, db: {{fixed_ip: 10.0.0.6}}}}
routers: {{{routers}}}
floating_ips: {{{addresses}}}
"""
EDGE = "edge: {external_network: public, external_ips: [203.0.113.5], subnets: [demo-v4, demo-v6], routes: [%s]}"
ROUTE = "{destination: 10.9.0.0/16, nexthop: 10.0.0.7}"
WEB = "web: {network: public, port: web, address: 203.0.113.10}"


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=request.param == "remote")
    with Orchestrator(tmp_path, drivers=drivers) as made:
        yield made


def said(routers: str, addresses: str = "") -> str:
    return FILE.format(routers=routers, addresses=addresses)


def test_routers_and_floating_ips_are_made_changed_and_taken_back(slipway: Orchestrator) -> None:
    first = loads(said(EDGE % ROUTE, f"{WEB}, spare: {{network: public}}"), "mine.yaml")
    made = slipway.run(first).changes
    assert made.created[-3:] == ("router edge", "floating IP web", "floating IP spare")
    assert slipway.plan(first).acts == ()
    (router,) = slipway.network.list_routers()
    stack = slipway.stack_of("router", router.id)
    assert (stack and stack.name, len(router.routes)) == ("mine", 1)
    web, spare = sorted(slipway.network.list_floatingips(), key=lambda one: one.fixed_ip_address or "~")
    assert (web.floating_ip_address, web.fixed_ip_address, spare.fixed_ip_address) == ("203.0.113.10", "10.0.0.5", None)

    edge = "edge: {external_network: public, snat: false, subnets: [demo-v4]}"
    second = loads(said(edge, WEB.replace("port: web", "port: db")), "mine.yaml")
    plan = slipway.plan(second, prune=True)
    told = {
        change.label: {one.attribute: (one.have, one.want) for one in change.differences} for change in plan.changes
    }
    assert told == {
        "router edge": {
            "subnets": ("demo-v4, demo-v6", "demo-v4"),
            "routes": ("10.9.0.0/16 via 10.0.0.7", "none"),
            "snat": ("yes", "no"),
        },
        "floating IP web": {"port": ("web", "db")},
        "floating IP spare": {},
    }
    done = slipway.run(second, prune=True, yes=True).changes
    assert (done.changed, done.removed) == (("router edge", "floating IP web"), ("floating IP spare",))
    assert slipway.plan(second).acts == ()
    (web,) = slipway.network.list_floatingips()
    assert web.fixed_ip_address == "10.0.0.6"
    gateway = slipway.network.list_routers()[0].external_gateway_info
    assert gateway is not None
    assert (gateway.enable_snat, gateway.external_fixed_ips[0].ip_address) == (False, "203.0.113.5")

    _, gone = slipway.destroy(second)
    assert {"router edge", "floating IP web", "network public", "network demo"} <= {*gone.removed}
    assert (slipway.network.list_ports(), slipway.network.list_networks()) == ((), ())


def test_ports_are_forwarded_as_the_file_says(slipway: Orchestrator) -> None:
    """Where the file says nothing of them they are left to commands; a stack that goes takes those along as well."""
    ssh = "{port: web, external_port: 2222, internal_port: 22}"
    many = "{port: db, fixed_ip: 10.0.0.6, external_port: 8000-8002, protocol: udp}"
    first = loads(said(EDGE % "", f"web: {{network: public, forward: [{ssh}, {many}]}}"), "mine.yaml")
    slipway.run(first)
    assert slipway.plan(first).acts == ()
    assert forwarded(slipway) == {
        ("tcp", "2222:2222", "10.0.0.5", "22:22"),
        ("udp", "8000:8002", "10.0.0.6", "8000:8002"),
    }
    one = "{port: db, external_port: 2222, internal_port: 22}"
    second = loads(said(EDGE % "", f"web: {{network: public, forward: [{one}]}}"), "mine.yaml")
    (change,) = (change for change in slipway.plan(second).changes if change.differences)
    (difference,) = change.differences
    assert (difference.have, difference.want) == (
        f"tcp 2222 to {port(slipway, 'web')}:22, udp 8000-8002 to db:8000-8002",
        "tcp 2222 to db:22",
    )
    slipway.run(second)
    assert slipway.plan(second).acts == ()
    assert forwarded(slipway) == {("tcp", "2222:2222", "10.0.0.6", "22:22")}
    silent = loads(said(EDGE % "", "web: {network: public}"), "mine.yaml")
    assert slipway.plan(silent).acts == ()
    whole = loads(said(EDGE % "", "web: {network: public, port: db, forward: []}"), "mine.yaml")
    slipway.run(whole)
    assert forwarded(slipway) == set()
    assert slipway.network.list_floatingips()[0].fixed_ip_address == "10.0.0.6"
    slipway.run(first)
    assert len(forwarded(slipway)) == 2
    _, gone = slipway.destroy(silent)
    assert "floating IP web" in gone.removed
    assert (slipway.network.list_floatingips(), slipway.network.list_ports()) == ((), ())


def forwarded(slipway: Orchestrator) -> set[tuple[str, str, str, str]]:
    return {
        (each.protocol, each.external_port_range, each.internal_ip_address, each.internal_port_range)
        for one in slipway.network.list_floatingips()
        for each in one.port_forwardings
    }


def port(slipway: Orchestrator, name: str) -> str:
    return slipway.network.list_ports(name=name)[0].id


def test_what_others_need_of_a_router_stays(slipway: Orchestrator) -> None:
    file = loads(said(EDGE % ROUTE), "mine.yaml")
    slipway.run(file)
    (public,) = slipway.network.list_networks(name="public")
    (port,) = slipway.network.list_ports(name="web")
    theirs = slipway.network.create_floatingip(floating_network_id=public.id, port_id=port.id)
    _, gone = slipway.destroy(file)
    assert f"router edge: in use by floating IP {theirs.floating_ip_address}" in gone.kept
    assert len(slipway.network.list_routers()[0].routes) == 1


def test_a_router_that_no_run_made_stays_as_it_is(slipway: Orchestrator) -> None:
    slipway.network.create_router(name="edge")
    done = slipway.run(loads(said(EDGE % ROUTE), "mine.yaml")).changes
    assert any(line.startswith("router edge: subnets stays none") for line in done.kept)
    assert slipway.network.list_routers()[0].routes == ()

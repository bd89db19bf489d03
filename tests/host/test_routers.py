"""Routers of a real host, by the packets that pass: guests behind them, and somebody outside, each in a namespace."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from slipway.networks.routing_attributes import GatewayRequest
from tests.host.hosts import Things, processes, run, things
from tests.host.routed import FAR, HOST, OUTSIDE, Site, ask, hears, pings
from tests.waiting import until

pytestmark = pytest.mark.host

NETWORKS = """
networks:
  public: {external: true, provider: {type: local}, subnets: {pub: {cidr: 203.0.113.0/24}}}
  front:
    provider: {type: local}
    subnets: {front-4: {cidr: 10.9.0.0/24}, front-6: {cidr: fd00:9::/64, ipv6_ra_mode: slaac, ipv6_address_mode: slaac}}
    ports: {web: {}}
  back: {provider: {type: local}, subnets: {back-4: {cidr: 10.8.0.0/24}}, ports: {db: {}}}
"""
ROUTER = """
routers: {edge: {external_network: public, subnets: [front-4, front-6, back-4]}}
"""
WEB, DB = (f"{port}-1: {{flavor: tiny, image: guest, networks: [{{port: {port}}}]}}" for port in ("web", "db"))
BOTH = f"{WEB}, {DB}"


def _address(site: Site, port: str) -> str:
    return site.slipway.network.list_ports(name=port)[0].fixed_ips[0].ip_address


def _found(site: Site) -> Things:
    """All that there is but for what routers are kept in."""
    return things([site.host], site.state)


# --- what may be broken, and is found and mended ------------------------------------------------------------------


def _in_router(*words: str) -> Callable[[Site], object]:
    return lambda site: run("ip", "netns", "exec", site.inside(), *words)


def _on_host(*words: str) -> Callable[[Site], object]:
    return lambda site: run("ip", "netns", "exec", site.host.name, *words)


def _flush_on_host(site: Site) -> None:
    (router,) = site.slipway.network.list_routers()
    run("ip", "netns", "exec", site.host.name, "nft", "flush", "table", "inet", f"slipway-{router.id}")


def _out_of_its_bridge(site: Site) -> None:
    (port,) = site.slipway.network.list_ports(device_owner="network:router_interface", network_id=_network(site))
    site.host.ip("link", "set", f"tap{port.id}"[:14], "nomaster")


def _network(site: Site) -> str:
    return site.slipway.network.list_networks(name="back")[0].id


def _silence(site: Site) -> None:
    for one in processes(site.state):
        if f"{site.state}/routers/" in " ".join(one.cmdline()):
            one.kill()


DAMAGES: dict[str, Callable[[Site], object]] = {
    "rules flushed": _in_router("nft", "flush", "ruleset"),
    "rules on the host flushed": _flush_on_host,
    "host forwards nothing": _on_host("sysctl", "-qw", "net.ipv4.ip_forward=0"),
    "forwards nothing": _in_router("sysctl", "-qw", "net.ipv4.ip_forward=0"),
    "no way out": _in_router("ip", "route", "del", "default"),
    "namespace gone": lambda site: run("ip", "netns", "del", site.inside()),
    "out of its bridge": _out_of_its_bridge,
    "tells nobody": _silence,
}


def test_what_passes_a_router_on_the_hosts_own_uplink(site: Site) -> None:
    """One world for all: a way out only with a router, what the outside sees, ways in, what may not pass."""
    before = _found(site)
    site.run(NETWORKS, BOTH)
    web, db = site.guest("web"), site.guest("db")
    # Nobody has the gateway's address.
    assert not pings(web, OUTSIDE, seconds=1)
    assert not pings(web, "10.8.0.1", seconds=1)
    assert site.namespaces() == []
    assert site.findings() == []

    site.run(NETWORKS + ROUTER, BOTH)
    assert site.findings() == []
    # A bridge forwards by a new cable once it has heard that the other end is up.
    until(lambda: pings(web, OUTSIDE, seconds=1), "the way out")
    until(lambda: pings(web, _address(site, "db"), seconds=1), "the way to the other subnet")
    assert ask(web, site.outside, OUTSIDE, 8000, 8000) == HOST
    # Guests reach neither the host's services, nor what clouds keep at link-local addresses.
    assert not pings(web, HOST, seconds=1)
    assert ask(web, site.host.name, HOST, 8000, 8000, seconds=1) is None
    # Nobody begins a conversation with a guest by its own address.
    run("ip", "-n", site.host.name, "route", "add", "10.9.0.0/24", "via", "198.19.0.2")
    assert not pings(site.outside, _address(site, "web"), seconds=1)
    run("ip", "-n", site.host.name, "route", "del", "10.9.0.0/24")
    # IPv6: the router tells that it is the way out, and its other side is reached.
    until(lambda: "default" in run("ip", "-n", web, "-6", "route", "show", "proto", "ra"), "a way out by IPv6")
    # What says that it comes from elsewhere is not forwarded.
    run("ip", "-n", web, "address", "add", "10.77.0.1/32", "dev", "lo")
    assert hears(db, _address(site, "web"), lambda: pings(web, _address(site, "db")))
    assert not hears(db, "10.77.0.1", lambda: pings(web, _address(site, "db"), "-I", "10.77.0.1", seconds=1))

    router = site.slipway.network.list_routers(name="edge")[0]
    (public,) = site.slipway.network.list_networks(name="public")
    (port,) = site.slipway.network.list_ports(name="web")
    floating = site.slipway.network.create_floatingip(floating_network_id=public.id, port_id=port.id)
    assert pings(site.outside, floating.floating_ip_address)
    assert ask(site.outside, web, floating.floating_ip_address, 8000, 8000) == OUTSIDE
    assert ask(db, web, floating.floating_ip_address, 8000, 8000) == "198.19.0.2"
    site.slipway.network.update_floatingip(floating.id, port_id=None)
    assert not pings(site.outside, floating.floating_ip_address, seconds=1)
    (inner,) = site.slipway.network.list_ports(name="db")
    for outer, at in (("80", "8080"), ("7000:7002", "9000:9002"), ("6000:6002", "6000:6002")):
        site.slipway.network.create_port_forwarding(
            floating.id,
            protocol="tcp",
            internal_port_id=inner.id,
            internal_ip_address=inner.fixed_ips[0].ip_address,
            external_port_range=outer,
            internal_port_range=at,
        )
    assert ask(site.outside, db, floating.floating_ip_address, 80, 8080) == OUTSIDE
    assert ask(site.outside, db, floating.floating_ip_address, 7002, 9002) == OUTSIDE
    assert ask(site.outside, db, floating.floating_ip_address, 6001, 6001) == OUTSIDE
    assert ask(site.outside, db, floating.floating_ip_address, 8080, 8080, seconds=1) is None
    # A network behind a guest, by a static route.
    run("ip", "-n", db, "address", "add", "10.55.0.1/32", "dev", "lo")
    assert not pings(web, "10.55.0.1", seconds=1)
    site.slipway.network.add_extraroutes(
        router.id, [{"destination": "10.55.0.0/24", "nexthop": inner.fixed_ips[0].ip_address}]
    )
    assert pings(web, "10.55.0.1")
    assert pings(db, OUTSIDE, "-I", "10.55.0.1")
    assert site.findings() == []

    for name, damage in DAMAGES.items():
        damage(site)
        assert {kind for _, kind, _ in site.findings()} == {"router"}, name
        site.slipway.repair()
        assert site.findings() == [], name
        assert pings(web, OUTSIDE), name
    site.host.ip("link", "del", "g0")
    site.host.ip("link", "del", "g1")
    site.slipway.delete("web-1")
    assert len(site.namespaces()) == 1
    site.slipway.delete("db-1")
    assert _found(site) == before
    assert run("ip", "netns", "exec", site.host.name, "cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"


PHYSICAL = """
networks:
  public:
    external: true
    provider: {type: flat, physical_network: physnet1}
    subnets: {pub: {cidr: 198.51.100.0/24, gateway: 198.51.100.9}}
  front: {provider: {type: local}, subnets: {front-4: {cidr: 10.9.0.0/24}}, ports: {web: {}}}
routers: {edge: {external_network: public, external_ips: [198.51.100.5], subnets: [front-4]}}
floating_ips: {web: {network: public, address: 198.51.100.7}}
"""


def test_a_way_out_by_a_physical_network(site: Site) -> None:
    """The outside sees the router's address, or the floating IP, and asks for both on its wire."""
    before = _found(site)
    site.run(PHYSICAL, WEB)
    web = site.guest("web")
    assert ask(web, site.outside, FAR, 8000, 8000) == "198.51.100.5"
    assert pings(site.outside, "198.51.100.5")
    assert not pings(site.outside, "198.51.100.7", seconds=1)
    site.run(PHYSICAL.replace("network: public, address", "network: public, port: web, address"), WEB)
    assert ask(site.outside, web, "198.51.100.7", 8000, 8000) == FAR
    assert ask(web, site.outside, FAR, 8000, 8000) == "198.51.100.7"
    # Without SNAT a guest has its own address out there.
    (router,) = site.slipway.network.list_routers()
    site.slipway.network.update_floatingip(site.slipway.network.list_floatingips()[0].id, port_id=None)
    (public,) = site.slipway.network.list_networks(name="public")
    gateway: GatewayRequest = {"network_id": public.id, "enable_snat": False}
    site.slipway.network.update_router(router.id, external_gateway_info=gateway)
    run("ip", "-n", site.outside, "route", "add", "10.9.0.0/24", "via", "198.51.100.5")
    assert ask(web, site.outside, FAR, 8000, 8000) == _address(site, "web")
    assert site.findings() == []
    site.host.ip("link", "del", "g0")
    site.slipway.network.update_router(router.id, admin_state_up=False)
    assert site.namespaces() == []
    site.slipway.delete("web-1")
    assert _found(site) == before


DUAL = """
networks:
  public:
    external: true
    provider: {type: flat, physical_network: physnet1}
    subnets:
      pub: {cidr: 198.51.100.0/24, gateway: 198.51.100.9}
      pub-6: {cidr: "2001:db8:51::/64", gateway: "2001:db8:51::9"}
  front:
    provider: {type: local}
    subnets:
      front-4: {cidr: 10.9.0.0/24}
      front-6: {cidr: "2001:db8:9::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac}
    ports: {web: {}}
"""
EDGE = """
routers: {edge: {external_network: public, external_ips: [198.51.100.5, "2001:db8:51::5"], subnets: [front-4, front-6]}}
floating_ips: {web: {network: public, port: web, address: 198.51.100.7}}
"""


def _remembers(namespace: str, device: str, address: str) -> Callable[[], bool]:
    """Have the namespace know the address at a MAC that has gone; gives whether it knows a better one by now."""
    gone = "02:00:00:00:00:66"
    run("ip", "-n", namespace, "neigh", "replace", address, "lladdr", gone, "dev", device, "nud", "stale")
    return lambda: gone not in run("ip", "-n", namespace, "neigh", "show", address, "dev", device)


def test_neighbours_hear_of_addresses_and_ipv6_leaves_as_it_is(site: Site) -> None:
    """Nobody asks: whoever knew an address elsewhere is told of the router's link, inside and outside."""
    before = _found(site)
    run("ip", "-n", site.outside, "address", "add", "2001:db8:51::9/64", "dev", "wire0", "nodad")
    site.run(DUAL, WEB)
    web = site.guest("web")
    outside, known = ("198.51.100.5", "198.51.100.7", "2001:db8:51::5"), []
    known += [(address, _remembers(site.outside, "wire0", address)) for address in outside]
    known += [(address, _remembers(web, "eth0", address)) for address in ("10.9.0.1", "2001:db8:9::")]
    time.sleep(1.1)  # What a kernel has just been told it believes for a second.
    site.run(DUAL + EDGE, WEB)
    for address, is_told in known:
        until(is_told, f"word of {address}")
    # A floating IP that comes later.
    (floating,) = site.slipway.network.list_floatingips()
    port = floating.port_id
    site.slipway.network.update_floatingip(floating.id, port_id=None)
    is_told = _remembers(site.outside, "wire0", "198.51.100.7")
    time.sleep(1.1)
    site.slipway.network.update_floatingip(floating.id, port_id=port)
    until(is_told, "word of the floating IP")

    own = next(ip.ip_address for ip in site.slipway.network.list_ports(name="web")[0].fixed_ips if ":" in ip.ip_address)
    until(lambda: "default" in run("ip", "-n", web, "-6", "route", "show", "proto", "ra"), "a way out by IPv6")
    run("ip", "-n", site.outside, "route", "add", "2001:db8:9::/64", "via", "2001:db8:51::5")
    until(lambda: pings(web, "2001:db8:51::9", seconds=1), "the way out by IPv6")
    assert hears(site.outside, own, lambda: pings(web, "2001:db8:51::9"))
    assert site.findings() == []
    site.host.ip("link", "del", "g0")
    site.slipway.delete("web-1")
    assert _found(site) == before


NAT = """
networks: {front: {nat: true, subnets: {front-4: {cidr: 10.9.0.0/24}}, ports: {web: {}}}}
"""


def test_nat_is_a_router_by_itself(site: Site) -> None:
    """A host that forwards already goes on doing so."""
    before = _found(site)
    run("ip", "netns", "exec", site.host.name, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    site.run(NAT, WEB)
    assert ask(site.guest("web"), site.outside, OUTSIDE, 8000, 8000) == HOST
    assert site.findings() == []
    site.host.ip("link", "del", "g0")
    site.slipway.destroy(site.file(NAT, WEB))
    assert _found(site) == before
    assert list(site.slipway.network.list_routers()) == []
    assert run("ip", "netns", "exec", site.host.name, "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"

"""The rulesets of a router as text for `nft`: in its own namespace, and on the host whose uplink it uses.

Neutron: floating IPs, forwarded ports and SNAT are those of `agent/l3/router_info.py`. Besides, nothing that says it
comes from elsewhere than it does is forwarded, nothing begins outside that no floating IP leads in where there is SNAT,
and no guest reaches link-local addresses, where clouds keep what a host alone is to read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from slipway.model.hosted import HostedRouter
from slipway.model.routing import PortForwarding

INSIDE_TABLE = "router"
"""Of the router's own namespace, where there is nobody else's."""


class HostLink(Struct, frozen=True):
    """The link between a router and its host: four addresses, of which each end has one; told from others by `number`.

    It is in a range for the trial of networks (RFC 2544), which nobody routes.
    """

    number: int

    @property
    def host(self) -> str:
        """The host's address."""
        return str(_FIRST + 4 * self.number + 1)

    @property
    def router(self) -> str:
        """The router's address."""
        return str(_FIRST + 4 * self.number + 2)


_FIRST = IPv4Address("198.19.0.0")
LINKS = 1 << 14
PREFIX = 30


def inside_ruleset(hosted: HostedRouter, inner: str | None, own: str | None) -> str:
    """What is done in the router's namespace.

    `inner`: the name of its link to the outside; `own`: the IPv4 address that stands for all behind it out there.
    """
    return _table(INSIDE_TABLE, [*_forwarded(hosted, inner), *_led_in(hosted), *_led_out(hosted, inner, own)])


def host_table(router_id: str) -> str:
    """The name of the router's table on its host."""
    return f"slipway-{router_id}"


def host_ruleset(hosted: HostedRouter, link: HostLink, device: str) -> str:
    """What is done on the host whose uplink the router uses: to what comes and goes at `device` and nothing else."""
    floating = floating_addresses(hosted)
    own = _braced([link.router, *floating])
    led = f" ip daddr != {_braced(floating)}" if floating else ""
    return _table(
        host_table(hosted.router.id),
        [
            # The host's own services are not for guests.
            _chain(
                "host",
                "type filter hook input priority 0",
                f'iifname "{device}" ct state established,related accept',
                f'iifname "{device}" drop',
            ),
            _chain(
                "pass",
                "type filter hook forward priority 0",
                f'iifname "{device}" ip saddr != {own} drop',
                f'iifname "{device}" meta nfproto != ipv4 drop',
                f'oifname "{device}" ct state established,related accept',
                # The router itself is nobody's but its host's.
                f'oifname "{device}"{led} drop',
            ),
            _chain(
                "leave",
                "type nat hook postrouting priority 100",
                # Not what bridges show to the IP layer (br_netfilter), which goes from guest to guest.
                f'iifname "{device}" ip saddr {own} masquerade',
            ),
        ],
    )


def gone(table: str) -> str:
    """What takes the table away, whether or not it is there."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def floating_addresses(hosted: HostedRouter) -> list[str]:
    """The floating IPs that lead anywhere."""
    return [one.floating_ip_address for one in hosted.floating_ips if one.fixed_ip_address or one.port_forwardings]


def _forwarded(hosted: HostedRouter, inner: str | None) -> Iterator[str]:
    rules = ["fib saddr . iif oif missing drop", "ip daddr 169.254.0.0/16 drop"]
    gateway = hosted.router.external_gateway_info
    if inner is not None and gateway is not None and gateway.enable_snat:
        rules += [
            f'iifname "{inner}" ct state established,related accept',
            f'iifname "{inner}" meta nfproto ipv4 ct status dnat accept',
            f'iifname "{inner}" meta nfproto ipv4 drop',
        ]
    yield _chain("pass", "type filter hook forward priority 0", *rules)


def _led_in(hosted: HostedRouter) -> Iterator[str]:
    rules = []
    for one in hosted.floating_ips:
        if one.fixed_ip_address:
            rules.append(f"ip daddr {one.floating_ip_address} dnat ip to {one.fixed_ip_address}")
        rules += [f"ip daddr {one.floating_ip_address} {_forwarding(each)}" for each in one.port_forwardings]
    yield _chain("lead-in", "type nat hook prerouting priority -100", *rules)


def _forwarding(one: PortForwarding) -> str:
    (first, last), (inner_first, inner_last) = _ports(one.external_port_range), _ports(one.internal_port_range)
    port = f"{one.protocol} dport"
    seen = f"{port} {first}-{last}" if last > first else f"{port} {first}"
    if first == last:
        return f"{seen} dnat ip to {one.internal_ip_address}:{inner_first}"
    if (first, last) == (inner_first, inner_last):
        return f"{seen} dnat ip to {one.internal_ip_address}"
    # nftables would take any port of a range.
    pairs = zip(range(first, last + 1), range(inner_first, inner_last + 1), strict=True)
    led = _braced(f"{outer} : {inner}" for outer, inner in pairs)
    return f"{seen} dnat ip to {one.internal_ip_address} : {port} map {led}"


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    return int(first), int(last or first)


def _led_out(hosted: HostedRouter, inner: str | None, own: str | None) -> Iterator[str]:
    rules = []
    if inner is not None:
        rules += [
            f'oifname "{inner}" ip saddr {one.fixed_ip_address} snat ip to {one.floating_ip_address}'
            for one in hosted.floating_ips
            if one.fixed_ip_address
        ]
    gateway = hosted.router.external_gateway_info
    if own is not None and gateway is not None:
        if networks := [str(net) for net in _behind(hosted) if net.version == 4]:
            # Else a neighbour that is reached by its floating IP would answer straight, from another address.
            rules.append(f'oifname "qr-*" ip saddr {_braced(networks)} ct status dnat snat ip to {own}')
        if gateway.enable_snat:
            rules.append(f'oifname "{inner}" meta nfproto ipv4 snat ip to {own}')
    yield _chain("lead-out", "type nat hook postrouting priority 100", *rules)


def _behind(hosted: HostedRouter) -> Sequence[IPv4Network | IPv6Network]:
    networks = {ip_network(subnet.cidr) for leg in hosted.inside for subnet in leg.subnets}
    return sorted(networks, key=str)


def _table(name: str, chains: Iterable[str]) -> str:
    body = "\n".join(chains)
    return f"{gone(name)}table inet {name} {{\n{body}\n}}\n"


def _chain(name: str, hook: str, *rules: str) -> str:
    return "\n".join((f"chain {name} {{", f"{hook}; policy accept;", *rules, "}"))


def _braced(elements: Iterable[str]) -> str:
    return f"{{ {', '.join(elements)} }}"

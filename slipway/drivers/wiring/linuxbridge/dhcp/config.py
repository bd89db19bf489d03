"""What dnsmasq is told and what it writes, as text: its configuration, made anew from all that it serves; its leases.

All is in one file that dnsmasq reads as root before it becomes another user, so that no file need be open to that user.
"""

from __future__ import annotations

import grp
import pwd
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from msgspec import Struct
from msgspec.structs import replace

from slipway.drivers.dhcp_options import check_form
from slipway.drivers.wiring.linuxbridge.dhcp import names
from slipway.errors import WiringError
from slipway.model.machine import Lease, Vif
from slipway.model.network import DhcpOption, Port, Subnet
from slipway.model.routes import is_off_link, other_routes, way_out

LEASE_SECONDS = 86400
"""Neutron's dhcp_lease_duration."""

_LONGEST_LINE = 1000
"""dnsmasq reads 1024 bytes at a time and would take the rest of a longer line for a line of its own."""

_MOST_OFF_LINK = 6
"""How many next hops outside their subnet are said to be on the link: with 20 routes more would not go into an option's
255 octets, nor into a line."""

IPV6_MTU = 1280
"""The least that IPv6 takes."""

_DEFAULT_USERS = ("dnsmasq", "nobody")


class Served(Struct, frozen=True):
    """Whom a network's server serves, the one who came last at the end, and the server's own port."""

    server: Port
    vifs: tuple[Vif, ...] = ()

    def with_vif(self, vif: Vif, server: Port) -> Served:
        """The VIF in place of an entry of its port; as it is, where that says the same.

        Raises `WiringError` where another port has an address of it.
        """
        if server == self.server and vif in self.vifs:
            return self
        return Served(server, _distinct((*self.without(vif.port_id).vifs, vif)))

    def refreshed(self, vifs: Sequence[Vif], server: Port) -> Served:
        """The VIFs in place of the entries that there are of their ports. Raises as `with_vif`."""
        now = {vif.port_id: vif for vif in vifs}
        return Served(server, _distinct(tuple(now.get(vif.port_id, vif) for vif in self.vifs)))

    def without(self, port_id: str) -> Served:
        """No entry for the port."""
        return replace(self, vifs=tuple(vif for vif in self.vifs if vif.port_id != port_id))

    def find(self, port_id: str) -> Vif | None:
        """The port's entry."""
        return next((vif for vif in self.vifs if vif.port_id == port_id), None)

    @property
    def subnets(self) -> tuple[Subnet, ...]:
        """The subnets in which addresses are handed out or advertised, each as the VIF that came last has it."""
        found = {subnet.id: subnet for vif in self.vifs for subnet in vif.subnets}
        return tuple(subnet for subnet in found.values() if subnet.enable_dhcp and _mode(subnet))

    @property
    def idle(self) -> bool:
        """Whether there is nothing to hand out or advertise by now."""
        return not self.subnets

    @property
    def mtu(self) -> int:
        """The network's, in bytes."""
        return self.vifs[-1].mtu

    def server_addresses(self) -> tuple[str, ...]:
        """The server's own addresses with their prefix lengths. Raises `WiringError` where it has none in a subnet."""
        own = {ip.subnet_id: ip.ip_address for ip in self.server.fixed_ips}
        for subnet in self.subnets:
            if subnet.id not in own:
                raise WiringError(f"the DHCP server's port {self.server.id} has no address in subnet {subnet.id}")
        return tuple(f"{own[subnet.id]}/{ip_network(subnet.cidr).prefixlen}" for subnet in self.subnets)

    def host_addresses(self) -> tuple[str, ...]:
        """The host's own addresses on the network with their prefix lengths, in subnets of those who are served."""
        if not self.vifs or (port := self.vifs[-1].host_port) is None:
            return ()
        lengths = {subnet.id: ip_network(subnet.cidr).prefixlen for vif in self.vifs for subnet in vif.subnets}
        return tuple(f"{ip.ip_address}/{lengths[ip.subnet_id]}" for ip in port.fixed_ips if ip.subnet_id in lengths)


def _distinct(vifs: tuple[Vif, ...]) -> tuple[Vif, ...]:
    """The VIFs, if each address is of one: else dnsmasq would not start, and nobody be served."""
    taken: dict[str, str] = {}
    for vif in vifs:
        for ip in vif.fixed_ips:
            if taken.setdefault(ip.ip_address, vif.port_id) != vif.port_id:
                raise WiringError(f"{ip.ip_address} is served to port {taken[ip.ip_address]} already")
    return vifs


def configuration(served: Served, interface: str) -> str:
    """The text of dnsmasq's configuration file; its first line says how the server's link is to be set up.

    Raises `WiringError` for what cannot be said in it.
    """
    try:
        lines = [*_server(served, interface), *names.lines(served.vifs)]
        for subnet in served.subnets:
            lines += _subnet(subnet, served)
        handed_out = {subnet.id for subnet in served.subnets if _mode(subnet) == "static"}
        for vif in served.vifs:
            lines += _host(vif, handed_out)
        return _text(lines)
    except ValueError as error:
        raise WiringError(f"dnsmasq cannot be told: {error}") from error


def options_alone(options: Sequence[DhcpOption]) -> str:
    """The text of a configuration with nothing but a port's options. Raises `ValueError` for what cannot be said."""
    return _text([f"dhcp-option=tag:port,{_option(option)}" for option in options])


def _text(lines: Sequence[str]) -> str:
    for line in lines:
        if not line.isprintable() or len(line.encode()) > _LONGEST_LINE:
            raise ValueError(f"so much, or such characters, in one line: {line[:80]!r}...")
    return "".join(f"{line}\n" for line in lines)


def read_leases(text: str, served: Served) -> tuple[Lease, ...]:
    """The leases of those who are served, in dnsmasq's lease file."""
    owners = {ip_address(ip.ip_address): vif.port_id for vif in served.vifs for ip in vif.fixed_ips}
    found = []
    for words in map(str.split, text.splitlines()):
        # time, MAC or IAID, address, name, client; or "duid" and the server's own.
        if len(words) == 5 and words[0].isdecimal():
            port = owners.get(ip_address(words[2]))
            if port is not None:
                found.append(Lease(port, words[2], datetime.fromtimestamp(int(words[0]), UTC)))
    return tuple(found)


def _server(served: Served, interface: str) -> Iterator[str]:
    yield f"# {interface} {served.server.mac_address} mtu {served.mtu} {' '.join(served.server_addresses())}"
    yield "no-ping"
    yield "bind-interfaces"
    yield f"interface={interface}"
    yield "except-interface=lo"
    # No lease for an unknown MAC, and no names, which guests choose as they like.
    yield "dhcp-ignore=tag:!known"
    yield "dhcp-ignore-names"
    yield "dhcp-authoritative"
    yield "dhcp-lease-max=1000000"
    yield from ("quiet-dhcp", "quiet-dhcp6", "quiet-ra")
    yield from user()
    if any(subnet.ipv6_ra_mode == "dhcpv6-stateful" for subnet in served.subnets):
        yield "enable-ra"
    # It is no router: advertised are prefixes, not itself as the way out. dnsmasq takes no MTU that IPv6 cannot have.
    mtu = f"mtu:{served.mtu}," if served.mtu >= IPV6_MTU else ""
    yield f"ra-param={interface},{mtu}600,0"


def user() -> Iterator[str]:
    """Who it is, by its configuration."""
    if name := user_name():
        yield f"user={name}"
        yield f"group={grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name}"


def user_name() -> str:
    """It reads what guests send, so it is not root; without a user of its own, it is the one that may do nothing.

    "": there is none of them.
    """
    for name in _DEFAULT_USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return ""


def _subnet(subnet: Subnet, served: Served) -> Iterator[str]:
    network = ip_network(subnet.cidr)
    tag = f"subnet-{_id(subnet.id)}"
    lead = f"dhcp-option=tag:{tag}"
    servers = names.servers(subnet, served.server)
    # Where others are named, plain names are for them: they are not told of a domain that they do not know.
    domain = "" if subnet.dns_nameservers else names.checked(served.vifs[-1].domain)
    first = network.network_address.compressed
    if network.version == 6:
        yield f"dhcp-range=set:{tag},{first},{_mode(subnet)},{network.prefixlen},{LEASE_SECONDS}s"
        # Without a value: dnsmasq would otherwise name itself.
        yield ",".join((f"{lead},option6:dns-server", *(f"[{server}]" for server in servers)))
        if domain:
            yield f"{lead},option6:domain-search,{domain}"
        return
    yield f"dhcp-range=set:{tag},{first},static,{network.netmask},{LEASE_SECONDS}s"
    gateway = way_out(subnet)
    yield f"{lead},option:router{f',{gateway}' if gateway else ''}"
    yield ",".join((f"{lead},option:dns-server", *servers))
    if domain:
        yield f"{lead},option:domain-name,{domain}"
    yield f"{lead},option:mtu,{served.mtu}"
    yield from _routes(subnet, lead, gateway)


def _routes(subnet: Subnet, lead: str, gateway: str | None) -> Iterator[str]:
    """The subnet's routes, with that to everywhere by the gateway, if there is one."""
    routes = [(route.destination, route.nexthop) for route in other_routes(subnet)]
    hops = dict.fromkeys([*([gateway] if gateway else ()), *(nexthop for _, nexthop in routes)])
    # RFC 3442: a next hop of 0.0.0.0 is the link itself.
    routes = [(f"{hop}/32", "0.0.0.0") for hop in hops if is_off_link(subnet, hop)][:_MOST_OFF_LINK] + routes
    if routes and gateway:
        # RFC 3442: a client that is given routes ignores the router.
        routes.append(("0.0.0.0/0", gateway))
    if routes:
        text = ",".join(f"{destination},{nexthop}" for destination, nexthop in routes)
        yield f"{lead},option:classless-static-route,{text}"
        yield f"{lead},249,{text}"


def _mode(subnet: Subnet) -> str | None:
    """How dnsmasq is to serve the subnet. None: another router advertises it, and there is nothing else to do."""
    if subnet.ip_version == 4 or subnet.ipv6_ra_mode == "dhcpv6-stateful":
        return "static"
    if subnet.ipv6_ra_mode is not None:
        return {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless"}[subnet.ipv6_ra_mode]
    return None if subnet.ipv6_address_mode == "slaac" else "static"


def _host(vif: Vif, handed_out: set[str]) -> Iterator[str]:
    tag = f"port-{_id(vif.port_id)}"
    if not re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", vif.mac_address):
        raise ValueError(f"{vif.mac_address!r} is no MAC address")
    addresses = [ip_address(ip.ip_address) for ip in vif.fixed_ips if ip.subnet_id in handed_out]
    v6 = [f"[{address.compressed}]" for address in addresses if address.version == 6]
    v4 = [address.compressed for address in addresses if address.version == 4]
    yield ",".join((f"dhcp-host={vif.mac_address},set:{tag}", *v4[:1], *v6))
    for address in v4[1:]:
        yield f"dhcp-host={vif.mac_address},set:{tag},{address}"
    # After those of the subnets, for the last one counts.
    if any(option.opt_name in ("router", "3") and not option.opt_value for option in vif.dhcp_options):
        for subnet in vif.subnets:
            if subnet.ip_version == 4 and subnet.id in handed_out:
                yield from _no_way_out(subnet, f"dhcp-option=tag:{tag}")
    for option in vif.dhcp_options:
        yield f"dhcp-option=tag:{tag},{_option(option)}"


def _no_way_out(subnet: Subnet, lead: str) -> Iterator[str]:
    """To a port that is told of no router: the subnet's routes but for a default one; none, where that is all."""
    routes = [*_routes(subnet, lead, None)]
    yield from routes or (f"{lead},option:classless-static-route", f"{lead},249")


def _option(option: DhcpOption) -> str:
    """The option by name or number; its value may be a list with commas, as in Neutron, and can be nothing else."""
    check_form(option)
    prefix = "option6:" if option.ip_version == 6 else "" if option.opt_name.isdecimal() else "option:"
    return f"{prefix}{option.opt_name}{',' if option.opt_value else ''}{option.opt_value}"


def _id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", text):
        raise ValueError(f"{text!r} is no id")
    return text


def addresses_of(vifs: Sequence[Vif]) -> set[tuple[str, str]]:
    """Each address with the MAC that it belongs to."""
    return {(ip_address(ip.ip_address).compressed, vif.mac_address) for vif in vifs for ip in vif.fixed_ips}

"""What a network's dnsmasq says of names: those of the guests that it serves, and whom it asks for all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from itertools import zip_longest

from slipway.drivers.wiring.linuxbridge.dhcp.relay import ADDRESS, PORT
from slipway.model.hostname import is_dns_name
from slipway.model.machine import Vif
from slipway.model.network import Port, Subnet

_NONE = ("0.0.0.0", "::")
"""As a subnet's only name server: its guests are told of none (Neutron)."""


def forwards(vifs: Sequence[Vif]) -> bool:
    """Whether the network's guests reach the outside, so that its names are for them."""
    return any(vif.reaches_out for vif in vifs)


def lines(vifs: Sequence[Vif]) -> Iterator[str]:
    """The lines of its configuration. Raises `ValueError` for what is no name."""
    yield from ("no-resolv", "no-hosts", "domain-needed", "bogus-priv")
    if forwards(vifs):
        yield f"server={ADDRESS}#{PORT}"
    # Said to be known here, with all that is below: nobody else is asked what else there is of a name, as an IPv6
    # address, or of names in a domain that nobody else can know. Plain names are asked from nobody in any case, and
    # below one that somebody has called `org` there is much that is not his.
    known = dict.fromkeys(checked(name) for vif in vifs for name in vif.names)
    domains = () if forwards(vifs) else [checked(vif.domain) for vif in vifs if vif.domain]
    yield from (f"local=/{name}/" for name in dict.fromkeys([*(name for name in known if "." in name), *domains]))
    for vif in vifs:
        if vif.names:
            addresses = [ip_address(ip.ip_address) for ip in vif.fixed_ips]
            v4 = [each.compressed for each in addresses if each.version == 4]
            v6 = [each.compressed for each in addresses if each.version == 6]
            for pair in zip_longest(v4, v6):
                yield ",".join(("host-record=" + ",".join(vif.names), *filter(None, pair)))


def servers(subnet: Subnet, server: Port) -> Sequence[str]:
    """Whom the subnet's guests are to ask for names: whom it names, else this server (Neutron)."""
    if len(subnet.dns_nameservers) == 1 and subnet.dns_nameservers[0] in _NONE:
        return ()
    own = tuple(ip.ip_address for ip in server.fixed_ips if ip.subnet_id == subnet.id)
    found = [ip_address(each) for each in subnet.dns_nameservers or own]
    return [each.compressed for each in found if each.version == subnet.ip_version]


def checked(name: str) -> str:
    """The name, if it is one. Raises `ValueError`."""
    if name and not is_dns_name(name):
        raise ValueError(f"{name!r} is no name of DNS")
    return name

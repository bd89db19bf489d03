"""What makes sense in a subnet, in the order in which Neutron finds fault with it.

All functions work on checked attributes: `cidr` a network of the standard library, addresses as its address objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from slipway import errors
from slipway.drivers.network.embedded.addressing.addresses import Range
from slipway.drivers.network.embedded.common.checks import IpNetwork
from slipway.drivers.network.embedded.common.resource import UNSET
from slipway.drivers.network.embedded.common.tables import IpAddress
from slipway.model.neutron import AUTO_ADDRESS_MODES

MAX_DNS_NAMESERVERS = 5
MAX_HOST_ROUTES = 20
MIN_MTU = {4: 68, 6: 1280}


def is_auto_address(ra_mode: str | None, address_mode: str | None) -> bool:
    """Whether addresses come from the MAC (SLAAC and DHCPv6-stateless), not from the pools."""
    return ra_mode in AUTO_ADDRESS_MODES or address_mode in AUTO_ADDRESS_MODES


def check(
    values: Mapping[str, Any],
    version: int,
    cidr: IpNetwork,
    *,
    dhcp_was_on: bool = False,
    check_gateway: Callable[[], None] = lambda: None,
) -> None:
    """The checks that need nothing but the subnet's own attributes; those not in `values` are not looked at.

    `check_gateway` is called where it is the turn of what else there may be against the gateway.

    Raises `InvalidInput`, `DNSNameServersExhausted`, `HostRoutesExhausted`.
    """
    _check_version(version, cidr.version, cidr, "cidr")
    if version == 6 and int(cidr.network_address) == 0:
        raise errors.InvalidInput(f"cidr: {cidr} is not supported")
    if values.get("enable_dhcp") and not dhcp_was_on:
        _check_dhcp(version, cidr)
    _check_gateway(values, version, cidr)
    check_gateway()
    _check_nameservers(values.get("dns_nameservers") or (), version)
    _check_host_routes(values.get("host_routes") or (), version)


def _check_version(version: int, found: int, value: object, name: str) -> None:
    if found != version:
        raise errors.InvalidInput(f"{name}: {value} does not match the ip_version {version}")


def _check_dhcp(version: int, cidr: IpNetwork) -> None:
    if cidr.prefixlen > cidr.max_prefixlen - 2:
        raise errors.InvalidInput(f"cidr: {cidr} is too small for DHCP; set enable_dhcp to false")
    if cidr.network_address.is_multicast:
        raise errors.InvalidInput(f"cidr: {cidr} is a multicast range, where DHCP cannot be enabled")
    if cidr.network_address.is_loopback:
        raise errors.InvalidInput(f"cidr: {cidr} is a loopback range, where DHCP cannot be enabled")
    if version == 4 and int(cidr.network_address) == 0:
        raise errors.InvalidInput(f"cidr: {cidr} begins with 0.0.0.0, where DHCP cannot be enabled")


def is_end(address: IpAddress, cidr: IpNetwork) -> bool:
    """Whether it is the network or the broadcast address of an IPv4 network; /31 and /32 count too (Neutron)."""
    return cidr.version == 4 and address in (cidr.network_address, cidr.broadcast_address)


def _check_gateway(values: Mapping[str, Any], version: int, cidr: IpNetwork) -> None:
    gateway = values.get("gateway_ip")
    if not gateway:
        return
    _check_version(version, gateway.version, gateway, "gateway_ip")
    if is_end(gateway, cidr):
        raise errors.InvalidInput(f"gateway_ip: {gateway} is the network or broadcast address of {cidr}")


def _check_nameservers(servers: Sequence[IpAddress], version: int) -> None:
    if len(servers) > MAX_DNS_NAMESERVERS:
        raise errors.DNSNameServersExhausted(
            f"dns_nameservers: {len(servers)} are too many, {MAX_DNS_NAMESERVERS} are allowed"
        )
    for server in servers:
        _check_version(version, server.version, server, "dns_nameservers")


def _check_host_routes(routes: Sequence[tuple[IpNetwork, IpAddress]], version: int) -> None:
    if len(routes) > MAX_HOST_ROUTES:
        raise errors.HostRoutesExhausted(f"host_routes: {len(routes)} are too many, {MAX_HOST_ROUTES} are allowed")
    for destination, nexthop in routes:
        _check_version(version, nexthop.version, nexthop, "host_routes")
        _check_version(version, destination.version, destination, "host_routes")


def check_modes(values: Mapping[str, Any], version: int, cidr: IpNetwork) -> None:
    """How IPv6 addresses come about. Raises `InvalidInput`."""
    ra_mode, address_mode = values["ipv6_ra_mode"], values["ipv6_address_mode"]
    for name in ("ipv6_ra_mode", "ipv6_address_mode"):
        if values[name] and version == 4:
            raise errors.InvalidInput(f"{name}: is not valid where ip_version is 4")
        if values[name] and not values["enable_dhcp"]:
            raise errors.InvalidInput(f"{name}: cannot be set where enable_dhcp is false")
    if ra_mode and address_mode and ra_mode != address_mode:
        raise errors.InvalidInput(f"ipv6_ra_mode {ra_mode} and ipv6_address_mode {address_mode} must be the same")
    if is_auto_address(ra_mode, address_mode) and cidr.prefixlen != 64:
        raise errors.InvalidInput(f"cidr: {cidr}: addresses that are made from the MAC (EUI-64) need a /64")


def check_mtu(network: str, mtu: int, version: int) -> None:
    """Raises `NetworkMTUSubnetConflict` where the network's MTU is below what the IP version needs."""
    if mtu < MIN_MTU[version]:
        raise errors.NetworkMTUSubnetConflict(
            f"network {network}: MTU {mtu} is below {MIN_MTU[version]}, which IPv{version} needs"
        )


def choose_gateway(wanted: Any, cidr: IpNetwork) -> IpAddress | None:
    """The gateway: as asked for, or the first address (IPv6: of all, IPv4: after the network's own).

    Neutron gives a /32 a gateway outside itself; ours has none. Raises `IpamValueInvalid` for a /31.
    """
    if wanted is not UNSET:
        gateway: IpAddress | None = wanted
        return gateway
    if cidr.version == 6:
        return cidr.network_address
    if cidr.num_addresses == 1:
        return None
    first = cidr.network_address + 1
    if is_end(first, cidr):
        raise errors.IpamValueInvalid(f"gateway_ip: {first} would be the broadcast address of {cidr}; give null")
    return first


def usable(cidr: IpNetwork) -> Range:
    """All addresses that may be in a pool: not the network's and broadcast address of IPv4, nor IPv6's anycast one."""
    first, last = cidr.network_address, cidr.broadcast_address
    if cidr.version == 6:
        return Range(first + 1 if first != last else first, last)
    return Range(first + 1, last - 1) if cidr.prefixlen <= 30 else Range(first, last)


def choose_pools(wanted: Sequence[Range], cidr: IpNetwork, gateway: IpAddress | None) -> list[Range]:
    """The pools that were asked for, without the gateway, or all usable addresses but the gateway."""
    if wanted:
        check_gateway_outside(gateway, wanted)
        return list(wanted)
    whole = usable(cidr)
    if gateway is None or gateway not in whole or whole.first == whole.last:
        return [whole]
    pools = []
    if gateway != whole.first:
        pools.append(Range(whole.first, gateway - 1))
    if gateway != whole.last:
        pools.append(Range(gateway + 1, whole.last))
    return pools


def check_pools(pools: Sequence[Range], cidr: IpNetwork) -> None:
    """Raises `InvalidAllocationPool`, `OutOfBoundsAllocationPool`, `OverlappingAllocationPools`."""
    whole = usable(cidr)
    for pool in pools:
        if pool.first.version != pool.last.version or int(pool.first) > int(pool.last):
            raise errors.InvalidAllocationPool(f"allocation_pools: {pool.first}-{pool.last} ends before it begins")
    for pool in pools:
        if pool.first.version != cidr.version:
            raise errors.InvalidAllocationPool(f"allocation_pools: {pool.first}-{pool.last} is not a pool of {cidr}")
        if pool.first not in whole or pool.last not in whole:
            raise errors.OutOfBoundsAllocationPool(f"allocation_pools: {pool.first}-{pool.last} reaches beyond {cidr}")
    for before, after in pairwise(sorted(pools, key=lambda pool: int(pool.first))):
        if before.overlaps(after):
            raise errors.OverlappingAllocationPools(
                f"allocation_pools: {before.first}-{before.last} and {after.first}-{after.last} overlap"
            )


def check_gateway_outside(gateway: IpAddress | None, pools: Iterable[Range]) -> None:
    """Raises `GatewayConflictWithAllocationPools` when the gateway lies in a pool."""
    for pool in pools:
        if gateway is not None and gateway in pool:
            raise errors.GatewayConflictWithAllocationPools(
                f"gateway_ip: {gateway} lies in the allocation pool {pool.first}-{pool.last}"
            )


def check_overlap(cidr: IpNetwork, network_id: str, others: Iterable[IpNetwork]) -> None:
    """Raises `InvalidInput` for a prefix length of 0, and where another subnet of the network has an address of it."""
    if cidr.prefixlen == 0:
        raise errors.InvalidInput(f"cidr: {cidr} has a prefix length of 0")
    for other in others:
        if cidr.version == other.version and cidr.overlaps(other):
            raise errors.InvalidInput(f"cidr: {cidr} overlaps with another subnet of network {network_id}")

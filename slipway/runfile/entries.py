"""What a run file says, where `slipway.model` has no word for it."""

from pathlib import Path
from typing import Annotated

from msgspec import Struct

from slipway.model.limits import Address, Between, Cidr, Distinct, DnsName, Mac, Name, OneOf, Text
from slipway.model.network import AllocationPool, HostRoute
from slipway.model.neutron import PROTOCOLS_WITH_PORTS
from slipway.model.record import Stack
from slipway.model.request import Host, InstanceRequest
from slipway.model.routing import Route
from slipway.settings import Settings

DEFAULT_WORKFLOW = "build-instance"
"""The workflow that instances are built by where nothing else is said."""

DEFAULT_GATEWAY = "default"
"""The gateway of a subnet about which the file says nothing: the network driver chooses it."""


class SubnetEntry(Struct, frozen=True):
    """A subnet. `gateway_ip` None: none; `DEFAULT_GATEWAY`: left to the driver. No `pools`: all but the gateway."""

    name: Name
    cidr: Cidr
    gateway_ip: Text | None = DEFAULT_GATEWAY
    pools: tuple[AllocationPool, ...] = ()
    dns: Annotated[tuple[Address, ...], Distinct()] = ()
    ipv6_ra_mode: Text | None = None
    ipv6_address_mode: Text | None = None
    enable_dhcp: bool = True
    host_routes: tuple[HostRoute, ...] = ()

    @property
    def ip_version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.cidr else 4


class PortEntry(Struct, frozen=True):
    """A port made beforehand. `security_groups` (names or ids) None: the project's group `default`."""

    name: Name
    fixed_ip: Address | None = None
    mac_address: Mac | None = None
    dns_name: DnsName | None = None
    security_groups: Annotated[tuple[Text, ...], Distinct()] | None = None


class NetworkEntry(Struct, frozen=True):
    """A network with its subnets and the ports made beforehand."""

    name: Name
    mtu: Annotated[int, Between(68, 65535)] = 1500
    shared: bool = False
    external: bool = False
    port_security_enabled: bool = True
    dns_domain: DnsName | None = None
    host_address: bool = False
    provider_network_type: Annotated[str, OneOf(("local", "flat", "vlan", "vxlan"))] | None = None
    provider_physical_network: Text | None = None
    provider_segmentation_id: Annotated[int, Between(1, 16777215)] | None = None
    subnets: tuple[SubnetEntry, ...] = ()
    ports: tuple[PortEntry, ...] = ()


class RouterEntry(Struct, frozen=True):
    """A router, with the names or ids of the subnets that it leads to. No `external_network`: no gateway."""

    name: Name
    external_network: Text | None = None
    snat: bool = True
    external_ips: Annotated[tuple[Address, ...], Distinct()] = ()
    subnets: Annotated[tuple[Text, ...], Distinct()] = ()
    routes: tuple[Route, ...] = ()


class ForwardEntry(Struct, frozen=True):
    """Ports of a floating IP (first and last) that lead to a port's. No `fixed_ip`: its only address of IPv4."""

    port: Text
    external: tuple[int, int]
    internal: tuple[int, int]
    protocol: Annotated[str, OneOf(PROTOCOLS_WITH_PORTS)] = "tcp"
    fixed_ip: Address | None = None


class FloatingIpEntry(Struct, frozen=True):
    """An address of an external network. No `address`: any; no `port`: it stands for none.

    `forward`: all that it forwards; None: what it forwards is not the file's.
    """

    name: Name
    network: Text
    address: Address | None = None
    port: Text | None = None
    fixed_ip: Address | None = None
    forward: tuple[ForwardEntry, ...] | None = None


class RuleEntry(Struct, frozen=True):
    """A rule of a security group; attributes as in Neutron's API."""

    direction: Annotated[str, OneOf(("ingress", "egress"))]
    ethertype: Annotated[str, OneOf(("IPv4", "IPv6"))]
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None


class SecurityGroupEntry(Struct, frozen=True):
    """A security group with its rules."""

    name: Name
    rules: tuple[RuleEntry, ...] = ()


class InstanceEntry(Struct, frozen=True):
    """One instance (one of several where the entry has `count`), the names of those built before it, and its place."""

    request: InstanceRequest
    depends_on: Annotated[tuple[Name, ...], Distinct()] = ()
    position: str = ""


class FaultEntry(Struct, frozen=True):
    """What is to go wrong: the `call`th call, from 1, of `at` (`network.create_port`, `commit`), and how."""

    at: str
    call: int = 1
    mode: str = "error"
    error: str = "ComputeError"


class RunFile(Struct, frozen=True):
    """All that a run file says; `workflow` is a known name or the absolute path of a workflow file.

    `name` is that of the stack which it brings about.
    """

    path: Path
    name: Name
    project: Name = "default"
    workflow: Text = DEFAULT_WORKFLOW
    settings: Settings = Settings()
    hosts: tuple[Host, ...] = ()
    networks: tuple[NetworkEntry, ...] = ()
    security_groups: tuple[SecurityGroupEntry, ...] = ()
    routers: tuple[RouterEntry, ...] = ()
    floating_ips: tuple[FloatingIpEntry, ...] = ()
    instances: tuple[InstanceEntry, ...] = ()
    faults: tuple[FaultEntry, ...] = ()

    @property
    def stack(self) -> Stack:
        """What it brings about."""
        return Stack(self.project, self.name)

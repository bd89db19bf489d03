"""Networks, subnets, ports, security groups and quotas, as Neutron shapes them."""

from msgspec import Struct


class Context(Struct, frozen=True):
    """On whose behalf a network call is made. What belongs to another project is not found, but for administrators."""

    project_id: str
    is_admin: bool = False


class FixedIp(Struct, frozen=True):
    """One address of a port."""

    subnet_id: str
    ip_address: str


class AllocationPool(Struct, frozen=True):
    """The first and the last address that may be handed out automatically."""

    start: str
    end: str


class AddressPair(Struct, frozen=True):
    """An address that may be a source on a port besides its own."""

    ip_address: str
    mac_address: str


class DhcpOption(Struct, frozen=True):
    """A DHCP option of a port, by name."""

    opt_name: str
    opt_value: str
    ip_version: int = 4


class Network(Struct, frozen=True):
    """A network; attributes as in Neutron's API, and `host_address`: whether its hosts have an address on it."""

    id: str
    name: str
    project_id: str
    admin_state_up: bool = True
    mtu: int = 1500
    port_security_enabled: bool = True
    shared: bool = False
    router_external: bool = False
    provider_network_type: str | None = None
    provider_physical_network: str | None = None
    provider_segmentation_id: int | None = None
    subnets: tuple[str, ...] = ()
    status: str = "ACTIVE"
    description: str = ""
    dns_domain: str = ""
    host_address: bool = False


class HostRoute(Struct, frozen=True):
    """A route that DHCP hands out."""

    destination: str
    nexthop: str


class Subnet(Struct, frozen=True):
    """A subnet; attributes as in Neutron's API."""

    id: str
    name: str
    network_id: str
    project_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    allocation_pools: tuple[AllocationPool, ...]
    enable_dhcp: bool = True
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[HostRoute, ...] = ()
    service_types: tuple[str, ...] = ()
    description: str = ""


class Port(Struct, frozen=True):
    """A port; attributes as in Neutron's API, `binding:host_id` as `binding_host_id`.

    Profile and VIF details are JSON texts. `revision_number` is that of a Neutron that counts them.
    """

    id: str
    name: str
    network_id: str
    project_id: str
    mac_address: str
    fixed_ips: tuple[FixedIp, ...] = ()
    device_id: str = ""
    device_owner: str = ""
    status: str = "DOWN"
    admin_state_up: bool = True
    security_groups: tuple[str, ...] = ()
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    extra_dhcp_opts: tuple[DhcpOption, ...] = ()
    dns_name: str = ""
    binding_host_id: str = ""
    binding_vif_type: str = "unbound"
    binding_vnic_type: str = "normal"
    binding_profile: str = "{}"
    binding_vif_details: str = "{}"
    description: str = ""
    revision_number: int | None = None


class PortBinding(Struct, frozen=True):
    """A port's binding to a host: the ACTIVE one counts, one that is INACTIVE is ready for when its instance comes.

    Attributes as in Neutron's API; the VIF details are a JSON text.
    """

    host: str
    status: str
    vif_type: str = "unbound"
    vif_details: str = "{}"


class SecurityGroupRule(Struct, frozen=True):
    """A rule of a security group; attributes as in Neutron's API."""

    id: str
    security_group_id: str
    project_id: str
    direction: str
    ethertype: str
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None
    description: str = ""


class SecurityGroup(Struct, frozen=True):
    """A security group with its rules; attributes as in Neutron's API."""

    id: str
    name: str
    project_id: str
    description: str = ""
    rules: tuple[SecurityGroupRule, ...] = ()


class QuotaUse(Struct, frozen=True):
    """How many of each a project has; of `router_route`, which are counted a router, none."""

    network: int = 0
    subnet: int = 0
    port: int = 0
    security_group: int = 0
    security_group_rule: int = 0
    router: int = 0
    floatingip: int = 0
    router_route: int = 0


class Quota(Struct, frozen=True):
    """How many of each a project may have (-1: no limit), and how many it has."""

    project_id: str
    network: int
    subnet: int
    port: int
    security_group: int
    security_group_rule: int
    router: int
    floatingip: int
    router_route: int
    used: QuotaUse = QuotaUse()

"""What a build makes: claims, NICs, disks, domains, and what hypervisors and hosts tell of them."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from slipway.model.network import AddressPair, DhcpOption, FixedIp, Network, Port, Subnet
from slipway.model.request import Image, Volume


class PortRequest(Struct, frozen=True):
    """One NIC, resolved and checked: the network with its subnets, the address, or the port brought along.

    `default_route` false: an NIC before it has the guest's, so that DHCP names no router to this one.
    """

    network: Network
    subnets: tuple[Subnet, ...]
    fixed_ip: str | None = None
    port_id: str | None = None
    security_groups: tuple[str, ...] | None = None
    default_route: bool = True


class Allocation(Struct, frozen=True):
    """What allocate-network found out: the NICs to make, in the order in which they were asked for."""

    requests: tuple[PortRequest, ...]


class VifRequirements(Struct, frozen=True):
    """What a hypervisor dictates for an instance's NICs: these MACs and no others (None: any), DHCP options."""

    macs: tuple[str, ...] | None
    dhcp_options: tuple[DhcpOption, ...]


class Nic(Struct, frozen=True):
    """A port that the instance has, and the request that it answers."""

    port: Port
    request: PortRequest


class Room(Struct, frozen=True):
    """What one instance may take of a host at most; memory and disk in bytes."""

    vcpus: int
    memory: int
    disk: int


class Weights(Struct, frozen=True):
    """What a host was chosen by, the first that differs decides, and the smaller is better.

    `group`: what the policy of the instance's server group says of it, 0 where that is hard or there is none. Shares of
    memory and vCPUs are what is given out, less one: -1.0 where all is free. `name`: of two that are alike.
    """

    group: int
    failed_builds: int
    memory: float
    vcpus: float
    name: str

    @property
    def key(self) -> tuple[int, int, float, float, str]:
        """To sort by."""
        return (self.group, self.failed_builds, self.memory, self.vcpus, self.name)


class Candidate(Struct, frozen=True):
    """A host that fits, as it was when the instance was scheduled."""

    weights: Weights
    free: Room


class Placement(Struct, frozen=True):
    """The hosts that fit, best first: the one to try and its alternates; `seen` is what each was like then."""

    hosts: tuple[str, ...]
    seen: tuple[Candidate, ...] = ()


class Claim(Struct, frozen=True):
    """What an instance takes from a host; memory and disk in bytes."""

    instance_id: str
    host: str
    vcpus: int
    memory: int
    disk: int


class DiskRole(StrEnum):
    """What a disk is for."""

    ROOT = "root"
    DATA = "data"
    SEED = "seed"


class Seed(Struct, frozen=True):
    """The files that cloud-init finds on the seed. User data may bear secrets, and are never on record here.

    `config_drive`: they are OpenStack's (user_data, meta_data.json, network_data.json), not NoCloud's.
    """

    user_data: str
    meta_data: str
    network_config: str
    config_drive: bool = False


class DiskSnapshot(Struct, frozen=True):
    """Which snapshot of a disk, and of whose."""

    instance_id: str
    slot: int
    snapshot: str


class DiskRequest(Struct, frozen=True):
    """One disk to make, size in bytes. What it starts from is an image, or the content of a seed, or nothing.

    With a `volume` nothing is made: the volume is the disk, and has its own size. With a `source` it is a copy of that.

    `clears`: what else is found in its place is renamed, such as a directory; without it that is refused.
    """

    instance_id: str
    slot: int
    role: DiskRole
    size: int
    image: Image | None = None
    seed: Seed | None = None
    volume: Volume | None = None
    source: DiskSnapshot | None = None
    clears: bool = False


class Disk(Struct, frozen=True):
    """A disk that exists: where, in which format, and the guest's name for it. `volume`: it was brought along.

    `direct`: its file system has O_DIRECT, by which a guest's data are not cached by the host as well.
    """

    instance_id: str
    slot: int
    role: DiskRole
    path: str
    format: str
    size: int
    device: str
    volume: bool = False
    direct: bool = True


class Vif(Struct, frozen=True):
    """A NIC of an instance on its host, ready for the domain XML (I2); `devname` is `tap` and 11 of the port id.

    `admin_up` False: the port or its network is administratively down, and no packet is to pass. For who serves it,
    `names`: by which its addresses are known, `domain`: in which plain names are looked for, `reaches_out`: whether its
    network has a way to the outside, `host_port`: the host's own port on that.
    """

    port_id: str
    network_id: str
    network_name: str
    mac_address: str
    devname: str
    bridge: str
    mtu: int
    vif_type: str
    vnic_type: str
    fixed_ips: tuple[FixedIp, ...]
    subnets: tuple[Subnet, ...]
    active: bool
    preserve_on_delete: bool
    network_type: str | None = None
    physical_network: str | None = None
    segmentation_id: int | None = None
    port_security_enabled: bool = True
    security_groups: tuple[str, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    dhcp_options: tuple[DhcpOption, ...] = ()
    admin_up: bool = True
    names: tuple[str, ...] = ()
    domain: str = ""
    reaches_out: bool = False
    host_port: Port | None = None

    @property
    def ends_at_host(self) -> bool:
        """Whether its network ends at its host's bridge: it is of no type, or `local`."""
        return self.network_type in (None, "local")


class Wired(Struct, frozen=True):
    """A tap, a filter or a DHCP entry that is there, by its name; `fault` says what is wrong with it, if anything.

    `of`: whose it is, a tap's instance or the network of a DHCP entry. `joined`: whether a guest has the tap open.
    """

    name: str
    fault: str = ""
    of: str = ""
    joined: bool = True


class Acceleration(StrEnum):
    """How a guest's code is executed, in the words of a domain's type: by the processor (KVM) or by QEMU (TCG)."""

    KVM = "kvm"
    TCG = "qemu"


class Platform(Struct, frozen=True):
    """What a hypervisor lays down for an instance's domain.

    `owner` is the tag by which its driver knows what is ours; `console_log` the absolute path of a file that gets what
    the guest writes to its first serial port. `network_boot`: it boots from the network, whatever its image says.
    `takes_files`: it makes the files of disks its own, unless the domain says that it must not. `news`: what was found
    out of the hypervisor just now that its user is to be told.
    """

    acceleration: Acceleration = Acceleration.TCG
    owner: str = "slipway"
    console_log: str | None = None
    network_boot: bool = False
    takes_files: bool = False
    news: str = ""


class DhcpService(Struct, frozen=True):
    """A NIC, and the port of the DHCP server on its host that is to serve it (None: nobody does)."""

    vif: Vif
    server: Port | None


class Lease(Struct, frozen=True):
    """An address that a guest has got from its network's DHCP server, and until when it is its own."""

    port_id: str
    ip_address: str
    expires_at: datetime


class GuestNic(Struct, frozen=True):
    """A NIC of a guest as the agent in it tells: nobody but the guest vouches for it."""

    mac_address: str
    addresses: tuple[str, ...]


class Domain(Struct, frozen=True):
    """All that a hypervisor needs to make the machine: id, name, size, generation, and the XML that says the rest."""

    instance_id: str
    name: str
    vcpus: int
    memory: int
    generation: int
    xml: str


class PowerState(StrEnum):
    """What a hypervisor says of a domain."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"


ENDED = (PowerState.SHUTDOWN, PowerState.CRASHED)
"""In which a domain does not run."""

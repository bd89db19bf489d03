"""The frozen dataclasses that cross every boundary. Sizes are bytes, times are aware UTC datetimes, addresses are text.

Their fields are plain enough for the one codec of `slipway.states.codec` to store them and give them back as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# --- what the user asks for ---------------------------------------------------------------------------------------


class CpuMode(StrEnum):
    """Which processor a guest sees under KVM: one of libvirt's models that is nearest to the host's, or just that."""

    HOST_MODEL = "host-model"
    HOST_PASSTHROUGH = "host-passthrough"


@dataclass(frozen=True, slots=True)
class Flavor:
    """The size of an instance: vCPUs, memory and root disk in bytes, and what its processor and memory are like.

    `numa_cells`: among how many cells of the guest its vCPUs and memory are divided (0: it sees none). `pin_cpus`: the
    host's CPU for each vCPU, which no other instance is pinned to. `hugepages`: the size of the host's pages in
    bytes that the memory is made of (0: ordinary ones); `shared_memory`: other processes of the host may map it.
    """

    name: str
    vcpus: int
    memory: int
    disk: int
    cpu_mode: CpuMode = CpuMode.HOST_MODEL
    numa_cells: int = 0
    pin_cpus: tuple[int, ...] = ()
    hugepages: int = 0
    shared_memory: bool = False


class Firmware(StrEnum):
    """What a machine starts with."""

    BIOS = "bios"
    UEFI = "uefi"


class Boot(StrEnum):
    """From what a machine boots: its kernel or first disk, or the network, and its first disk after that."""

    DISK = "disk"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Image:
    """What an instance boots: a disk image (`path`, `format`) or a kernel with an initrd. Sizes in bytes.

    `machine`: the type of machine that it needs, as QEMU calls it.
    """

    name: str
    path: str | None = None
    format: str | None = None
    sha256: str | None = None
    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    min_disk: int = 0
    min_memory: int = 0
    size: int = 0
    status: str = "active"
    machine: str = "q35"
    firmware: Firmware = Firmware.BIOS
    boot: Boot = Boot.DISK


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """Instances that are to be kept together or apart; `policy` is one of Nova's four."""

    name: str
    policy: str


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """One NIC as asked for: a network (name or id), with an address if wanted, or a port (name or id) brought along."""

    network: str | None = None
    fixed_ip: str | None = None
    port: str | None = None


@dataclass(frozen=True, slots=True)
class InjectedFile:
    """A file that the guest finds at an absolute path, of root's and with this mode in octal.

    `content` may be secret: the record has it only while the instance is built, and its digest for good.
    """

    path: str
    content: str | None = None
    mode: str = "0644"
    sha256: str | None = None


class Sign(StrEnum):
    """By what a guest is known to be ready."""

    LEASE = "lease"
    MARKER = "marker"
    PING = "ping"
    SSH = "ssh"


@dataclass(frozen=True, slots=True)
class Readiness:
    """One sign that must be seen within so many seconds after the domain runs; `text` is what a marker is."""

    sign: Sign
    within: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A disk that the user brings along: a file in the format "qcow2" or "raw", attached as it is."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class InstanceRequest:
    """All that the user said about one instance. It is stored as it is and never changed by a build.

    `networks` None: nothing was said, so the project's only network is taken; empty: no network at all.
    `user_data` may bear secrets: the record has it only while the instance is built, and its digest for good.
    `ssh_keys` are public keys, each a line as in `authorized_keys`. `disks` has the size in bytes of each further disk,
    or the volume that it is.
    """

    name: str
    project: str
    flavor: Flavor
    image: Image
    networks: tuple[NetworkRequest, ...] | None = None
    security_groups: tuple[str, ...] = ()
    group: ServerGroup | None = None
    user_data: str | None = None
    user_data_sha256: str | None = None
    zone: str | None = None
    host: str | None = None
    disks: tuple[int | Volume, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    idempotency_key: str | None = None
    ssh_keys: tuple[str, ...] = ()
    files: tuple[InjectedFile, ...] = ()
    wait_for: tuple[Readiness, ...] = ()


@dataclass(frozen=True, slots=True)
class Simulation:
    """How a simulated host behaves: seconds a call takes, calls that fail, MACs and DHCP options that it dictates.

    `acpi` false: its guests do not hear when they are asked to shut down.
    """

    delay: float = 0.0
    fail: tuple[str, ...] = ()
    macs: tuple[str, ...] | None = None
    dhcp_options: tuple[tuple[str, str], ...] = ()
    acpi: bool = True


@dataclass(frozen=True, slots=True)
class Host:
    """A hypervisor and what it has in all; the ratios say how often each vCPU and byte may be given out.

    `accel`: "kvm", "tcg", or "auto": KVM where a guest has really booted under it.
    """

    name: str
    vcpus: int
    memory: int
    disk: int
    compute: str = "sim"
    wiring: str = "null"
    disks: str = "sim"
    zone: str = "nova"
    enabled: bool = True
    cpu_ratio: float = 4.0
    memory_ratio: float = 1.0
    disk_ratio: float = 1.0
    uri: str | None = None
    accel: str = "auto"
    netns: str | None = None
    physical_nic: str | None = None
    simulate: Simulation = Simulation()


# --- networks, as Neutron shapes them -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Context:
    """On whose behalf a network call is made. What belongs to another project is not found, but for administrators."""

    project_id: str
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class FixedIp:
    """One address of a port."""

    subnet_id: str
    ip_address: str


@dataclass(frozen=True, slots=True)
class AllocationPool:
    """The first and the last address that may be handed out automatically."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class AddressPair:
    """An address that may be a source on a port besides its own."""

    ip_address: str
    mac_address: str


@dataclass(frozen=True, slots=True)
class DhcpOption:
    """A DHCP option of a port, by name."""

    opt_name: str
    opt_value: str
    ip_version: int = 4


@dataclass(frozen=True, slots=True)
class Network:
    """A network; attributes as in Neutron's API."""

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


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A route that DHCP hands out."""

    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True)
class Subnet:
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


@dataclass(frozen=True, slots=True)
class Port:
    """A port; attributes as in Neutron's API, `binding:host_id` as `binding_host_id`. The profile is JSON text.

    `revision_number` is that of a Neutron that counts them.
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
    description: str = ""
    revision_number: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SecurityGroupRule:
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


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group with its rules; attributes as in Neutron's API."""

    id: str
    name: str
    project_id: str
    description: str = ""
    rules: tuple[SecurityGroupRule, ...] = ()


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """How many of each a project has."""

    network: int = 0
    subnet: int = 0
    port: int = 0
    security_group: int = 0
    security_group_rule: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """How many of each a project may have (-1: no limit), and how many it has."""

    project_id: str
    network: int
    subnet: int
    port: int
    security_group: int
    security_group_rule: int
    used: QuotaUse = QuotaUse()


# --- what a build makes -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PortRequest:
    """One NIC, resolved and checked: the network with its subnets, the address, or the port brought along."""

    network: Network
    subnets: tuple[Subnet, ...]
    fixed_ip: str | None = None
    port_id: str | None = None
    security_groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """What allocate-network found out: the NICs to make, in the order in which they were asked for."""

    requests: tuple[PortRequest, ...]


@dataclass(frozen=True, slots=True)
class VifRequirements:
    """What a hypervisor dictates for an instance's NICs: these MACs and no others (None: any), DHCP options."""

    macs: tuple[str, ...] | None
    dhcp_options: tuple[DhcpOption, ...]


@dataclass(frozen=True, slots=True)
class Nic:
    """A port that the instance has, and the request that it answers."""

    port: Port
    request: PortRequest


@dataclass(frozen=True, slots=True)
class Placement:
    """The hosts that fit, best first: the one to try and its alternates."""

    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
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


@dataclass(frozen=True, slots=True)
class Seed:
    """The files that cloud-init finds on the seed. User data may bear secrets, and are never on record here."""

    user_data: str
    meta_data: str
    network_config: str


@dataclass(frozen=True, slots=True)
class DiskRequest:
    """One disk to make, size in bytes. What it starts from is an image, or the content of a seed, or nothing.

    With a `volume` nothing is made: the volume is the disk, and has its own size.
    """

    instance_id: str
    slot: int
    role: DiskRole
    size: int
    image: Image | None = None
    seed: Seed | None = None
    volume: Volume | None = None


@dataclass(frozen=True, slots=True)
class Disk:
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


@dataclass(frozen=True, slots=True)
class Vif:
    """A NIC of an instance on its host, ready for the domain XML (I2); `devname` is `tap` and 11 of the port id."""

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


@dataclass(frozen=True, slots=True)
class Wired:
    """A tap, a filter or a DHCP entry that is there, by its name; `fault` says what is wrong with it, if anything."""

    name: str
    fault: str = ""


class Acceleration(StrEnum):
    """How a guest's code is executed, in the words of a domain's type: by the processor (KVM) or by QEMU (TCG)."""

    KVM = "kvm"
    TCG = "qemu"


@dataclass(frozen=True, slots=True)
class Platform:
    """What a hypervisor lays down for an instance's domain.

    `owner` is the tag by which its driver knows what is ours; `console_log` the absolute path of a file that gets what
    the guest writes to its first serial port. `network_boot`: it boots from the network, whatever its image says.
    `takes_files`: it makes the files of disks its own, unless the domain says that it must not.
    """

    acceleration: Acceleration = Acceleration.TCG
    owner: str = "slipway"
    console_log: str | None = None
    network_boot: bool = False
    takes_files: bool = False


@dataclass(frozen=True, slots=True)
class DhcpService:
    """A NIC, and the port of the DHCP server on its host that is to serve it (None: nobody does)."""

    vif: Vif
    server: Port | None


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a guest has got from its network's DHCP server, and until when it is its own."""

    port_id: str
    ip_address: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class GuestNic:
    """A NIC of a guest as the agent in it tells: nobody but the guest vouches for it."""

    mac_address: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Domain:
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


# --- what is on record --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a build or a life-cycle step failed: the class and text of the first error, and the step where it was.

    `later` has what went wrong on the hosts that were tried after that, a line an attempt.
    """

    type: str
    message: str
    step: str
    at: datetime
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as it is on record."""

    id: str
    name: str
    project: str
    vm_state: str
    task_state: str | None
    generation: int
    request: InstanceRequest
    host: str | None
    fault: Fault | None
    attempt: int
    created_at: datetime
    workflow: str
    launched_at: datetime | None = None
    addresses: tuple[str, ...] = ()
    access_ipv4: str | None = None
    access_ipv6: str | None = None


class EffectState(StrEnum):
    """Where an effect stands in the ledger."""

    INTENDED = "intended"
    DONE = "done"
    UNDONE = "undone"
    STUCK = "stuck"


class Scope(StrEnum):
    """What an effect belongs to: the instance (kept on a reschedule) or the host (undone before the next one)."""

    INSTANCE = "instance"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of the ledger. `args` is all that an undo needs, `result` what the step gave, both encoded."""

    key: str
    instance_id: str
    attempt: int
    step: str
    slot: int
    kind: str
    scope: Scope
    host: str | None
    state: EffectState
    args: bytes
    result: bytes | None = None
    error: str | None = None
    held_by: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    undone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to an instance: a change of state or an attempt's end."""

    at: datetime
    event: str
    vm_state: str
    task_state: str | None
    detail: str = ""


# --- what is told -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Something that `on_event` is told while it happens.

    `type` is `instance.create.start`, `instance.create.end`, `instance.create.error`, `instance.delete.start`,
    `instance.delete.end`, `instance.delete.error`, `state` (a new phase), `step.start`, `step.end`, `step.error`,
    `step.undo`, or `reschedule`. `power_off`, `power_on` and `reboot` have three each as `create` has.

    `Orchestrator.watch` tells of domains `domain.started`, `domain.paused`, `domain.resumed`, `domain.shutdown`,
    `domain.destroyed` and `domain.crashed`, `state` where the record followed, and of hosts, without an instance,
    `host.heard` and `host.lost`.
    """

    type: str
    at: datetime
    instance_id: str
    name: str
    image: str = ""
    step: str = ""
    slot: int = 0
    host: str | None = None
    vm_state: str = ""
    task_state: str | None = None
    attempt: int = 1
    message: str = ""
    addresses: tuple[str, ...] = field(default=())

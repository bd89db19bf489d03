"""What the user asks for: flavors, images, networks, instances, hosts."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class CpuMode(StrEnum):
    """Which processor a guest sees under KVM: one of libvirt's models that is nearest to the host's, or just that."""

    HOST_MODEL = "host-model"
    HOST_PASSTHROUGH = "host-passthrough"


class Flavor(Struct, frozen=True):
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


class Image(Struct, frozen=True):
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


class ServerGroup(Struct, frozen=True):
    """Instances that are to be kept together or apart; `policy` is one of Nova's four."""

    name: str
    policy: str


class NetworkRequest(Struct, frozen=True):
    """One NIC as asked for: a network (name or id), with an address if wanted, or a port (name or id) brought along."""

    network: str | None = None
    fixed_ip: str | None = None
    port: str | None = None


class InjectedFile(Struct, frozen=True):
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


class Readiness(Struct, frozen=True):
    """One sign that must be seen within so many seconds after the domain runs; `text` is what a marker is."""

    sign: Sign
    within: float
    text: str = ""


class Volume(Struct, frozen=True):
    """A disk that the user brings along: a file in the format "qcow2" or "raw", attached as it is."""

    path: str
    format: str


class InstanceRequest(Struct, frozen=True):
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


class Simulation(Struct, frozen=True):
    """How a simulated host behaves: seconds a call takes, calls that fail, MACs and DHCP options that it dictates.

    `acpi` false: its guests do not hear when they are asked to shut down.
    """

    delay: float = 0.0
    fail: tuple[str, ...] = ()
    macs: tuple[str, ...] | None = None
    dhcp_options: tuple[tuple[str, str], ...] = ()
    acpi: bool = True


class Host(Struct, frozen=True):
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


class Shutdown(Struct, frozen=True):
    """How a guest is stopped: asked, and ended when it still runs after `timeout` seconds; with `force` ended at once.

    `timeout` None: the settings' `shutdown_timeout`.
    """

    force: bool = False
    timeout: float | None = None


GRACEFUL = Shutdown()

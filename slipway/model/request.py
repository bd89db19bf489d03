"""What the user asks for: flavors, images, networks, instances, hosts.

What each attribute may be is said by its type; what several must be together, and that all of it is checked before
anything is on record, is in `slipway.checks`.
"""

from enum import StrEnum
from typing import Annotated, TypeAlias

from msgspec import Struct

from slipway.model.limits import (
    AbsolutePath,
    Address,
    AnyText,
    AtMost,
    Between,
    Distinct,
    GiB,
    Labels,
    Mac,
    Matching,
    MiB,
    Name,
    OneOf,
    Ratio,
    Seconds,
    SecondsOrZero,
    Size,
    SizeOrZero,
    Text,
    Vcpus,
)
from slipway.model.numa import CPUS

DiskFormat: TypeAlias = Annotated[str, OneOf(("qcow2", "raw"))]
Sha256: TypeAlias = Annotated[str, Matching("[0-9A-Fa-f]{64}", "a SHA-256 in 64 hexadecimal digits")]


class CpuMode(StrEnum):
    """Which processor a guest sees under KVM: one of libvirt's models that is nearest to the host's, or just that."""

    HOST_MODEL = "host-model"
    HOST_PASSTHROUGH = "host-passthrough"


class Flavor(Struct, frozen=True):
    """The size of an instance: vCPUs, memory and root disk in bytes, and what its processor and memory are like.

    `numa_cells`: among how many cells of the guest its vCPUs and memory are divided (0: it sees none). `pin_cpus`: the
    host's CPU for each vCPU, which no other instance is pinned to. `hugepages`: the size of the host's pages in
    bytes that the memory is made of (0: ordinary ones); `shared_memory`: other processes of the host may map it.
    `requires`: the labels that its host must have.
    """

    name: Name
    vcpus: Vcpus
    memory: Size
    disk: SizeOrZero
    cpu_mode: CpuMode = CpuMode.HOST_MODEL
    numa_cells: Annotated[int, Between(0, 64)] = 0
    pin_cpus: tuple[Annotated[int, Between(0, 65535)], ...] = ()
    hugepages: Annotated[int, OneOf((0, 2 * MiB, GiB))] = 0
    shared_memory: bool = False
    requires: Labels = ()


class Firmware(StrEnum):
    """What a machine starts with. `UEFI_SECURE`: it starts only what is signed by keys that its vendors know."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_SECURE = "uefi-secure"


class Boot(StrEnum):
    """From what a machine boots: its kernel or first disk, or the network, and its first disk after that.

    `VOLUME`: the first disk is one that is brought along. `CDROM`: the first disk once something is on it, until then
    the instance's CD-ROM, which installs it.
    """

    DISK = "disk"
    NETWORK = "network"
    VOLUME = "volume"
    CDROM = "cdrom"


IMAGE_STATUSES = (
    *("active", "queued", "saving", "importing", "uploading", "deactivated", "killed", "deleted", "pending_delete"),
)
"""As in Glance; only `active` images can be used."""


NAMED_IMAGE = "image:"
"""With what the path of an image begins that is meant by its name, in the machine's cache or the catalogue."""


class Image(Struct, frozen=True):
    """What an instance boots: a disk image (`path`, `format`) or a kernel with an initrd. Sizes in bytes.

    Paths are absolute; `path` may be a file:, http: or https: URL as well, or `image:NAME`: the image of that name in
    the cache of the machine, or in the catalogue.

    `machine`: the type of machine that it needs, as QEMU calls it. `vpn`: its instances are a VPN's ends. `tpm`: they
    have a TPM 2.0.
    """

    name: Name
    path: Text | None = None
    format: DiskFormat | None = None
    sha256: Sha256 | None = None
    kernel: AbsolutePath | None = None
    initrd: AbsolutePath | None = None
    cmdline: Text | None = None
    min_disk: SizeOrZero = 0
    min_memory: SizeOrZero = 0
    size: SizeOrZero = 0
    status: Annotated[str, OneOf(IMAGE_STATUSES)] = "active"
    machine: Annotated[
        str, Matching("[a-z0-9][a-z0-9.-]{0,62}", "a type of machine, such as q35, pc or pc-q35-7.2")
    ] = "q35"
    firmware: Firmware = Firmware.BIOS
    boot: Boot = Boot.DISK
    vpn: bool = False
    tpm: bool = False


class ServerGroup(Struct, frozen=True):
    """Instances that are to be kept together or apart; `policy` is one of Nova's four."""

    name: Name
    policy: Annotated[str, OneOf(("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"))]


class NetworkRequest(Struct, frozen=True):
    """One NIC as asked for: a network (name or id), with an address if wanted, or a port (name or id) brought along."""

    network: Text | None = None
    fixed_ip: Address | None = None
    port: Text | None = None


class InjectedFile(Struct, frozen=True):
    """A file that the guest finds at an absolute path, with this mode in octal.

    `owner` is a user, or a user and a group (`www-data:adm`), that the guest has or is given; None: root.
    `content` may be secret: the record has it only while the instance is built, and its digest for good.
    """

    path: Annotated[str, Matching(r"/([^\0-\x1f]*[^/\0-\x1f])", "the absolute path of a file")]
    content: Annotated[str, AnyText()] | None = None
    mode: Annotated[str, Matching("[0-7]{3,4}", 'a mode in octal, such as "0644"')] = "0644"
    sha256: Sha256 | None = None
    owner: (
        Annotated[str, Matching("[a-z_][a-z0-9_.-]{0,31}(:[a-z_][a-z0-9_.-]{0,31})?", "a user, or user:group")] | None
    ) = None


class Sign(StrEnum):
    """By what a guest is known to be ready."""

    LEASE = "lease"
    MARKER = "marker"
    PING = "ping"
    SSH = "ssh"


class Readiness(Struct, frozen=True):
    """One sign that must be seen within so many seconds after the domain runs; `text` is what a marker is."""

    sign: Sign
    within: Seconds
    text: str = ""


class Volume(Struct, frozen=True):
    """A disk that the user brings along: a file in the format "qcow2" or "raw", attached as it is."""

    path: AbsolutePath
    format: DiskFormat


class Share(Struct, frozen=True):
    """A directory of the host that the guest mounts by this tag: `mount -t virtiofs TAG /mnt`."""

    tag: Annotated[str, Matching("[A-Za-z0-9_][A-Za-z0-9_.-]{0,35}", "a tag of at most 36 letters, digits, _ . or -")]
    path: AbsolutePath


PublicKey: TypeAlias = Annotated[
    str,
    Matching(
        # What may stand before a key is for the guest's sshd: from="10.0.0.0/8",no-pty
        r'(([a-zA-Z0-9@.-]+(="([^"\\\n\r]|\\.)*")?)(,[a-zA-Z0-9@.-]+(="([^"\\\n\r]|\\.)*")?)* )?'
        r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}( [^\n\r]*)?",
        "a public key, a line such as ssh-ed25519 AAAA...",
    ),
]


class InstanceRequest(Struct, frozen=True):
    """All that the user said about one instance. It is stored as it is and never changed by a build.

    `networks` None: nothing was said, so the project's only network is taken; empty: no network at all.
    `user_data` may bear secrets: the record has it only while the instance is built, and its digest for good.
    `ssh_keys` are public keys, each a line as in `authorized_keys`. `disks` has the size in bytes of each further disk,
    or the volume that it is. `autostart`: where its domain has ended by itself, or with its host, it is started again.
    `requires`: labels that its host must have, beside those that its flavor requires. `source`: the id of the instance
    that it is a clone of. `network_config`: what cloud-init is told of its NICs in place of what would be said, as YAML
    of cloud-init's version 1 or 2. `config_drive`: it is told everything in OpenStack's form, not in NoCloud's.
    `cdrom`: an ISO that it has in its CD-ROM drive. `shares`: directories of its host that it may mount, and write.
    """

    name: Name
    flavor: Flavor
    image: Image
    networks: tuple[NetworkRequest, ...] | None = None
    project: Name = "default"
    security_groups: Annotated[tuple[Text, ...], Distinct()] = ()
    group: ServerGroup | None = None
    user_data: Annotated[str, AnyText()] | None = None
    user_data_sha256: Sha256 | None = None
    zone: Text | None = None
    host: Text | None = None
    disks: Annotated[tuple[Size | Volume, ...], AtMost(25)] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    idempotency_key: Text | None = None
    ssh_keys: tuple[PublicKey, ...] = ()
    files: tuple[InjectedFile, ...] = ()
    wait_for: tuple[Readiness, ...] = ()
    autostart: bool = True
    requires: Labels = ()
    source: Text | None = None
    timezone: (
        Annotated[str, Matching("[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}", "a time zone, such as Europe/Berlin")]
        | None
    ) = None
    locale: (
        Annotated[
            str, Matching("[A-Za-z]{1,8}(_[A-Za-z]{2})?(\\.[A-Za-z0-9-]+)?(@[a-z]+)?", "a locale, such as de_DE.UTF-8")
        ]
        | None
    ) = None
    network_config: Annotated[str, AnyText()] | None = None
    config_drive: bool = False
    cdrom: AbsolutePath | None = None
    shares: tuple[Share, ...] = ()


DEFAULT_ZONE = "nova"
"""The availability zone of hosts that name none, as in Nova."""

SIMULATED_CALLS = (
    *("spawn", "destroy", "stop", "start", "power_state", "console_log", "guest_addresses", "list_domains", "watch"),
    "domain_uses",
    *("platform_for_instance", "write_definition", "read_definition", "delete_definition", "list_definitions"),
    *("macs_for_instance",),
    *(
        "dhcp_options_for_instance",
        "capacity",
        "create_disk",
        "check_volume",
        "check_image",
        "copy_disk",
        "grow_disk",
        "delete_disk",
        "list_disks",
        "snapshot_space",
        "create_snapshot",
        "delete_snapshot",
        "list_snapshots",
        "set_aside",
        "restore_disk",
        "put_back",
        "freeze",
        "thaw",
        "pause",
        "resume",
        "obstacles",
        "redefine",
        "reconnect",
        "block_resize",
        "endpoint",
        "unmovable",
        "migrate",
        "end_migration",
        "open_console",
        "open_screen",
        "host_keys",
        "measure",
        "hand_made",
        "forget_hand_made",
    ),
)
"""The calls that a simulated host can be told to fail."""


class Simulation(Struct, frozen=True):
    """How a simulated host behaves: seconds a call takes, calls that fail, MACs and DHCP options that it dictates.

    `acpi` false: its guests do not hear when they are asked to shut down.
    """

    delay: SecondsOrZero = 0.0
    fail: Annotated[tuple[Annotated[str, OneOf(SIMULATED_CALLS)], ...], Distinct()] = ()
    macs: Annotated[tuple[Mac, ...], Distinct()] | None = None
    dhcp_options: tuple[tuple[str, Text], ...] = ()
    acpi: bool = True


class Place(Struct, frozen=True):
    """A state directory on a machine: by its own id, its real path and the machine's id; `name` is for people alone."""

    state_id: str
    directory: str
    machine: str
    name: str


class Host(Struct, frozen=True):
    """A hypervisor and what it has in all; the ratios say how often each vCPU and byte may be given out.

    `accel`: "kvm", "tcg", or "auto": KVM where a guest has really booted under it. `place`: to whom it belongs, who
    alone may act on it; by the record, whatever is said here. `labels`: what flavors and instances may require of it.
    `numa`: the CPUs of each of its NUMA cells, as `0-3,8`; empty: nothing is known of them.
    """

    name: Name
    vcpus: Vcpus
    memory: Size
    disk: Size
    compute: Text = "sim"
    wiring: Text = "null"
    disks: Text = "sim"
    zone: Name = DEFAULT_ZONE
    enabled: bool = True
    cpu_ratio: Ratio = 4.0
    memory_ratio: Ratio = 1.0
    disk_ratio: Ratio = 1.0
    uri: Text | None = None
    accel: Annotated[str, OneOf(("auto", "kvm", "tcg"))] = "auto"
    netns: Annotated[str, Matching("[^/]+", "the name of a network namespace")] | None = None
    physical_nic: Annotated[str, Matching(r"[^/\s:]{1,15}", "the name of a NIC, at most 15 characters")] | None = None
    simulate: Simulation = Simulation()
    labels: Labels = ()
    numa: tuple[Annotated[str, Matching(CPUS, "CPUs, such as 0-3,8")], ...] = ()
    place: Place | None = None


class Shutdown(Struct, frozen=True):
    """How a guest is stopped: asked, and ended when it still runs after `timeout` seconds; with `force` ended at once.

    `timeout` None: the settings' `shutdown_timeout`.
    """

    force: bool = False
    timeout: float | None = None


GRACEFUL = Shutdown()

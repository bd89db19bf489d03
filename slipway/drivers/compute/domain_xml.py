"""The libvirt domain XML of an instance; the same for every hypervisor driver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID
from xml.etree import ElementTree

from slipway.drivers.compute.details import NAMESPACE
from slipway.drivers.compute.xmltext import Element
from slipway.errors import ComputeError, InvalidDomainXml, PortBindingFailed
from slipway.model.machine import Acceleration, Disk, DiskRole, Domain, Platform, Vif
from slipway.model.record import Instance
from slipway.model.request import Boot, CpuMode, Firmware, Flavor, Host, Image, Share

_MACHINE = re.compile(r"[A-Za-z0-9_.-]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def domain_name(instance: Instance) -> str:
    """The domain's name: the instance's, as far as a file's name takes it, and the start of its id.

    An instance's name is unique in its project only, a domain's on its whole host; libvirt names logs after it.
    """
    return f"{_NO_NAME.sub('-', instance.name).lstrip('.-')[:48]}-{instance.id[:8]}".lstrip("-")


_ANY_PLATFORM = Platform()


def build_domain_xml(
    instance: Instance,
    host: Host,
    disks: Sequence[Disk],
    vifs: Sequence[Vif],
    platform: Platform = _ANY_PLATFORM,
    called: str | None = None,
) -> str:
    """The XML of a domain with these disks and NICs, in their order, valid for libvirt's schema.

    `called`: the name of a domain that has one already, whatever its instance is called by now.

    Raises `InvalidDomainXml` for what XML or libvirt cannot say, `PortBindingFailed` for a VIF that is not bound.
    """
    request = instance.request
    domain = Element("domain", {"type": platform.acceleration})
    domain.add("name", text=called or domain_name(instance))
    domain.add("uuid", text=instance.id)
    domain.add("title", text=_line("the instance's name", instance.name))
    _add_metadata(domain, instance, platform.owner)
    domain.add("memory", {"unit": "KiB"}, str(-(-request.flavor.memory // 1024)))
    _add_memory_backing(domain, request.flavor, shared=bool(request.shares))
    domain.add("vcpu", {"placement": "static"}, str(request.flavor.vcpus))
    _add_pins(domain, request.flavor)
    _add_boot(domain, request.image, platform)
    features = domain.add("features")
    features.add("acpi")
    features.add("apic")
    if request.image.firmware is Firmware.UEFI_SECURE:
        # Only code in this mode may write the variables with the keys.
        features.add("smm", {"state": "on"})
    _add_cpu(domain, request.flavor, platform.acceleration)
    clock = domain.add("clock", {"offset": "utc"})
    clock.add("timer", {"name": "rtc", "tickpolicy": "catchup"})
    clock.add("timer", {"name": "pit", "tickpolicy": "delay"})
    clock.add("timer", {"name": "hpet", "present": "no"})
    domain.add("on_poweroff", text="destroy")
    domain.add("on_reboot", text="restart")
    domain.add("on_crash", text="destroy")
    devices = domain.add("devices")
    _add_ports(devices, request.image, len(disks) + len(vifs) + len(request.shares))
    for disk in disks:
        _add_disk(devices, disk, platform)
    if request.cdrom is not None:
        _add_cdrom(devices, request.cdrom)
    for share in request.shares:
        _add_share(devices, share)
    for vif in vifs:
        _add_interface(devices, host, vif, platform.acceleration)
    _add_consoles(devices, platform.console_log)
    _add_helpers(devices)
    if request.image.tpm:
        devices.add("tpm", {"model": "tpm-crb"}).add("backend", {"type": "emulator", "version": "2.0"})
    return domain.written()


def parse_domain_xml(host: str, domain: Domain) -> ElementTree.Element:
    """The domain's XML as a tree. Raises `ComputeError` where it is malformed or of another domain than it should be.

    A hypervisor makes up the id that an XML does not have: nobody would find such a domain again.
    """
    where = f"{host}: the XML of instance {domain.instance_id}"
    try:
        root = ElementTree.fromstring(domain.xml)
    except ElementTree.ParseError as error:
        raise ComputeError(f"{where} is malformed: {error}") from error
    if root.tag != "domain":
        raise ComputeError(f"{where} is of a {root.tag}, not of a domain")
    if not _same_uuid(root.findtext("uuid"), domain.instance_id):
        raise ComputeError(f"{where} has the uuid {root.findtext('uuid')!r}; it must be the instance's id")
    if root.findtext("name") != domain.name:
        raise ComputeError(f"{where} has the name {root.findtext('name')!r}; it must be {domain.name!r}")
    return root


def _same_uuid(found: str | None, wanted: str) -> bool:
    try:
        return found is not None and UUID(found.strip()) == UUID(wanted)
    except ValueError:
        return False


def _line(what: str, text: str) -> str:
    if not text or "\n" in text or "\r" in text:
        raise InvalidDomainXml(f"{what} must be one line of text, not {text!r}")
    return text


def _path(what: str, path: str) -> str:
    if not _line(what, path).startswith("/") or path == "/":
        raise InvalidDomainXml(f"{what} must be the absolute path of a file, not {path!r}")
    return path


def _add_metadata(domain: Element, instance: Instance, owner: str) -> None:
    request = instance.request
    ours = domain.add("metadata").add("slipway:instance", {"xmlns:slipway": NAMESPACE})
    for tag, text in (
        ("owner", owner),
        ("name", instance.name),
        ("project", instance.project),
        ("flavor", request.flavor.name),
        ("image", request.image.name),
        ("generation", str(instance.generation)),
    ):
        ours.add(f"slipway:{tag}", text=text)
    for key, value in request.metadata:
        ours.add("slipway:metadata", {"key": key}, value)


def _add_memory_backing(domain: Element, flavor: Flavor, *, shared: bool) -> None:
    """Nova: hw:mem_page_size, and memory that others may map for vhost-user and virtiofs."""
    shared = shared or flavor.shared_memory
    if not flavor.hugepages and not shared:
        return
    backing = domain.add("memoryBacking")
    if flavor.hugepages:
        backing.add("hugepages").add("page", {"size": str(flavor.hugepages // 1024), "unit": "KiB"})
    if shared:
        backing.add("source", {"type": "memfd"})
        backing.add("access", {"mode": "shared"})


def _add_pins(domain: Element, flavor: Flavor) -> None:
    if not flavor.pin_cpus:
        return
    if len(flavor.pin_cpus) != flavor.vcpus:
        text = f"flavor {flavor.name}: pin_cpus names {len(flavor.pin_cpus)} CPUs for {flavor.vcpus} vCPUs"
        raise InvalidDomainXml(text)
    pins = domain.add("cputune")
    for vcpu, cpu in enumerate(flavor.pin_cpus):
        pins.add("vcpupin", {"vcpu": str(vcpu), "cpuset": str(cpu)})


def _add_boot(domain: Element, image: Image, platform: Platform) -> None:
    """Nova's order: an image with a kernel is booted directly, any other from its first disk."""
    if not _MACHINE.fullmatch(image.machine):
        raise InvalidDomainXml(f"the image's machine must be a type that QEMU has, such as q35, not {image.machine!r}")
    uefi = image.firmware is not Firmware.BIOS
    secure = "yes" if image.firmware is Firmware.UEFI_SECURE else "no"
    boot = domain.add("os", {"firmware": "efi"} if uefi else {})
    boot.add("type", {"arch": "x86_64", "machine": image.machine}, "hvm")
    if uefi:
        # libvirt finds the files; those for secure boot boot only what Microsoft's keys signed.
        features = boot.add("firmware")
        features.add("feature", {"enabled": secure, "name": "enrolled-keys"})
        features.add("feature", {"enabled": secure, "name": "secure-boot"})
    from_network = platform.network_boot or image.boot is Boot.NETWORK
    if from_network:
        boot.add("boot", {"dev": "network"})
    if from_network or image.kernel is None:
        boot.add("boot", {"dev": "hd"})
        if image.boot is Boot.CDROM:
            boot.add("boot", {"dev": "cdrom"})
        return
    boot.add("kernel", text=_path("the image's kernel", image.kernel))
    if image.initrd is not None:
        boot.add("initrd", text=_path("the image's initrd", image.initrd))
    # Without this a guest says nothing on the port that its console log is taken from.
    boot.add("cmdline", text="console=ttyS0" if image.cmdline is None else image.cmdline)


def _add_cpu(domain: Element, flavor: Flavor, acceleration: Acceleration) -> None:
    """Nova: the host's CPU as libvirt names it under KVM, the model that QEMU always has under TCG."""
    if acceleration is Acceleration.KVM:
        check = "partial" if flavor.cpu_mode is CpuMode.HOST_MODEL else "none"
        cpu = domain.add("cpu", {"mode": flavor.cpu_mode, "check": check})
    else:
        cpu = domain.add("cpu", {"mode": "custom", "match": "exact", "check": "none"})
        cpu.add("model", {"fallback": "allow"}, "qemu64")
    if flavor.numa_cells:
        _add_cells(cpu.add("numa"), flavor)


def _add_cells(numa: Element, flavor: Flavor) -> None:
    """As many vCPUs in each, one after the other; what the memory has over is the first one's."""
    each, over = divmod(flavor.vcpus, flavor.numa_cells)
    if over:
        text = (
            f"flavor {flavor.name}: {flavor.vcpus} vCPUs cannot be divided evenly among {flavor.numa_cells} NUMA cells"
        )
        raise InvalidDomainXml(text)
    page = max(1024, flavor.hugepages)
    pages, rest = divmod(-(-flavor.memory // page), flavor.numa_cells)
    for cell in range(flavor.numa_cells):
        cpus = f"{cell * each}-{(cell + 1) * each - 1}"
        memory = (pages + (rest if cell == 0 else 0)) * (page // 1024)
        numa.add("cell", {"id": str(cell), "cpus": cpus, "memory": str(memory), "unit": "KiB"})


_SPARE_PORTS = 8
"""How many NICs and disks a guest that runs can be given until it is started anew."""
_HELPERS = 3
"""The channel, randomness and the balloon have a port each."""


def _add_ports(devices: Element, image: Image, attached: int) -> None:
    """A q35 has a port for each device, and libvirt adds one more: NICs and disks that come later need theirs.

    Nova: num_pcie_ports. Other machines have a bus with places on it.
    """
    if "q35" not in image.machine:
        return
    devices.add("controller", {"type": "pci", "index": "0", "model": "pcie-root"})
    for _ in range(attached + _HELPERS + _SPARE_PORTS):
        devices.add("controller", {"type": "pci", "model": "pcie-root-port"})


def _add_disk(devices: Element, disk: Disk, platform: Platform) -> None:
    """All by virtio, the seed too: the kernels that Debian makes for clouds have no driver for a CD-ROM."""
    seed = disk.role is DiskRole.SEED
    element = devices.add("disk", {"type": "file", "device": "disk"})
    driver = {"name": "qemu", "type": disk.format}
    if not seed:
        # Nova: what cannot be opened with O_DIRECT is written back.
        driver |= {"cache": "none" if disk.direct else "writeback", "discard": "unmap"}
    element.add("driver", driver)
    source = element.add("source", {"file": _path(f"disk {disk.slot}", disk.path)})
    if disk.volume and platform.takes_files:
        # libvirt would change the file's owner, and not everywhere remember whose it was.
        source.add("seclabel", {"model": "dac", "relabel": "no"})
    element.add("target", {"dev": disk.device, "bus": "virtio"})
    if seed:
        element.add("readonly")


def _add_cdrom(devices: Element, path: str) -> None:
    """At the bus that every installer knows. Once it has installed, the file may go: the drive is empty then."""
    element = devices.add("disk", {"type": "file", "device": "cdrom"})
    element.add("driver", {"name": "qemu", "type": "raw"})
    source = element.add("source", {"file": _path("the CD-ROM", path), "startupPolicy": "optional"})
    # libvirt would change the file's owner.
    source.add("seclabel", {"model": "dac", "relabel": "no"})
    element.add("target", {"dev": "sda", "bus": "sata"})
    element.add("readonly")


def _add_share(devices: Element, share: Share) -> None:
    element = devices.add("filesystem", {"type": "mount", "accessmode": "passthrough"})
    element.add("driver", {"type": "virtiofs"})
    element.add("source", {"dir": _path(f"share {share.tag}", share.path)})
    element.add("target", {"dir": share.tag})


def _add_interface(devices: Element, host: Host, vif: Vif, acceleration: Acceleration) -> None:
    """libvirt makes the tap where there is no wiring; a tap made beforehand is refused in an interface of a bridge."""
    if vif.vif_type in ("", "unbound", "binding_failed"):
        raise PortBindingFailed(
            f"{host.name}: port {vif.port_id} is not bound to the host ({vif.vif_type or 'no type'})"
        )
    if vif.vif_type not in ("bridge", "ovs"):
        raise PortBindingFailed(f"{host.name}: port {vif.port_id} is bound as {vif.vif_type}, which is no bridge")
    plugged = host.wiring != "null"
    element = devices.add("interface", {"type": "ethernet" if plugged else "bridge"})
    element.add("mac", {"address": vif.mac_address})
    if not plugged:
        element.add("source", {"bridge": vif.bridge})
    if not plugged and vif.vif_type == "ovs":
        # By this Neutron's agent knows the port: libvirt puts the tap into Open vSwitch with it.
        element.add("virtualport", {"type": "openvswitch"}).add("parameters", {"interfaceid": vif.port_id})
    element.add("target", {"dev": vif.devname} | ({"managed": "no"} if plugged else {}))
    element.add("model", {"type": "virtio"})
    if acceleration is Acceleration.TCG:
        # Nova: without KVM there is no vhost, the device's other half is in QEMU.
        element.add("driver", {"name": "qemu"})
    if vif.mtu > 0:
        element.add("mtu", {"size": str(vif.mtu)})


def _add_consoles(devices: Element, console_log: str | None) -> None:
    serial = devices.add("serial", {"type": "pty"})
    if console_log is not None:
        # Begun anew with each start, so that nobody takes an older boot's lines for this one's.
        serial.add("log", {"file": _path("the console's log", console_log), "append": "off"})
    serial.add("target", {"port": "0"})
    devices.add("console", {"type": "pty"}).add("target", {"type": "serial", "port": "0"})
    # A pointer that is where the user's is; and nobody sees the screen before a password is set for a while.
    devices.add("input", {"type": "tablet", "bus": "usb"})
    graphics = devices.add("graphics", {"type": "vnc", "port": "-1", "autoport": "yes", "passwd": ""})
    graphics.add("listen", {"type": "address", "address": "127.0.0.1"})
    devices.add("video").add("model", {"type": "vga"})


def _add_helpers(devices: Element) -> None:
    """Randomness, the balloon, and the channel of the guest agent, which does nothing in a guest without one."""
    channel = devices.add("channel", {"type": "unix"})
    channel.add("target", {"type": "virtio", "name": "org.qemu.guest_agent.0"})
    rng = devices.add("rng", {"model": "virtio"})
    rng.add("backend", {"model": "random"}, "/dev/urandom")
    devices.add("memballoon", {"model": "virtio"}).add("stats", {"period": "10"})

"""The libvirt domain XML of an instance; the same for every hypervisor driver."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from slipway.errors import ComputeError, InvalidDomainXml, PortBindingFailed
from slipway.model.machine import Acceleration, Disk, DiskRole, Domain, Platform, Vif
from slipway.model.record import Instance
from slipway.model.request import Boot, CpuMode, Firmware, Flavor, Host, Image

if TYPE_CHECKING:
    from lxml.etree import _Element

NAMESPACE = "urn:slipway:instance:1"
"""Of our element in the domain's metadata. A domain without it is not ours."""

_MACHINE = re.compile(r"[A-Za-z0-9_.-]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


def domain_name(instance: Instance) -> str:
    """The domain's name: the instance's, as far as a file's name takes it, and the start of its id.

    An instance's name is unique in its project only, a domain's on its whole host; libvirt names logs after it.
    """
    return f"{_NO_NAME.sub('-', instance.name).lstrip('.-')[:48]}-{instance.id[:8]}".lstrip("-")


_ANY_PLATFORM = Platform()


def build_domain_xml(
    instance: Instance, host: Host, disks: Sequence[Disk], vifs: Sequence[Vif], platform: Platform = _ANY_PLATFORM
) -> str:
    """The XML of a domain with these disks and NICs, in their order, valid for libvirt's schema.

    Raises `InvalidDomainXml` for what XML or libvirt cannot say, `PortBindingFailed` for a VIF that is not bound.
    """
    from lxml import etree

    request = instance.request
    domain = etree.Element("domain", type=platform.acceleration)
    _add(domain, "name", text=domain_name(instance))
    _add(domain, "uuid", text=instance.id)
    _add(domain, "title", text=_line("the instance's name", instance.name))
    _add_metadata(domain, instance, platform.owner)
    _add(domain, "memory", {"unit": "KiB"}, str(-(-request.flavor.memory // 1024)))
    _add_memory_backing(domain, request.flavor)
    _add(domain, "vcpu", {"placement": "static"}, str(request.flavor.vcpus))
    _add_pins(domain, request.flavor)
    _add_boot(domain, request.image, platform)
    features = _add(domain, "features")
    _add(features, "acpi")
    _add(features, "apic")
    _add_cpu(domain, request.flavor, platform.acceleration)
    clock = _add(domain, "clock", {"offset": "utc"})
    _add(clock, "timer", {"name": "rtc", "tickpolicy": "catchup"})
    _add(clock, "timer", {"name": "pit", "tickpolicy": "delay"})
    _add(clock, "timer", {"name": "hpet", "present": "no"})
    _add(domain, "on_poweroff", text="destroy")
    _add(domain, "on_reboot", text="restart")
    _add(domain, "on_crash", text="destroy")
    devices = _add(domain, "devices")
    for disk in disks:
        _add_disk(devices, disk, platform)
    for vif in vifs:
        _add_interface(devices, host, vif, platform.acceleration)
    _add_consoles(devices, platform.console_log)
    _add_helpers(devices)
    return etree.tostring(domain, encoding="unicode", pretty_print=True)


def parse_domain_xml(host: str, domain: Domain) -> _Element:
    """The domain's XML as a tree. Raises `ComputeError` where it is malformed or of another domain than it should be.

    A hypervisor makes up the id that an XML does not have: nobody would find such a domain again.
    """
    from lxml import etree

    where = f"{host}: the XML of instance {domain.instance_id}"
    try:
        root = etree.fromstring(domain.xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
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


def _add(parent: _Element, tag: str, attributes: dict[str, str] | None = None, text: str | None = None) -> _Element:
    from lxml import etree

    try:
        element = etree.SubElement(parent, tag, attributes)
        element.text = text
    except ValueError as error:
        value = text if text is not None else attributes
        raise InvalidDomainXml(f"<{tag}> cannot hold {value!r}: it has a character that XML does not allow") from error
    return element


def _line(what: str, text: str) -> str:
    if not text or "\n" in text or "\r" in text:
        raise InvalidDomainXml(f"{what} must be one line of text, not {text!r}")
    return text


def _path(what: str, path: str) -> str:
    if not _line(what, path).startswith("/") or path == "/":
        raise InvalidDomainXml(f"{what} must be the absolute path of a file, not {path!r}")
    return path


def _add_metadata(domain: _Element, instance: Instance, owner: str) -> None:
    from lxml import etree

    request = instance.request
    ours = etree.SubElement(_add(domain, "metadata"), f"{{{NAMESPACE}}}instance", nsmap={"slipway": NAMESPACE})
    for tag, text in (
        ("owner", owner),
        ("name", instance.name),
        ("project", instance.project),
        ("flavor", request.flavor.name),
        ("image", request.image.name),
        ("generation", str(instance.generation)),
    ):
        _add(ours, f"{{{NAMESPACE}}}{tag}", text=text)
    for key, value in request.metadata:
        _add(ours, f"{{{NAMESPACE}}}metadata", {"key": key}, value)


def _add_memory_backing(domain: _Element, flavor: Flavor) -> None:
    """Nova: hw:mem_page_size, and memory that others may map for vhost-user and virtiofs."""
    if not flavor.hugepages and not flavor.shared_memory:
        return
    backing = _add(domain, "memoryBacking")
    if flavor.hugepages:
        _add(_add(backing, "hugepages"), "page", {"size": str(flavor.hugepages // 1024), "unit": "KiB"})
    if flavor.shared_memory:
        _add(backing, "source", {"type": "memfd"})
        _add(backing, "access", {"mode": "shared"})


def _add_pins(domain: _Element, flavor: Flavor) -> None:
    if not flavor.pin_cpus:
        return
    if len(flavor.pin_cpus) != flavor.vcpus:
        text = f"flavor {flavor.name}: pin_cpus names {len(flavor.pin_cpus)} CPUs for {flavor.vcpus} vCPUs"
        raise InvalidDomainXml(text)
    pins = _add(domain, "cputune")
    for vcpu, cpu in enumerate(flavor.pin_cpus):
        _add(pins, "vcpupin", {"vcpu": str(vcpu), "cpuset": str(cpu)})


def _add_boot(domain: _Element, image: Image, platform: Platform) -> None:
    """Nova's order: an image with a kernel is booted directly, any other from its first disk."""
    if not _MACHINE.fullmatch(image.machine):
        raise InvalidDomainXml(f"the image's machine must be a type that QEMU has, such as q35, not {image.machine!r}")
    uefi = image.firmware is Firmware.UEFI
    boot = _add(domain, "os", {"firmware": "efi"} if uefi else {})
    _add(boot, "type", {"arch": "x86_64", "machine": image.machine}, "hvm")
    if uefi:
        # libvirt finds the files; without secure boot, which boots only what Microsoft's keys signed.
        features = _add(boot, "firmware")
        _add(features, "feature", {"enabled": "no", "name": "enrolled-keys"})
        _add(features, "feature", {"enabled": "no", "name": "secure-boot"})
    from_network = platform.network_boot or image.boot is Boot.NETWORK
    if from_network:
        _add(boot, "boot", {"dev": "network"})
    if from_network or image.kernel is None:
        _add(boot, "boot", {"dev": "hd"})
        return
    _add(boot, "kernel", text=_path("the image's kernel", image.kernel))
    if image.initrd is not None:
        _add(boot, "initrd", text=_path("the image's initrd", image.initrd))
    # Without this a guest says nothing on the port that its console log is taken from.
    _add(boot, "cmdline", text="console=ttyS0" if image.cmdline is None else image.cmdline)


def _add_cpu(domain: _Element, flavor: Flavor, acceleration: Acceleration) -> None:
    """Nova: the host's CPU as libvirt names it under KVM, the model that QEMU always has under TCG."""
    if acceleration is Acceleration.KVM:
        check = "partial" if flavor.cpu_mode is CpuMode.HOST_MODEL else "none"
        cpu = _add(domain, "cpu", {"mode": flavor.cpu_mode, "check": check})
    else:
        cpu = _add(domain, "cpu", {"mode": "custom", "match": "exact", "check": "none"})
        _add(cpu, "model", {"fallback": "allow"}, "qemu64")
    if flavor.numa_cells:
        _add_cells(_add(cpu, "numa"), flavor)


def _add_cells(numa: _Element, flavor: Flavor) -> None:
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
        _add(numa, "cell", {"id": str(cell), "cpus": cpus, "memory": str(memory), "unit": "KiB"})


def _add_disk(devices: _Element, disk: Disk, platform: Platform) -> None:
    """All by virtio, the seed too: the kernels that Debian makes for clouds have no driver for a CD-ROM."""
    seed = disk.role is DiskRole.SEED
    element = _add(devices, "disk", {"type": "file", "device": "disk"})
    driver = {"name": "qemu", "type": disk.format}
    if not seed:
        # Nova: what cannot be opened with O_DIRECT is written back.
        driver |= {"cache": "none" if disk.direct else "writeback", "discard": "unmap"}
    _add(element, "driver", driver)
    source = _add(element, "source", {"file": _path(f"disk {disk.slot}", disk.path)})
    if disk.volume and platform.takes_files:
        # libvirt would change the file's owner, and not everywhere remember whose it was.
        _add(source, "seclabel", {"model": "dac", "relabel": "no"})
    _add(element, "target", {"dev": disk.device, "bus": "virtio"})
    if seed:
        _add(element, "readonly")


def _add_interface(devices: _Element, host: Host, vif: Vif, acceleration: Acceleration) -> None:
    """libvirt makes the tap where there is no wiring; a tap made beforehand is refused in an interface of a bridge."""
    if vif.vif_type in ("", "unbound", "binding_failed"):
        raise PortBindingFailed(
            f"{host.name}: port {vif.port_id} is not bound to the host ({vif.vif_type or 'no type'})"
        )
    if vif.vif_type not in ("bridge", "ovs"):
        raise PortBindingFailed(f"{host.name}: port {vif.port_id} is bound as {vif.vif_type}, which is no bridge")
    plugged = host.wiring != "null"
    element = _add(devices, "interface", {"type": "ethernet" if plugged else "bridge"})
    _add(element, "mac", {"address": vif.mac_address})
    if not plugged:
        _add(element, "source", {"bridge": vif.bridge})
    if not plugged and vif.vif_type == "ovs":
        # By this Neutron's agent knows the port: libvirt puts the tap into Open vSwitch with it.
        _add(_add(element, "virtualport", {"type": "openvswitch"}), "parameters", {"interfaceid": vif.port_id})
    _add(element, "target", {"dev": vif.devname} | ({"managed": "no"} if plugged else {}))
    _add(element, "model", {"type": "virtio"})
    if acceleration is Acceleration.TCG:
        # Nova: without KVM there is no vhost, the device's other half is in QEMU.
        _add(element, "driver", {"name": "qemu"})
    if vif.mtu > 0:
        _add(element, "mtu", {"size": str(vif.mtu)})


def _add_consoles(devices: _Element, console_log: str | None) -> None:
    serial = _add(devices, "serial", {"type": "pty"})
    if console_log is not None:
        # Begun anew with each start, so that nobody takes an older boot's lines for this one's.
        _add(serial, "log", {"file": _path("the console's log", console_log), "append": "off"})
    _add(serial, "target", {"port": "0"})
    _add(_add(devices, "console", {"type": "pty"}), "target", {"type": "serial", "port": "0"})
    graphics = _add(devices, "graphics", {"type": "vnc", "port": "-1", "autoport": "yes"})
    _add(graphics, "listen", {"type": "address", "address": "127.0.0.1"})
    _add(_add(devices, "video"), "model", {"type": "vga"})


def _add_helpers(devices: _Element) -> None:
    """Randomness, the balloon, and the channel of the guest agent, which does nothing in a guest without one."""
    channel = _add(devices, "channel", {"type": "unix"})
    _add(channel, "target", {"type": "virtio", "name": "org.qemu.guest_agent.0"})
    rng = _add(devices, "rng", {"model": "virtio"})
    _add(rng, "backend", {"model": "random"}, "/dev/urandom")
    _add(_add(devices, "memballoon", {"model": "virtio"}), "stats", {"period": "10"})

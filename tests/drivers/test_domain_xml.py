"""The domain XML, held against libvirt's own schema."""

from __future__ import annotations

import shutil
import subprocess
import timeit
import uuid
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from slipway.drivers.compute.details import NAMESPACE, details_of
from slipway.drivers.compute.domain_xml import build_domain_xml, domain_name
from slipway.drivers.compute.shape import shape_of
from slipway.drivers.disk.devices import device_name
from slipway.errors import AbortBuild, InvalidDomainXml, PortBindingFailed
from slipway.model.machine import Acceleration, Disk, DiskRole, Platform, Vif
from slipway.model.record import Instance
from slipway.model.request import Boot, CpuMode, Firmware, Flavor, Host, Image, Share

NULL = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)
WIRED = replace(NULL, name="node-2", wiring="linuxbridge")
KERNEL = Image("tiny", kernel="/images/vmlinux", initrd="/images/initrd.gz")
OURS = f"{{{NAMESPACE}}}"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")

needs_libvirt = pytest.mark.skipif(
    shutil.which("virt-xml-validate") is None, reason="virt-xml-validate (libvirt-clients) is not installed"
)


def a_disk(slot: int, role: DiskRole, path: str = "/instances/disk") -> Disk:
    form = "raw" if role is DiskRole.SEED else "qcow2"
    return Disk("one", slot, role, f"{path}-{slot}", form, 1 << 30, device_name(slot))


DISKS = (a_disk(0, DiskRole.ROOT), a_disk(1, DiskRole.DATA), a_disk(2, DiskRole.SEED))


def validate(xml: str, directory: Path) -> None:
    """Ask libvirt's own tool."""
    path = directory / "domain.xml"
    path.write_text(xml, encoding="utf-8")
    done = subprocess.run(["virt-xml-validate", path, "domain"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{xml}"


@cache
def schema() -> etree.RelaxNG:
    """The schema that the tool uses, for many documents."""
    return etree.RelaxNG(file=str(SCHEMA))


def one(root: etree._Element, path: str) -> etree._Element:
    found = root.findall(path)
    assert len(found) == 1, path
    return found[0]


# --- the schema -----------------------------------------------------------------------------------------------------


@needs_libvirt
@pytest.mark.parametrize("host", [NULL, WIRED], ids=["null", "linuxbridge"])
@pytest.mark.parametrize("count", range(4))
@pytest.mark.parametrize("image", [Image("disk"), KERNEL], ids=["disk", "kernel"])
def test_the_schema_holds(
    tmp_path: Path,
    make_instance: Callable[..., Instance],
    make_vif: Callable[..., Vif],
    host: Host,
    count: int,
    image: Image,
) -> None:
    vifs = [make_vif(slot, mtu=1450 * (slot % 2)) for slot in range(count)]
    platform = Platform(tuple(Acceleration)[count % 2], console_log="/instances/console.log" if count else None)
    validate(build_domain_xml(make_instance(image=image), host, DISKS[:count], vifs, platform), tmp_path)


BIG = Flavor("big", vcpus=4, memory=(1 << 30) + 4096, disk=0)
FLAVORS = {
    "passthrough": replace(BIG, cpu_mode=CpuMode.HOST_PASSTHROUGH),
    "numa": replace(BIG, numa_cells=2),
    "numa of huge pages": replace(BIG, memory=6 << 20, numa_cells=2, hugepages=2 << 20),
    "pinned": replace(BIG, pin_cpus=(3, 2, 5, 4)),
    "huge pages": replace(BIG, memory=1 << 30, hugepages=2 << 20),
    "shared": replace(BIG, shared_memory=True),
    "all": Flavor("all", 2, 1 << 30, 0, CpuMode.HOST_PASSTHROUGH, 2, (0, 1), 1 << 30, True),
}
IMAGES = {
    "i440fx": Image("old", machine="pc"),
    "uefi": Image("new", firmware=Firmware.UEFI),
    "uefi with a kernel": replace(KERNEL, firmware=Firmware.UEFI, machine="pc-q35-7.2"),
    "network": Image("net", boot=Boot.NETWORK),
    "uefi from the network": Image("net", boot=Boot.NETWORK, firmware=Firmware.UEFI),
}


@needs_libvirt
@pytest.mark.parametrize("acceleration", Acceleration)
@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize("image", IMAGES)
def test_the_schema_holds_for_all_features(
    tmp_path: Path,
    make_instance: Callable[..., Instance],
    make_vif: Callable[..., Vif],
    acceleration: Acceleration,
    flavor: str,
    image: str,
) -> None:
    instance = make_instance(image=IMAGES[image], flavor=FLAVORS[flavor])
    validate(build_domain_xml(instance, NULL, DISKS, [make_vif()], Platform(acceleration)), tmp_path)


HOSTILE = [
    "</name><x>",
    "a & b",
    "<!--",
    "]]>",
    "\"'",
    "日本語",
    "‮web",
    "../../etc",
    "&#0;",
    "%s{}",
    " ",
    "-",
    "x" * 300,
]


@needs_libvirt
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(tmp_path: Path, make_instance: Callable[..., Instance], name: str) -> None:
    instance = make_instance(
        name, project=name, flavor=name, image=Image(name, kernel=f"/{name}", cmdline=name, machine="q35")
    )
    xml = build_domain_xml(instance, NULL, [a_disk(0, DiskRole.ROOT, f"/{name}")], [], Platform(console_log=f"/{name}"))
    validate(xml, tmp_path)
    root = etree.fromstring(xml)
    assert root.findtext("title") == name
    for tag in ("name", "project", "flavor", "image"):
        assert root.findtext(f"metadata/{OURS}instance/{OURS}{tag}") == name
    assert root.findtext("os/cmdline") == name
    assert one(root, "devices/disk/source").get("file") == f"/{name}-0"


TEXT = st.text(st.characters(), max_size=20)


@needs_libvirt
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXT, other=TEXT, path=TEXT)
@example(name="a\0b", other="", path="x")
@example(name="a\nb", other="", path="x")
@example(name="a", other="\ud800", path="x")
@example(name="a", other="￾", path="x")
@example(name="a", other="a", path="\r")
def test_any_text_gives_valid_xml_or_our_error(
    make_instance: Callable[..., Instance], name: str, other: str, path: str
) -> None:
    image = Image(other, kernel=f"/{path}", initrd=f"/{other}", cmdline=other, machine=other)
    instance = make_instance(name, project=other, flavor=other, image=image)
    try:
        xml = build_domain_xml(
            instance, NULL, [a_disk(0, DiskRole.ROOT, f"/{path}")], [], Platform(console_log=f"/{other}")
        )
    except InvalidDomainXml:
        return
    root = etree.fromstring(xml.encode())
    assert schema().validate(root), schema().error_log
    assert root.findtext("title") == name
    assert root.findtext(f"metadata/{OURS}instance/{OURS}project") == other


@pytest.mark.parametrize("character", ["\0", "\x1b", "\ud800", "￾", "￿"])
def test_what_xml_cannot_hold_aborts_the_build(make_instance: Callable[..., Instance], character: str) -> None:
    with pytest.raises(AbortBuild, match="it has a character that XML does not allow") as caught:
        build_domain_xml(make_instance(project=f"de{character}mo"), NULL, [], [])
    assert isinstance(caught.value, InvalidDomainXml)


@pytest.mark.parametrize("path", ["", "vmlinux", "./vmlinux", "/"])
def test_a_kernel_needs_an_absolute_path(make_instance: Callable[..., Instance], path: str) -> None:
    with pytest.raises(InvalidDomainXml, match="the image's kernel must be"):
        build_domain_xml(make_instance(image=Image("tiny", kernel=path)), NULL, [], [])


# --- what it says ---------------------------------------------------------------------------------------------------


def test_the_domain_is_the_instance(make_instance: Callable[..., Instance]) -> None:
    """L2: name, id, size and whose it is."""
    instance = make_instance(memory=(512 << 20) + 1)
    root = etree.fromstring(build_domain_xml(instance, NULL, [], []))
    assert root.get("type") == "qemu"
    assert root.findtext("name") == domain_name(instance) == f"web-1-{instance.id[:8]}"
    assert root.findtext("uuid") == instance.id
    assert root.findtext("title") == "web-1"
    assert (one(root, "memory").get("unit"), root.findtext("memory")) == ("KiB", str(512 * 1024 + 1))
    assert root.findtext("vcpu") == "1"
    assert {element.tag.removeprefix(OURS): element.text for element in one(root, f"metadata/{OURS}instance")} == {
        "owner": "slipway",
        "name": "web-1",
        "project": "demo",
        "flavor": "small",
        "image": "tiny",
        "generation": "3",
    }


def test_the_metadata_of_an_instance_are_the_domains(make_instance: Callable[..., Instance]) -> None:
    instance = make_instance()
    instance = replace(instance, request=replace(instance.request, metadata=(("role", "<db> & ä"), ("a b", ""))))
    root = etree.fromstring(build_domain_xml(instance, NULL, [], []))
    found = root.iterfind(f"metadata/{OURS}instance/{OURS}metadata")
    assert [(each.get("key"), each.text or "") for each in found] == [("role", "<db> & ä"), ("a b", "")]


def test_instances_of_one_name_have_domains_of_two(make_instance: Callable[..., Instance]) -> None:
    """A name is unique in its project; two projects may meet on one host."""
    assert domain_name(make_instance("web", project="a")) != domain_name(make_instance("web", project="b"))


@pytest.mark.parametrize("name", [*HOSTILE, "", ".", "a\0b"])
def test_a_domain_name_may_be_the_name_of_a_file(make_instance: Callable[..., Instance], name: str) -> None:
    instance = replace(make_instance(name), id=str(uuid.UUID(int=1)))
    made = domain_name(instance)
    assert made.endswith("00000000")
    assert len(made) < 64
    assert not made.startswith((".", "-"))
    assert made.isascii()
    assert "/" not in made


@pytest.mark.parametrize(("machine", "spare"), [("q35", 8), ("pc-q35-7.2", 8), ("pc", None)])
def test_a_guest_that_runs_has_places_for_what_is_attached(
    make_instance: Callable[..., Instance], machine: str, spare: int | None
) -> None:
    xml = build_domain_xml(make_instance(image=replace(KERNEL, machine=machine)), NULL, DISKS, ())
    ports = etree.fromstring(xml).findall("devices/controller[@model='pcie-root-port']")
    assert len(ports) == (0 if spare is None else len(DISKS) + 3 + spare)


def test_an_image_boots_from_its_disk(make_instance: Callable[..., Instance]) -> None:
    root = etree.fromstring(build_domain_xml(make_instance(), NULL, [], []))
    assert one(root, "os/boot").get("dev") == "hd"
    assert root.find("os/kernel") is None


def test_a_kernel_is_booted_directly(make_instance: Callable[..., Instance]) -> None:
    root = etree.fromstring(build_domain_xml(make_instance(image=KERNEL), NULL, [], []))
    assert root.find("os/boot") is None
    assert [root.findtext(f"os/{tag}") for tag in ("kernel", "initrd", "cmdline")] == [
        "/images/vmlinux",
        "/images/initrd.gz",
        "console=ttyS0",
    ]
    own = make_instance(image=replace(KERNEL, initrd=None, cmdline=""))
    root = etree.fromstring(build_domain_xml(own, NULL, [], []))
    assert root.find("os/initrd") is None
    assert root.find("os/cmdline") is not None
    assert not root.findtext("os/cmdline")


def the_xml(instance: Instance, platform: Platform = Platform()) -> etree._Element:  # noqa: B008 - it is frozen
    return etree.fromstring(build_domain_xml(instance, NULL, [], [], platform))


@pytest.mark.parametrize(
    ("image", "platform", "devices"),
    [
        (Image("net", boot=Boot.NETWORK), Platform(), ["network", "hd"]),
        (Image("disk"), Platform(network_boot=True), ["network", "hd"]),
        (KERNEL, Platform(network_boot=True), ["network", "hd"]),
        (KERNEL, Platform(), []),
    ],
)
def test_what_it_boots_from(
    make_instance: Callable[..., Instance], image: Image, platform: Platform, devices: list[str]
) -> None:
    """N1: where the hypervisor dictates DHCP options for it, from the network."""
    root = the_xml(make_instance(image=image), platform)
    assert [boot.get("dev") for boot in root.findall("os/boot")] == devices
    assert (root.find("os/kernel") is None) == bool(devices)


def test_machine_and_firmware(make_instance: Callable[..., Instance]) -> None:
    root = the_xml(make_instance(image=Image("new", machine="pc-q35-7.2", firmware=Firmware.UEFI)))
    assert one(root, "os/type").get("machine") == "pc-q35-7.2"
    assert one(root, "os").get("firmware") == "efi"
    assert {f.get("name"): f.get("enabled") for f in root.findall("os/firmware/feature")} == {
        "enrolled-keys": "no",
        "secure-boot": "no",
    }
    plain = the_xml(make_instance())
    assert (one(plain, "os/type").get("machine"), one(plain, "os").get("firmware")) == ("q35", None)
    assert plain.find("os/firmware") is None


@pytest.mark.parametrize("mode", CpuMode)
def test_the_processor(make_instance: Callable[..., Instance], mode: CpuMode) -> None:
    """Nova: as the host's under KVM, always the same under TCG."""
    instance = make_instance(flavor=replace(BIG, cpu_mode=mode))
    cpu = one(the_xml(instance, Platform(Acceleration.KVM)), "cpu")
    check = {CpuMode.HOST_MODEL: "partial", CpuMode.HOST_PASSTHROUGH: "none"}[mode]
    assert (dict(cpu.items()), list(cpu)) == ({"mode": mode, "check": check}, [])
    assert the_xml(instance).findtext("cpu/model") == "qemu64"


def test_numa_cells_share_vcpus_and_memory(make_instance: Callable[..., Instance]) -> None:
    root = the_xml(make_instance(flavor=FLAVORS["numa"]))
    cells = [dict(cell.items()) for cell in root.findall("cpu/numa/cell")]
    assert [(cell["id"], cell["cpus"], cell["unit"]) for cell in cells] == [("0", "0-1", "KiB"), ("1", "2-3", "KiB")]
    assert sum(int(cell["memory"]) for cell in cells) == int(root.findtext("memory", "")) == (1 << 20) + 4
    three = the_xml(make_instance(flavor=FLAVORS["numa of huge pages"]))
    assert [cell.get("memory") for cell in three.findall("cpu/numa/cell")] == ["4096", "2048"], "whole pages"


def test_pins_and_memory_backing(make_instance: Callable[..., Instance]) -> None:
    root = the_xml(make_instance(flavor=FLAVORS["pinned"]))
    assert [(pin.get("vcpu"), pin.get("cpuset")) for pin in root.findall("cputune/vcpupin")] == [
        ("0", "3"),
        ("1", "2"),
        ("2", "5"),
        ("3", "4"),
    ]
    backing = one(the_xml(make_instance(flavor=FLAVORS["all"])), "memoryBacking")
    assert dict(one(backing, "hugepages/page").items()) == {"size": "1048576", "unit": "KiB"}
    assert (one(backing, "source").get("type"), one(backing, "access").get("mode")) == ("memfd", "shared")
    plain = the_xml(make_instance())
    assert [plain.find(tag) for tag in ("memoryBacking", "cputune", "cpu/numa")] == [None, None, None]


@pytest.mark.parametrize(
    ("flavor", "text"),
    [
        (replace(BIG, numa_cells=3), "flavor big: 4 vCPUs cannot be divided evenly among 3 NUMA cells"),
        (replace(BIG, pin_cpus=(1,)), "flavor big: pin_cpus names 1 CPUs for 4 vCPUs"),
    ],
)
def test_what_does_not_go_up_aborts_the_build(
    make_instance: Callable[..., Instance], flavor: Flavor, text: str
) -> None:
    with pytest.raises(InvalidDomainXml, match=text):
        build_domain_xml(make_instance(flavor=flavor), NULL, [], [])


def test_what_it_has_of_its_host(tmp_path: Path, make_instance: Callable[..., Instance]) -> None:
    image = Image("installer", boot=Boot.CDROM, firmware=Firmware.UEFI_SECURE, tpm=True)
    request = replace(make_instance().request, image=image, cdrom="/x.iso", shares=(Share("src", "/srv/src"),))
    xml = build_domain_xml(replace(make_instance(), request=request), NULL, DISKS, ())
    root = etree.fromstring(xml.encode())
    assert [boot.get("dev") for boot in root.findall("os/boot")] == ["hd", "cdrom"]
    assert {feature.get("enabled") for feature in root.findall("os/firmware/feature")} == {"yes"}
    assert one(root, "features/smm").get("state") == "on"
    cdrom = one(root, "devices/disk[@device='cdrom']")
    assert [one(cdrom, "source").get(name) for name in ("file", "startupPolicy")] == ["/x.iso", "optional"]
    assert cdrom.find("readonly") is not None
    assert one(root, "devices/filesystem/target").get("dir") == "src"
    assert one(root, "memoryBacking/access").get("mode") == "shared"
    assert one(root, "devices/tpm/backend").get("version") == "2.0"
    if shutil.which("virt-xml-validate"):
        validate(xml, tmp_path)
    assert shape_of(xml).disks == {disk.path for disk in DISKS}, "what a guest ejects is no disk that it has lost"
    assert details_of(ElementTree.fromstring(xml))["its shares"] == "src: /srv/src"


def test_disks_by_role(make_instance: Callable[..., Instance]) -> None:
    """L1."""
    root = etree.fromstring(build_domain_xml(make_instance(), NULL, DISKS, []))
    disks = root.findall("devices/disk")
    assert [disk.get("device") for disk in disks] == ["disk", "disk", "disk"]
    assert [dict(one(disk, "target").items()) for disk in disks] == [
        {"dev": "vda", "bus": "virtio"},
        {"dev": "vdb", "bus": "virtio"},
        {"dev": "vdc", "bus": "virtio"},
    ]
    assert dict(one(disks[0], "driver").items()) == {
        "name": "qemu",
        "type": "qcow2",
        "cache": "none",
        "discard": "unmap",
    }
    assert dict(one(disks[2], "driver").items()) == {"name": "qemu", "type": "raw"}
    assert [disk.find("readonly") is not None for disk in disks] == [False, False, True]
    cached = [replace(disk, direct=False) for disk in DISKS]
    root = etree.fromstring(build_domain_xml(make_instance(), NULL, cached, []))
    drivers = root.findall("devices/disk/driver")
    assert [driver.get("cache") for driver in drivers] == ["writeback", "writeback", None]


@pytest.mark.parametrize(("takes_files", "labels"), [(True, [{"model": "dac", "relabel": "no"}]), (False, [])])
def test_a_volume_stays_its_owner_s(
    make_instance: Callable[..., Instance], tmp_path: Path, takes_files: bool, labels: list[dict[str, str]]
) -> None:
    """A label of a security driver that is not there is refused by libvirt."""
    disks = [a_disk(0, DiskRole.ROOT), replace(a_disk(1, DiskRole.DATA), volume=True)]
    xml = build_domain_xml(make_instance(), NULL, disks, [], Platform(takes_files=takes_files))
    validate(xml, tmp_path)
    assert [dict(label.items()) for label in etree.fromstring(xml).iterfind(".//seclabel")] == labels


def test_without_wiring_libvirt_makes_the_tap(
    make_instance: Callable[..., Instance], make_vif: Callable[..., Vif]
) -> None:
    """I2, L2, and Nova's bridge interface."""
    vifs = [make_vif(0), make_vif(1, mtu=0)]
    root = etree.fromstring(build_domain_xml(make_instance(), NULL, [], vifs))
    first, second = root.findall("devices/interface")
    assert first.get("type") == "bridge"
    assert {child.tag: dict(child.items()) for child in first} == {
        "mac": {"address": vifs[0].mac_address},
        "source": {"bridge": vifs[0].bridge},
        "target": {"dev": vifs[0].devname},
        "model": {"type": "virtio"},
        "driver": {"name": "qemu"},
        "mtu": {"size": "1450"},
    }
    assert second.find("mtu") is None


def test_a_tap_made_beforehand_is_not_libvirts(
    make_instance: Callable[..., Instance], make_vif: Callable[..., Vif]
) -> None:
    vif = make_vif()
    interface = one(
        etree.fromstring(build_domain_xml(make_instance(), WIRED, [], [vif])), "devices/interface[@type='ethernet']"
    )
    assert dict(one(interface, "target").items()) == {"dev": vif.devname, "managed": "no"}
    assert interface.find("source") is None


@needs_libvirt
def test_a_port_of_open_vswitch_is_known_to_its_agent_by_its_id(
    make_instance: Callable[..., Instance], make_vif: Callable[..., Vif], tmp_path: Path
) -> None:
    """Nova: libvirt puts the tap into the agent's bridge."""
    vif = replace(make_vif(vif_type="ovs"), bridge="br-int")
    xml = build_domain_xml(make_instance(), NULL, [], [vif])
    validate(xml, tmp_path)
    interface = one(etree.fromstring(xml), "devices/interface[@type='bridge']")
    assert dict(one(interface, "source").items()) == {"bridge": "br-int"}
    assert dict(one(interface, "virtualport").items()) == {"type": "openvswitch"}
    assert dict(one(interface, "virtualport/parameters").items()) == {"interfaceid": vif.port_id}


@pytest.mark.parametrize("vif_type", ["vhostuser", "hw_veb"])
def test_a_vif_that_is_on_no_bridge_is_refused(
    make_instance: Callable[..., Instance], make_vif: Callable[..., Vif], vif_type: str
) -> None:
    with pytest.raises(PortBindingFailed, match=f"bound as {vif_type}"):
        build_domain_xml(make_instance(), NULL, [], [make_vif(vif_type=vif_type)])


@pytest.mark.parametrize("vif_type", ["unbound", "binding_failed", ""])
def test_a_vif_must_be_bound(
    make_instance: Callable[..., Instance], make_vif: Callable[..., Vif], vif_type: str
) -> None:
    """Nova: an unknown or missing vif_type fails when the XML is made."""
    with pytest.raises(PortBindingFailed, match=r"node-1: port .* is not bound"):
        build_domain_xml(make_instance(), NULL, [], [make_vif(vif_type=vif_type)])


def test_consoles_are_not_open_to_the_network(make_instance: Callable[..., Instance]) -> None:
    root = etree.fromstring(build_domain_xml(make_instance(), NULL, [], [], Platform(console_log="/instances/one.log")))
    assert one(root, "devices/graphics/listen").get("address") == "127.0.0.1"
    # With an empty one libvirt lets nobody in.
    assert one(root, "devices/graphics").get("passwd") == ""
    assert one(root, "devices/serial/log").get("file") == "/instances/one.log"
    assert etree.fromstring(build_domain_xml(make_instance(), NULL, [], [])).find("devices/serial/log") is None


def test_it_is_quick(make_instance: Callable[..., Instance], make_vif: Callable[..., Vif]) -> None:
    """One NIC and one disk, against reading and writing the same text: 4 times as long, a tenth of a millisecond."""
    build = partial(build_domain_xml, make_instance(), NULL, DISKS[:1], [make_vif()])
    text = build()

    def best(work: Callable[[], object]) -> float:
        """Seconds; of many, for the machine may be busy."""
        return min(timeit.repeat(work, number=1, repeat=100))

    assert best(build) < 10 * best(lambda: etree.tostring(etree.fromstring(text)))


@pytest.mark.parametrize("given", ["state/world", "state", "."])
@pytest.mark.parametrize("what", ["cdrom", "share"])
def test_no_guest_is_given_the_state_directory(
    what: str, given: str, tmp_path: Path, make_instance: Callable[..., Instance]
) -> None:
    pytest.importorskip("libvirt")
    from slipway.drivers.compute.libvirt.lookup import check_not_ours

    def written(path: Path) -> str:
        said = {"cdrom": str(path)} if what == "cdrom" else {"shares": (Share("src", str(path)),)}
        instance = make_instance()
        return build_domain_xml(replace(instance, request=replace(instance.request, **said)), NULL, DISKS, ())

    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / given)
    for path in (tmp_path / given, tmp_path / "link"):
        with pytest.raises(InvalidDomainXml, match=rf"{path} would give the guest the state directory of Slipway"):
            check_not_ours(written(path), tmp_path / "state")
    check_not_ours(written(tmp_path / "beside"), tmp_path / "state")

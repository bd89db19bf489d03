"""A domain that somebody has made by hand becomes an instance of a stack, or stays what it is, with all reasons."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from slipway import BuildFailed, Orchestrator, errors
from slipway.cli.main import main
from slipway.drivers.compute.handmade import read_hand_made
from slipway.model.request import Host, Volume
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode, crashed

ID = "11111111-2222-4333-8444-555555555555"
MAC = "52:54:00:00:00:07"
FILE = """
schema: 1
name: shop
hosts: {a: {vcpus: 4, memory: 4GiB, disk: 10GiB}}
networks: {front: {subnets: {front-4: {cidr: 10.0.0.0/24}}}}
"""


class Site:
    """A simulated host with somebody's domain on it."""

    def __init__(self, state: Path) -> None:
        self.state, self.file = state, state / "world" / "a" / "domains" / f"{ID}.json"
        self.slipway = Orchestrator(state)
        self.slipway.run(loads(FILE, "shop.yaml"))

    def make(self, **says: Any) -> None:
        said = {"instance_id": ID, "name": "old", "owner": "", "state": "shutdown", "vcpus": 2, "memory": 1 << 29}
        said |= {"generation": 0, "macs": [MAC], "taps": ["vnet0"], "disks": ["/srv/old.qcow2"]}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(said | says))

    def whole(self) -> object:
        """All that an import may change."""
        files = {path: path.read_bytes() for path in (self.state / "world").rglob("*.json")}
        ports = [(port.id, port.mac_address) for port in self.slipway.network.list_ports()]
        return files, ports, self.slipway.list()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "state")
    made.make()
    yield made
    made.slipway.close()


def test_it_is_built_on_its_disks_with_its_macs_and_destroy_takes_it(site: Site) -> None:
    instance = site.slipway.import_domain("shop", "old", "a", networks=["front"])
    assert (instance.name, instance.vm_state, instance.stack, instance.host) == ("old", "ACTIVE", "shop", "a")
    assert instance.request.disks == (Volume("/srv/old.qcow2", "qcow2"),)
    assert (instance.request.flavor.vcpus, instance.request.flavor.memory) == (2, 1 << 29)
    (port,) = site.slipway.network.list_ports(device_id=instance.id)
    assert port.mac_address == MAC
    assert not site.file.exists(), "the domain that was there is let go"
    assert site.slipway.audit() == ()
    with pytest.raises(errors.NothingToImport, match="host a has no domain old that is nobody's"):
        site.slipway.import_domain("shop", "old", "a", networks=["front"])
    site.slipway.destroy(loads(FILE, "shop.yaml"))
    assert (site.slipway.list(), site.slipway.network.list_ports(), site.slipway.audit()) == ([], (), ())


@pytest.mark.parametrize(
    ("says", "networks", "why"),
    [
        ({"state": "running"}, ["front"], "it runs, and would go on with other devices: shut it down"),
        ({}, [], "it has 1 NIC, and 0 networks were said: say one for each, in their order"),
        ({}, ["back"], "project default has no network back"),
        ({"name": "o" * 300}, ["front"], "name"),
    ],
)
def test_what_is_refused_is_told_with_all_reasons_and_nothing_changes(
    says: dict[str, Any], networks: list[str], why: str, site: Site
) -> None:
    site.make(**says)
    before = site.whole()
    with pytest.raises(errors.ImportRefused) as raised:
        site.slipway.import_domain("shop", says.get("name", "old"), "a", networks=networks)
    assert why in str(raised.value)
    assert site.whole() == before


def test_an_instance_called_so_is_not_taken_for_it(site: Site) -> None:
    taken = "name: shop\nflavors: {f: {vcpus: 1, memory: 64MiB, disk: 0B}}\nimages: {k: {kernel: /k}}\n"
    text = FILE.replace("name: shop\n", taken) + "instances: {old: {flavor: f, image: k, networks: []}}\n"
    site.slipway.run(loads(text, "shop.yaml"))
    before = site.whole()
    with pytest.raises(errors.ImportRefused, match="project default has an instance old already"):
        site.slipway.import_domain("shop", "old", "a", networks=["front"])
    assert site.whole() == before


def test_a_build_that_fails_leaves_it_as_it_was(site: Site) -> None:
    site.slipway.add_host(Host("a", 1, 1 << 32, 10 << 30))
    before = site.whole()
    with pytest.raises(BuildFailed):
        site.slipway.import_domain("shop", "old", "a", networks=["front"])
    assert (site.whole(), site.slipway.audit()) == (before, ())


def test_it_is_typed(site: Site) -> None:
    def typed(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["import", "old", *words, "--state", str(site.state)])
        return done.exit_code, done.output

    code, said = typed("--stack", "shop", "--host", "a")
    assert (code, "--kind domain and --host HOST belong together" in said) == (2, True)
    code, said = typed("--stack", "shop", "--kind", "domain", "--host", "a")
    assert (code, "say one for each" in said) == (1, True)
    code, said = typed("--stack", "shop", "--kind", "domain", "--host", "a", "--network", "front")
    assert (code, said) == (0, "domain old of host a is instance old of stack shop of project default\n")


def killed(state: Path, *faults: Fault) -> Faults:
    """An import in a process of its own, which may die in it."""
    armed = Faults(*faults)

    def act() -> None:
        with armed.orchestrator(state) as slipway:
            slipway.import_domain("shop", "old", "a", networks=["front"])

    if faults:
        assert crashed(act), faults
    else:
        act()
    return armed


@pytest.mark.slow
def test_whoever_dies_in_it_has_it_finished_by_asking_again(tmp_path: Path) -> None:
    template = Site(tmp_path / "template")
    template.make()
    template.slipway.close()
    shutil.copytree(template.state, tmp_path / "dry")
    seen = killed(tmp_path / "dry")
    points = [*seen.possible(Mode.CRASH_BEFORE, commits=True), *seen.possible(Mode.CRASH_AFTER, commits=True)]
    points += [*seen.possible(Mode.CRASH_BEFORE), *seen.possible(Mode.CRASH_AFTER)]
    assert len(points) > 40
    for number, point in enumerate(points):
        state = tmp_path / str(number)
        shutil.copytree(template.state, state)
        killed(state, point)
        with Orchestrator(state) as slipway:
            slipway.resume()
            with suppress(errors.NothingToImport):
                slipway.import_domain("shop", "old", "a", networks=["front"])
            (instance,) = slipway.list()
            assert (instance.vm_state, instance.stack) == ("ACTIVE", "shop"), point
            assert [port.mac_address for port in slipway.network.list_ports()] == [MAC], point
            assert not (state / "world" / "a" / "domains" / f"{ID}.json").exists(), point
            assert slipway.audit() == (), point
            slipway.destroy(loads(FILE, "shop.yaml"))
            assert (slipway.list(), slipway.network.list_ports(), slipway.audit()) == ([], (), ()), point
        shutil.rmtree(state)


XML = """<domain type='qemu'><name>old</name><uuid>{id}</uuid><memory unit='KiB'>65536</memory><vcpu>1</vcpu>{more}
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><devices><emulator>/q</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/old.qcow2'/>
<target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
<interface type='network'><mac address='52:54:00:00:00:07'/><source network='default'/>
<model type='virtio'/></interface>{devices}</devices></domain>"""


@pytest.mark.parametrize(
    ("more", "devices", "why"),
    [
        ("", "", ()),
        ("<cputune><shares>9</shares></cputune>", "", ("its vCPUs are pinned or have shares",)),
        ("", "<hostdev mode='subsystem'/><tpm/>", ("it has a hostdev", "it has a tpm")),
        (
            "",
            "<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/x'/>"
            "<target dev='sdb' bus='scsi'/></disk>",
            ("its disk sdb is a block, no file", "its disk sdb is at scsi, not at virtio"),
        ),
        (
            "",
            "<interface type='bridge'><mac address='52:54:00:00:00:08'/><model type='e1000'/></interface>",
            ("its NIC 52:54:00:00:00:08 is an e1000, not virtio",),
        ),
    ],
)
def test_what_libvirt_says_of_it(more: str, devices: str, why: tuple[str, ...]) -> None:
    found = read_hand_made(XML.format(id=ID, more=more, devices=devices))
    assert found.refused == why
    assert (found.name, found.id, found.vcpus, found.memory, found.machine) == ("old", ID, 1, 64 << 20, "q35")
    assert found.disks == (Volume("/srv/old.qcow2", "qcow2"),)

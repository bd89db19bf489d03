"""The contract of hypervisor drivers, over all of them, and what just these promise besides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway.drivers.compute.base import ComputeDriver
from slipway.drivers.compute.sim import SimCompute
from slipway.errors import ComputeError, DomainNotFound
from slipway.model.machine import PowerState
from slipway.model.request import Simulation
from slipway.testing.contracts.compute import ComputeContract, Make, Names, Plant
from slipway.testing.contracts.migration import MigrationContract
from slipway.testing.contracts.samples import HOST, make_domain
from tests.host.libvirtd import Libvirtd, empty


class OurCompute(ComputeContract):
    """What users' drivers may do otherwise."""

    def test_our_tag_is_ours(self, make_driver: Make) -> None:
        assert make_driver().platform_for_instance("one").owner == "slipway"

    def test_the_texts_of_refusals(self, make_driver: Make) -> None:
        driver, domain, other = make_driver(), make_domain("web-1"), make_domain("web-2")
        driver.spawn(domain)
        with pytest.raises(DomainNotFound, match=r"node-1: there is no domain of instance nobody"):
            driver.power_state("nobody")
        with pytest.raises(ComputeError, match="exists already"):
            driver.spawn(replace(other, name=domain.name, xml=other.xml.replace(other.name, domain.name)))
        with pytest.raises(ComputeError, match="uuid"):
            driver.spawn(replace(domain, instance_id=other.instance_id))

    def test_the_directory_of_all_definitions_is_private(self, make_driver: Make) -> None:
        path = Path(make_driver().write_definition("one", "<domain/>"))
        assert path.parent.parent.stat().st_mode & 0o777 == 0o700

    def test_any_mac_will_do_unless_the_host_says_otherwise(self, make_driver: Make) -> None:
        """N1."""
        assert make_driver().macs_for_instance("one") is None
        assert make_driver().dhcp_options_for_instance("one") == ()


class TestSim(OurCompute, MigrationContract):
    heeds = frozenset({PowerState.RUNNING})
    tells = False

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Make:
        return lambda: SimCompute(replace(HOST, simulate=Simulation(acpi=False)), tmp_path)

    @pytest.fixture
    def make_other(self, tmp_path: Path) -> Make:
        return lambda: SimCompute(replace(HOST, name="node-2"), tmp_path)

    @pytest.fixture
    def domains(self, tmp_path: Path) -> Path:
        return tmp_path / "world" / HOST.name / "domains"

    @pytest.fixture
    def plant(self, domains: Path) -> Plant:
        def plant(instance_id: str, name: str) -> Callable[[], bool]:
            domains.mkdir(parents=True, exist_ok=True)
            content: dict[str, Any] = {"instance_id": instance_id, "name": name, "owner": "somebody"}
            content |= {"state": "running", "vcpus": 1, "memory": 1 << 20, "generation": 1}
            content |= {"macs": [], "taps": [], "disks": []}
            file = domains / f"{instance_id}.json"
            file.write_text(json.dumps(content))
            return lambda: bool(json.loads(file.read_text()) == content)

        return plant

    @pytest.fixture
    def names(self, domains: Path) -> Names:
        return lambda: {json.loads(path.read_text())["name"] for path in domains.glob("*.json")}

    def test_no_guest_writes_anything(self, make_driver: Make) -> None:
        assert make_driver().console_log("one") is None


class OurLibvirt(OurCompute):
    """libvirt at any URI, emptied; the world of its own test driver lasts as long as a connection to it."""

    kind: str

    @pytest.fixture
    def libvirt(self, uri: str) -> Any:
        libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")
        connection = libvirt.open(uri)
        empty(connection)
        return connection

    @pytest.fixture
    def make_driver(self, libvirt: Any, uri: str, tmp_path: Path) -> Make:
        from slipway.drivers.compute.libvirt.driver import LibvirtCompute

        host = replace(HOST, compute="libvirt", uri=uri, accel="tcg")
        make: Callable[[], ComputeDriver] = partial(LibvirtCompute, host, tmp_path, "slipway")
        return make

    @pytest.fixture
    def plant(self, libvirt: Any) -> Plant:
        def plant(instance_id: str, name: str) -> Callable[[], bool]:
            domain = libvirt.createXML(
                f"<domain type='{self.kind}'><name>{name}</name><uuid>{instance_id}</uuid><memory>1024</memory>"
                "<os><type>hvm</type></os></domain>"
            )
            return lambda: bool(domain.isActive())

        return plant

    @pytest.fixture
    def names(self, libvirt: Any) -> Names:
        return lambda: {domain.name() for domain in libvirt.listAllDomains()}

    def test_the_console_logs_that_were_put_aside_go_with_the_definition(self, make_driver: Make) -> None:
        """virtlogd, which libvirt has for it where it is not told otherwise, puts logs aside that are too long."""
        driver = make_driver()
        paths = [Path(path) for one in ("one", "one-1") if (path := driver.console_log(one)) is not None]
        logs = [path.with_name(f"{path.name}{end}") for path in paths for end in ("", ".0", ".1")]
        driver.write_definition("one", "<domain/>")
        for log in logs:
            log.touch()
        driver.delete_definition("one")
        assert [log for log in logs if log.exists()] == logs[3:]
        assert len(logs) == 6

    def test_what_one_guest_wrote_is_not_the_next_ones(self, make_driver: Make) -> None:
        driver, domain = make_driver(), make_domain()
        driver.spawn(domain)
        old = Path(f"{driver.console_log(domain.instance_id)}.0")
        old.parent.mkdir(parents=True, exist_ok=True)
        old.touch()
        driver.start(domain.instance_id)
        assert old.exists(), "it runs: that is its own"
        driver.stop(domain.instance_id, force=True)
        driver.start(domain.instance_id)
        assert not old.exists()


class TestLibvirtsOwn(OurLibvirt):
    """libvirt's test driver, whose guests are always good."""

    heeds = frozenset({PowerState.SHUTDOWN})
    kind = "test"

    @pytest.fixture
    def uri(self) -> str:
        return "test:///default"


@pytest.mark.host
class TestQemu(OurLibvirt):
    """QEMU, under a libvirtd that is emptied at the end as well."""

    heeds = frozenset({PowerState.RUNNING})
    kind = "qemu"

    @pytest.fixture
    def uri(self, libvirtd: Libvirtd) -> Iterator[str]:
        yield libvirtd.uri
        libvirtd.clear()

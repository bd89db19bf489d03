"""What every hypervisor driver guarantees. A new driver: a class like `SimHypervisor`, and a line in `HYPERVISORS`."""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import pytest
from msgspec.structs import replace

from slipway.drivers.compute.base import Change, ComputeDriver, DomainEvent, DomainInfo, Hearing
from slipway.drivers.compute.sim import SimCompute
from slipway.errors import ComputeError, DomainNotFound
from slipway.model.machine import Domain, PowerState
from slipway.model.request import Host, Simulation
from tests.host.libvirtd import Libvirtd, empty
from tests.waiting import PATIENCE

HOST = Host("node-1", vcpus=8, memory=1 << 34, disk=1 << 40)


class Hypervisor(Protocol):
    """A hypervisor under test and the means to do to it what the driver cannot."""

    guests_obey: bool
    """Whether each shuts down when it is asked to, whatever is in it."""

    def driver(self, *, acpi: bool = True) -> ComputeDriver:
        """A new driver object of the same hypervisor, as after a restart; where guests are simulated, of what kind."""

    def plant(self, instance_id: str, name: str) -> None:
        """Make a domain that is not ours."""

    def names(self) -> set[str]:
        """The names of all domains, ours and others', without the driver."""

    def running(self) -> set[str]:
        """The names of those that run."""


class SimHypervisor:
    guests_obey = False

    def __init__(self, state: Path) -> None:
        self.state = state
        self.domains = state / "world" / HOST.name / "domains"

    def driver(self, *, acpi: bool = True) -> SimCompute:
        return SimCompute(replace(HOST, simulate=Simulation(acpi=acpi)), self.state)

    def plant(self, instance_id: str, name: str) -> None:
        self.domains.mkdir(parents=True, exist_ok=True)
        content = {"instance_id": instance_id, "name": name, "owner": "somebody", "state": "running", "vcpus": 1}
        content |= {"memory": 1 << 20, "generation": 1, "macs": [], "taps": [], "disks": []}
        (self.domains / f"{instance_id}.json").write_text(json.dumps(content))

    def names(self) -> set[str]:
        return {domain["name"] for domain in self._all()}

    def running(self) -> set[str]:
        return {domain["name"] for domain in self._all() if domain["state"] == "running"}

    def _all(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in self.domains.glob("*.json")]


class LibvirtHypervisor:
    """libvirt at any URI, emptied; the world of its own test driver lasts as long as a connection to it."""

    def __init__(self, state: Path, uri: str, kind: str) -> None:
        libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed")
        self.state, self.uri, self.kind = state, uri, kind
        self.guests_obey = kind == "test"
        self.libvirt = libvirt.open(uri)
        empty(self.libvirt)

    def driver(self, *, acpi: bool = True) -> ComputeDriver:
        from slipway.drivers.compute.libvirt.driver import LibvirtCompute

        host = replace(HOST, compute="libvirt", uri=self.uri, accel="tcg")
        return LibvirtCompute(host, self.state, "slipway")

    def plant(self, instance_id: str, name: str) -> None:
        self.libvirt.createXML(
            f"<domain type='{self.kind}'><name>{name}</name><uuid>{instance_id}</uuid><memory>1024</memory>"
            "<os><type>hvm</type></os></domain>"
        )

    def names(self) -> set[str]:
        return {domain.name() for domain in self.libvirt.listAllDomains()}

    def running(self) -> set[str]:
        return {domain.name() for domain in self.libvirt.listAllDomains() if domain.isActive()}


def a_real_one(state: Path, request: pytest.FixtureRequest) -> Hypervisor:
    """QEMU, under a libvirtd that is emptied at the end as well."""
    libvirtd: Libvirtd = request.getfixturevalue("libvirtd")
    request.addfinalizer(libvirtd.clear)
    return LibvirtHypervisor(state, libvirtd.uri, "qemu")


HYPERVISORS: dict[str, Callable[[Path, pytest.FixtureRequest], Hypervisor]] = {
    "sim": lambda state, request: SimHypervisor(state),
    "libvirt-test": lambda state, request: LibvirtHypervisor(state, "test:///default", "test"),
    "libvirt-qemu": a_real_one,
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.host) if "qemu" in name else name for name in HYPERVISORS])
def hypervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Hypervisor:
    return HYPERVISORS[request.param](tmp_path, request)


def test_the_xml_says_whose_the_domain_is(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    assert hypervisor.driver().platform_for_instance(make_domain().instance_id).owner == "slipway"


def test_spawn_makes_a_running_domain(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    hypervisor.driver().spawn(domain)
    assert hypervisor.names() == {domain.name}
    assert hypervisor.driver().power_state(domain.instance_id) is PowerState.RUNNING
    assert list(hypervisor.driver().list_domains()) == [
        DomainInfo(domain.instance_id, domain.name, PowerState.RUNNING, domain.vcpus, domain.memory)
    ]


def test_spawn_twice_is_spawn_once(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    driver = hypervisor.driver()
    driver.spawn(domain)
    driver.spawn(domain)
    hypervisor.driver().spawn(domain)
    assert len(driver.list_domains()) == 1


def test_destroy_twice_and_before_spawn(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain, other = make_domain("web-1"), make_domain("web-2")
    driver = hypervisor.driver()
    driver.destroy(domain.instance_id)
    driver.spawn(domain)
    driver.spawn(other)
    driver.destroy(domain.instance_id)
    driver.destroy(domain.instance_id)
    assert hypervisor.names() == {other.name}


def test_spawn_again_after_destroy(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    driver = hypervisor.driver()
    driver.spawn(domain)
    driver.destroy(domain.instance_id)
    driver.spawn(domain)
    assert driver.power_state(domain.instance_id) is PowerState.RUNNING


def test_power_state_of_none(hypervisor: Hypervisor) -> None:
    with pytest.raises(DomainNotFound, match=r"node-1: there is no domain of instance nobody"):
        hypervisor.driver().power_state("nobody")


def test_a_name_that_another_domain_has_is_refused(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain, other = make_domain("web-1"), make_domain("web-2")
    clash = replace(other, name=domain.name, xml=other.xml.replace(other.name, domain.name))
    hypervisor.driver().spawn(domain)
    with pytest.raises(ComputeError, match="exists already"):
        hypervisor.driver().spawn(clash)
    assert [info.instance_id for info in hypervisor.driver().list_domains()] == [domain.instance_id]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("</domain>", ""),
        ("<domain ", "<network "),
        ("<uuid>", "<uuid>0"),
        ("<name>", "<name>another-"),
        ("<uuid>", "<genid>"),
    ],
    ids=["malformed", "no domain", "not a uuid", "another name", "no uuid"],
)
def test_xml_that_does_not_fit_is_refused(
    hypervisor: Hypervisor, make_domain: Callable[..., Domain], old: str, new: str
) -> None:
    domain = make_domain()
    xml = domain.xml.replace(old, new, 1).replace("</domain>", "</network>" if "network" in new else "</domain>")
    xml = xml.replace("</uuid>", "</genid>") if "genid" in new else xml
    with pytest.raises(ComputeError):
        hypervisor.driver().spawn(replace(domain, xml=xml))
    assert list(hypervisor.driver().list_domains()) == []


def test_xml_of_another_instance_is_refused(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    with pytest.raises(ComputeError, match="uuid"):
        hypervisor.driver().spawn(replace(domain, instance_id=str(uuid.uuid4())))
    assert list(hypervisor.driver().list_domains()) == []


def test_what_is_not_ours_is_left_alone(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    hypervisor.plant(domain.instance_id, "not-ours")
    driver = hypervisor.driver()
    assert list(driver.list_domains()) == []
    with pytest.raises(DomainNotFound):
        driver.power_state(domain.instance_id)
    with pytest.raises(ComputeError):
        driver.spawn(domain)
    driver.destroy(domain.instance_id)
    assert hypervisor.names() == {"not-ours"}


def test_spawns_at_once(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    """Each domain is asked for by two threads, each with a driver of its own."""
    domains = [make_domain(f"web-{number}") for number in range(10)]
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(hypervisor.driver().spawn, domain) for domain in domains * 2]:
            future.result()
    assert hypervisor.names() == {domain.name for domain in domains}


def test_one_of_two_with_one_name_wins(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    first, second = make_domain("web-1"), make_domain("web-2")
    clash = replace(second, name=first.name, xml=second.xml.replace(second.name, first.name))
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(hypervisor.driver().spawn, domain) for domain in (first, clash)]
        errors = [future.exception() for future in futures]
    assert [type(error) for error in errors if error is not None] == [ComputeError]
    assert len(hypervisor.driver().list_domains()) == 1


def test_a_guest_without_an_agent_tells_nothing(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain, driver = make_domain(), hypervisor.driver()
    hypervisor.plant(domain.instance_id, "not-ours")
    with pytest.raises(DomainNotFound):
        driver.guest_addresses(domain.instance_id)
    ours = make_domain("web-2")
    driver.spawn(ours)
    assert driver.guest_addresses(ours.instance_id) is None
    driver.stop(ours.instance_id, force=True)
    assert driver.guest_addresses(ours.instance_id) is None


# --- stop and start -------------------------------------------------------------------------------------------------


def test_the_console_log_is_the_one_that_the_xml_names(hypervisor: Hypervisor) -> None:
    """Or there is none, where no guest is."""
    instance_id = str(uuid.uuid4())
    driver = hypervisor.driver()
    path = driver.console_log(instance_id)
    assert path == driver.platform_for_instance(instance_id).console_log
    assert (path is None) == isinstance(driver, SimCompute)


def test_the_console_logs_go_with_the_definition(hypervisor: Hypervisor) -> None:
    """virtlogd, which libvirt has for it where it is not told otherwise, puts logs aside that are too long."""
    driver = hypervisor.driver()
    paths = [Path(path) for one in ("one", "one-1") if (path := driver.console_log(one)) is not None]
    logs = [path.with_name(f"{path.name}{end}") for path in paths for end in ("", ".0", ".1")]
    driver.write_definition("one", "<domain/>")
    for log in logs:
        log.touch()
    driver.delete_definition("one")
    assert [log for log in logs if log.exists()] == logs[3:]


def test_stop_leaves_the_domain_defined_and_start_runs_it_again(
    hypervisor: Hypervisor, make_domain: Callable[..., Domain]
) -> None:
    domain, driver = make_domain(), hypervisor.driver()
    driver.spawn(domain)
    for _ in range(2):
        driver.stop(domain.instance_id, force=True)
        assert driver.power_state(domain.instance_id) is PowerState.SHUTDOWN
    assert hypervisor.names() == {domain.name}
    assert [info.state for info in hypervisor.driver().list_domains()] == [PowerState.SHUTDOWN]
    for _ in range(2):
        hypervisor.driver().start(domain.instance_id)
        assert driver.power_state(domain.instance_id) is PowerState.RUNNING


def test_a_guest_without_acpi_is_asked_and_goes_on(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    """There is none in these domains but in libvirt's own test driver, whose guests are always good."""
    domain, driver = make_domain(), hypervisor.driver(acpi=False)
    driver.spawn(domain)
    driver.stop(domain.instance_id, force=False)
    state = PowerState.SHUTDOWN if hypervisor.guests_obey else PowerState.RUNNING
    assert driver.power_state(domain.instance_id) is state
    driver.stop(domain.instance_id, force=True)
    driver.stop(domain.instance_id, force=False)
    assert driver.power_state(domain.instance_id) is PowerState.SHUTDOWN


def test_what_is_stopped_can_be_destroyed(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain, driver = make_domain(), hypervisor.driver()
    driver.spawn(domain)
    driver.stop(domain.instance_id, force=True)
    driver.destroy(domain.instance_id)
    assert hypervisor.names() == set()


def test_stop_and_start_of_none_or_of_what_is_not_ours(
    hypervisor: Hypervisor, make_domain: Callable[..., Domain]
) -> None:
    domain, driver = make_domain(), hypervisor.driver()
    hypervisor.plant(domain.instance_id, "not-ours")
    for instance_id in ("nobody", domain.instance_id):
        for force in (True, False):
            with pytest.raises(DomainNotFound):
                driver.stop(instance_id, force=force)
        with pytest.raises(DomainNotFound):
            driver.start(instance_id)
    assert hypervisor.running() == {"not-ours"}


def test_starts_at_once(hypervisor: Hypervisor, make_domain: Callable[..., Domain]) -> None:
    domain = make_domain()
    hypervisor.driver().spawn(domain)
    hypervisor.driver().stop(domain.instance_id, force=True)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(hypervisor.driver().start, domain.instance_id) for _ in range(4)]:
            future.result()
    assert hypervisor.running() == {domain.name}


# --- what happens by itself -----------------------------------------------------------------------------------------


def test_what_happens_to_our_domains_is_told_until_nobody_wants_to_know(
    hypervisor: Hypervisor, make_domain: Callable[..., Domain]
) -> None:
    """A simulated domain does nothing by itself, and nothing is told of it."""
    told: SimpleQueue[DomainEvent | Hearing] = SimpleQueue()
    driver, domain = hypervisor.driver(), make_domain()
    end = hypervisor.driver().watch(told.put)
    assert told.get(timeout=PATIENCE) == Hearing()
    hypervisor.plant(str(uuid.uuid4()), "not-ours")
    driver.spawn(domain)
    driver.stop(domain.instance_id, force=True)
    driver.start(domain.instance_id)
    changes = [] if isinstance(driver, SimCompute) else [Change.STARTED, Change.DESTROYED, Change.STARTED]
    heard: list[DomainEvent | Hearing] = []
    while len(heard) < len(changes):
        if (one := told.get(timeout=PATIENCE)) != DomainEvent(domain.instance_id, Change.RESUMED):
            heard.append(one)
    assert heard == [DomainEvent(domain.instance_id, change) for change in changes]
    end()
    driver.stop(domain.instance_id, force=True)
    assert DomainEvent(domain.instance_id, Change.DESTROYED) not in [told.get() for _ in range(told.qsize())]


# --- the instances' XML files ---------------------------------------------------------------------------------------


def test_a_definition_is_kept_and_replaced(hypervisor: Hypervisor) -> None:
    driver = hypervisor.driver()
    path = driver.write_definition("one", "<domain>old</domain>")
    assert driver.write_definition("one", "<domain>ü</domain>") == path
    assert Path(path).read_text(encoding="utf-8") == "<domain>ü</domain>"
    assert list(hypervisor.driver().list_definitions()) == ["one"]


def test_a_definition_is_private_under_any_umask(hypervisor: Hypervisor) -> None:
    before = os.umask(0)
    try:
        path = Path(hypervisor.driver().write_definition("one", "<domain/>"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_delete_definition_twice_and_before_write(hypervisor: Hypervisor) -> None:
    driver = hypervisor.driver()
    driver.delete_definition("one")
    path = driver.write_definition("one", "<domain/>")
    driver.write_definition("two", "<domain/>")
    driver.delete_definition("one")
    driver.delete_definition("one")
    assert not Path(path).exists()
    assert list(driver.list_definitions()) == ["two"]


def test_no_id_leads_out_of_the_directory(hypervisor: Hypervisor) -> None:
    driver = hypervisor.driver()
    ids = ["../../up", "..", "/etc/passwd", "a b", "ü"]
    parents = {Path(driver.write_definition(instance_id, "<domain/>")).resolve().parent for instance_id in ids}
    assert len(parents) == 1
    assert sorted(driver.list_definitions()) == sorted(ids)


def test_any_mac_will_do_unless_the_host_says_otherwise(hypervisor: Hypervisor) -> None:
    """N1."""
    assert hypervisor.driver().macs_for_instance("one") is None
    assert hypervisor.driver().dhcp_options_for_instance("one") == ()

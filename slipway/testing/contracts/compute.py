"""What every hypervisor driver guarantees, as `slipway.drivers.compute.base` says it."""

from __future__ import annotations

import os
import re
import stat
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import ClassVar

import pytest
from msgspec.structs import replace

from slipway.drivers.compute.base import Change, ComputeDriver, DomainEvent, DomainInfo, Hearing
from slipway.errors import ComputeError, DomainNotFound
from slipway.model.machine import PowerState
from slipway.testing.contracts.samples import PATIENCE, lacking, make_domain
from slipway.testing.contracts.stillness import StillnessContract

Make = Callable[[], ComputeDriver]
Names = Callable[[], set[str]]
Plant = Callable[[str, str], Callable[[], bool]]


class ComputeContract(StillnessContract):
    """Subclass it and override the fixture `make_driver`; `plant` and `names` say what the driver itself cannot."""

    heeds: ClassVar[frozenset[PowerState]] = frozenset({PowerState.RUNNING, PowerState.SHUTDOWN})
    """What a guest without an operating system may do that is asked to shut down: go on, or heed it at once."""
    tells: ClassVar[bool] = True
    """Whether what is done to a domain is told by `watch`; False where the hypervisor does nothing by itself."""

    @pytest.fixture
    def make_driver(self) -> Make:
        """Makes a driver; each call another one of the same hypervisor without domains, as after a restart."""
        raise NotImplementedError(f"{type(self).__name__}: override the fixture make_driver")

    @pytest.fixture
    def plant(self) -> Plant:
        """Makes a running domain of an instance's id and a name that is not ours; gives whether it still runs."""
        pytest.skip(f"{type(self).__name__} does not say how to make a domain that is not ours: override `plant`")

    @pytest.fixture
    def names(self, make_driver: Make) -> Names:
        """Tells the names of all domains; better not by the driver."""
        return lambda: {info.name for info in make_driver().list_domains()}

    def test_it_has_all_that_the_protocol_names(self, make_driver: Make) -> None:
        assert lacking(make_driver(), ComputeDriver) == set()

    def test_the_xml_says_whose_the_domain_is(self, make_driver: Make) -> None:
        assert make_driver().platform_for_instance(make_domain().instance_id).owner

    def test_spawn_makes_a_running_domain(self, make_driver: Make, names: Names) -> None:
        domain = make_domain()
        make_driver().spawn(domain)
        assert names() == {domain.name}
        assert make_driver().power_state(domain.instance_id) is PowerState.RUNNING
        # Whether it opens taps is the driver's to say.
        assert [replace(info, opens_taps=False) for info in make_driver().list_domains()] == [
            DomainInfo(domain.instance_id, domain.name, PowerState.RUNNING, domain.vcpus, domain.memory)
        ]

    def test_spawn_twice_is_spawn_once(self, make_driver: Make) -> None:
        domain = make_domain()
        driver = make_driver()
        driver.spawn(domain)
        driver.spawn(domain)
        make_driver().spawn(domain)
        assert len(driver.list_domains()) == 1

    def test_destroy_twice_and_before_spawn(self, make_driver: Make, names: Names) -> None:
        domain, other = make_domain("web-1"), make_domain("web-2")
        driver = make_driver()
        driver.destroy(domain.instance_id)
        driver.spawn(domain)
        driver.spawn(other)
        driver.destroy(domain.instance_id)
        driver.destroy(domain.instance_id)
        assert names() == {other.name}

    def test_spawn_again_after_destroy(self, make_driver: Make) -> None:
        domain = make_domain()
        driver = make_driver()
        driver.spawn(domain)
        driver.destroy(domain.instance_id)
        driver.spawn(domain)
        assert driver.power_state(domain.instance_id) is PowerState.RUNNING

    def test_power_state_of_none(self, make_driver: Make) -> None:
        with pytest.raises(DomainNotFound, match="nobody"):
            make_driver().power_state("nobody")

    def test_a_name_that_another_domain_has_is_refused(self, make_driver: Make) -> None:
        domain, other = make_domain("web-1"), make_domain("web-2")
        clash = replace(other, name=domain.name, xml=other.xml.replace(other.name, domain.name))
        make_driver().spawn(domain)
        with pytest.raises(ComputeError, match=re.escape(domain.name)):
            make_driver().spawn(clash)
        assert [info.instance_id for info in make_driver().list_domains()] == [domain.instance_id]

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
    def test_xml_that_does_not_fit_is_refused(self, make_driver: Make, old: str, new: str) -> None:
        domain = make_domain()
        xml = domain.xml.replace(old, new, 1).replace("</domain>", "</network>" if "network" in new else "</domain>")
        xml = xml.replace("</uuid>", "</genid>") if "genid" in new else xml
        with pytest.raises(ComputeError):
            make_driver().spawn(replace(domain, xml=xml))
        assert list(make_driver().list_domains()) == []

    def test_xml_of_another_instance_is_refused(self, make_driver: Make) -> None:
        domain = make_domain()
        with pytest.raises(ComputeError):
            make_driver().spawn(replace(domain, instance_id=str(uuid.uuid4())))
        assert list(make_driver().list_domains()) == []

    def test_what_is_not_ours_is_left_alone(self, make_driver: Make, plant: Plant) -> None:
        domain = make_domain()
        still_runs = plant(domain.instance_id, "not-ours")
        driver = make_driver()
        assert list(driver.list_domains()) == []
        with pytest.raises(DomainNotFound):
            driver.power_state(domain.instance_id)
        with pytest.raises(ComputeError):
            driver.spawn(domain)
        driver.destroy(domain.instance_id)
        assert still_runs()

    def test_spawns_at_once(self, make_driver: Make, names: Names) -> None:
        """Each domain is asked for by two threads, each with a driver of its own."""
        domains = [make_domain(f"web-{number}") for number in range(10)]
        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(make_driver().spawn, domain) for domain in domains * 2]:
                future.result()
        assert names() == {domain.name for domain in domains}

    def test_one_of_two_with_one_name_wins(self, make_driver: Make) -> None:
        first, second = make_domain("web-1"), make_domain("web-2")
        clash = replace(second, name=first.name, xml=second.xml.replace(second.name, first.name))
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(make_driver().spawn, domain) for domain in (first, clash)]
            errors = [future.exception() for future in futures]
        assert [type(error) for error in errors if error is not None] == [ComputeError]
        assert len(make_driver().list_domains()) == 1

    def test_a_guest_without_an_agent_tells_nothing(self, make_driver: Make, plant: Plant) -> None:
        domain, driver = make_domain(), make_driver()
        plant(domain.instance_id, "not-ours")
        with pytest.raises(DomainNotFound):
            driver.guest_addresses(domain.instance_id)
        ours = make_domain("web-2")
        driver.spawn(ours)
        assert driver.guest_addresses(ours.instance_id) is None
        driver.stop(ours.instance_id, force=True)
        assert driver.guest_addresses(ours.instance_id) is None

    # --- stop and start ---------------------------------------------------------------------------------------------

    def test_the_console_log_is_the_one_that_the_xml_names(self, make_driver: Make) -> None:
        """Or there is none, where no guest is that would write one."""
        instance_id = str(uuid.uuid4())
        driver = make_driver()
        path = driver.console_log(instance_id)
        assert path == driver.platform_for_instance(instance_id).console_log

    def test_the_console_log_goes_with_the_definition(self, make_driver: Make) -> None:
        """That of another instance stays, however alike their names are."""
        driver = make_driver()
        logs = [Path(path) for one in ("one", "one-1") if (path := driver.console_log(one)) is not None]
        driver.write_definition("one", "<domain/>")
        for log in logs:
            log.touch()
        driver.delete_definition("one")
        assert [log for log in logs if log.exists()] == logs[1:]

    def test_stop_leaves_the_domain_defined_and_start_runs_it_again(self, make_driver: Make, names: Names) -> None:
        domain, driver = make_domain(), make_driver()
        driver.spawn(domain)
        for _ in range(2):
            driver.stop(domain.instance_id, force=True)
            assert driver.power_state(domain.instance_id) is PowerState.SHUTDOWN
        assert names() == {domain.name}
        assert [info.state for info in make_driver().list_domains()] == [PowerState.SHUTDOWN]
        for _ in range(2):
            make_driver().start(domain.instance_id)
            assert driver.power_state(domain.instance_id) is PowerState.RUNNING

    def test_a_guest_without_acpi_is_asked_and_goes_on(self, make_driver: Make) -> None:
        domain, driver = make_domain(), make_driver()
        driver.spawn(domain)
        driver.stop(domain.instance_id, force=False)
        assert driver.power_state(domain.instance_id) in self.heeds
        driver.stop(domain.instance_id, force=True)
        driver.stop(domain.instance_id, force=False)
        assert driver.power_state(domain.instance_id) is PowerState.SHUTDOWN

    def test_what_is_stopped_can_be_destroyed(self, make_driver: Make, names: Names) -> None:
        domain, driver = make_domain(), make_driver()
        driver.spawn(domain)
        driver.stop(domain.instance_id, force=True)
        driver.destroy(domain.instance_id)
        assert names() == set()

    def test_what_runs_can_be_started_again_and_needs_no_resume(self, make_driver: Make, plant: Plant) -> None:
        """A driver that can be asked for more, such as a pause, has tests of its own for what comes of it."""
        domain, driver = make_domain(), make_driver()
        plant(domain.instance_id, "not-ours")
        for question in (driver.obstacles, driver.resume):
            with pytest.raises(DomainNotFound):
                question(domain.instance_id)
        ours = make_domain("web-2")
        driver.spawn(ours)
        driver.resume(ours.instance_id)
        assert driver.power_state(ours.instance_id) is PowerState.RUNNING
        assert [info.fault for info in driver.list_domains()] == [""]
        assert list(driver.obstacles(ours.instance_id)) == []
        driver.stop(ours.instance_id, force=True)
        driver.resume(ours.instance_id)
        assert driver.power_state(ours.instance_id) is PowerState.SHUTDOWN
        assert list(driver.obstacles(ours.instance_id)) == []

    def test_stop_and_start_of_none_or_of_what_is_not_ours(self, make_driver: Make, plant: Plant) -> None:
        domain, driver = make_domain(), make_driver()
        still_runs = plant(domain.instance_id, "not-ours")
        for instance_id in ("nobody", domain.instance_id):
            for force in (True, False):
                with pytest.raises(DomainNotFound):
                    driver.stop(instance_id, force=force)
            with pytest.raises(DomainNotFound):
                driver.start(instance_id)
        assert still_runs()

    def test_starts_at_once(self, make_driver: Make, names: Names) -> None:
        domain = make_domain()
        make_driver().spawn(domain)
        make_driver().stop(domain.instance_id, force=True)
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(make_driver().start, domain.instance_id) for _ in range(4)]:
                future.result()
        assert make_driver().power_state(domain.instance_id) is PowerState.RUNNING
        assert names() == {domain.name}

    def test_a_disk_of_what_is_shut_off_is_for_others_to_grow(self, make_driver: Make, plant: Plant) -> None:
        domain, driver = make_domain(), make_driver()
        plant(domain.instance_id, "not-ours")
        with pytest.raises(DomainNotFound):
            driver.block_resize(domain.instance_id, "/nowhere", 1 << 30)
        ours = make_domain("web-2")
        driver.spawn(ours)
        driver.stop(ours.instance_id, force=True)
        assert driver.block_resize(ours.instance_id, "/nowhere", 1 << 30) is False

    # --- repair -----------------------------------------------------------------------------------------------------

    def test_redefine_neither_ends_nor_starts_what_is_there(self, make_driver: Make, names: Names) -> None:
        domain, driver = make_domain(), make_driver()
        driver.spawn(domain)
        before = list(driver.list_domains())
        for _ in range(2):
            make_driver().redefine(domain)
            assert list(driver.list_domains()) == before
        driver.stop(domain.instance_id, force=True)
        driver.redefine(domain)
        assert driver.power_state(domain.instance_id) is PowerState.SHUTDOWN
        assert names() == {domain.name}

    def test_redefine_brings_back_what_is_gone_and_start_runs_it(self, make_driver: Make, names: Names) -> None:
        domain, driver = make_domain(), make_driver()
        for _ in range(2):
            driver.redefine(domain)
            assert [(info.name, info.state) for info in make_driver().list_domains()] == [
                (domain.name, PowerState.SHUTDOWN)
            ]
        driver.start(domain.instance_id)
        assert driver.power_state(domain.instance_id) is PowerState.RUNNING
        driver.destroy(domain.instance_id)
        assert names() == set()

    def test_redefine_gives_what_is_shut_off_the_size_that_its_xml_says(self, make_driver: Make) -> None:
        domain, driver = make_domain(), make_driver()
        other = make_domain(memory=domain.memory // 2)
        xml = other.xml.replace(other.instance_id, domain.instance_id).replace(other.name, domain.name)
        driver.spawn(replace(domain, memory=other.memory, xml=xml))
        driver.stop(domain.instance_id, force=True)
        driver.redefine(domain)
        assert [info.memory for info in driver.list_domains()] == [domain.memory]

    def test_redefine_of_xml_that_does_not_fit_is_refused(self, make_driver: Make) -> None:
        domain, driver = make_domain(), make_driver()
        driver.spawn(domain)
        before = list(driver.list_domains())
        for unfit in (
            replace(domain, xml=domain.xml.replace("</domain>", "")),
            replace(domain, instance_id=str(uuid.uuid4())),
        ):
            with pytest.raises(ComputeError):
                driver.redefine(unfit)
        assert list(driver.list_domains()) == before

    def test_repair_leaves_alone_what_is_not_ours(self, make_driver: Make, plant: Plant) -> None:
        domain, driver = make_domain(), make_driver()
        still_runs = plant(domain.instance_id, "not-ours")
        with pytest.raises(ComputeError):
            driver.redefine(domain)
        for instance_id in ("nobody", domain.instance_id):
            with pytest.raises(DomainNotFound):
                driver.reconnect(instance_id, "fa:16:3e:00:00:01")
        assert still_runs()

    # --- what happens by itself -------------------------------------------------------------------------------------

    def test_what_happens_to_our_domains_is_told_until_nobody_wants_to_know(
        self, make_driver: Make, plant: Plant
    ) -> None:
        told: SimpleQueue[DomainEvent | Hearing] = SimpleQueue()
        driver, domain = make_driver(), make_domain()
        end = make_driver().watch(told.put)
        assert told.get(timeout=PATIENCE) == Hearing()
        plant(str(uuid.uuid4()), "not-ours")
        driver.spawn(domain)
        driver.stop(domain.instance_id, force=True)
        driver.start(domain.instance_id)
        changes = [Change.STARTED, Change.DESTROYED, Change.STARTED] if self.tells else []
        heard: list[DomainEvent | Hearing] = []
        while len(heard) < len(changes):
            if (one := told.get(timeout=PATIENCE)) != DomainEvent(domain.instance_id, Change.RESUMED):
                heard.append(one)
        assert heard == [DomainEvent(domain.instance_id, change) for change in changes]
        end()
        driver.stop(domain.instance_id, force=True)
        assert DomainEvent(domain.instance_id, Change.DESTROYED) not in [told.get() for _ in range(told.qsize())]

    # --- the instances' XML files -----------------------------------------------------------------------------------

    def test_a_definition_is_kept_and_replaced(self, make_driver: Make) -> None:
        driver = make_driver()
        path = driver.write_definition("one", "<domain>old</domain>")
        assert driver.write_definition("one", "<domain>ü</domain>") == path
        assert Path(path).read_text(encoding="utf-8") == "<domain>ü</domain>"
        assert list(make_driver().list_definitions()) == ["one"]

    def test_a_definition_is_private_under_any_umask(self, make_driver: Make) -> None:
        before = os.umask(0)
        try:
            path = Path(make_driver().write_definition("one", "<domain/>"))
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_delete_definition_twice_and_before_write(self, make_driver: Make) -> None:
        driver = make_driver()
        driver.delete_definition("one")
        path = driver.write_definition("one", "<domain/>")
        driver.write_definition("two", "<domain/>")
        driver.delete_definition("one")
        driver.delete_definition("one")
        assert not Path(path).exists()
        assert list(driver.list_definitions()) == ["two"]

    def test_no_id_leads_out_of_the_directory(self, make_driver: Make) -> None:
        driver = make_driver()
        ids = ["../../up", "..", "/etc/passwd", "a b", "ü"]
        parents = {Path(driver.write_definition(instance_id, "<domain/>")).resolve().parent for instance_id in ids}
        assert len(parents) == 1
        assert sorted(driver.list_definitions()) == sorted(ids)

    def test_a_mac_that_the_host_dictates_is_one(self, make_driver: Make) -> None:
        macs = make_driver().macs_for_instance("one")
        assert macs is None or all(re.fullmatch("([0-9a-f]{2}:){5}[0-9a-f]{2}", mac) for mac in macs)

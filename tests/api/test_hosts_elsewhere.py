"""A host belongs to one machine and state directory: whoever else has the same database does not act on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import BuildFailed, Orchestrator, errors
from slipway.drivers import place, registry
from slipway.drivers.place import is_here, place_of, settle
from slipway.model.request import Host
from slipway.operations.audit import Difference
from slipway.operations.batch import Status
from slipway.runfile import RunFile, loads
from slipway.states.worker import this_worker
from slipway.testing import Fault, Faults, Mode

FILE = """
schema: 1
hosts: {{{hosts}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{kernel: ./k}}}}
instances: {{{instances}}}
"""
HOST = "{vcpus: 8, memory: 16GiB, disk: 100GiB}"
WEB = "web: {flavor: s, image: i, networks: [net]}"


def file(hosts: str = f"a: {HOST}", instances: str = WEB) -> RunFile:
    return loads(FILE.format(hosts=hosts, instances=instances), "f.yaml")


class Places:
    """Two state directories with one database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.first, self.second = directory / "first", directory / "second"
        self.db = f"sqlite:///{directory}/one.db"

    def open(self, state: Path) -> Orchestrator:
        return Orchestrator(state, db=self.db)

    def world(self, state: Path) -> set[str]:
        return {path.name for path in (state / "world").rglob("*.json") if path.name != "version.json"}


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    made = Places(tmp_path)
    with made.open(made.first) as slipway:
        slipway.run(file())
    yield made
    assert made.world(made.second) == set()


VERBS: dict[str, Callable[[Orchestrator], object]] = {
    "delete": lambda slipway: slipway.delete("web"),
    "stop": lambda slipway: slipway.stop("web"),
    "reboot": lambda slipway: slipway.reboot("web"),
    "run": lambda slipway: slipway.run(file()),
    "run of more": lambda slipway: slipway.run(file(instances=f"{WEB}, db: {{flavor: s, image: i}}")),
    "destroy": lambda slipway: slipway.destroy(file()),
    "add_host": lambda slipway: slipway.add_host(replace(file().hosts[0], vcpus=1)),
    "remove_host": lambda slipway: slipway.remove_host("a"),
    "console": lambda slipway: list(slipway.console("web")),
}


@pytest.mark.parametrize("verb", VERBS)
def test_another_state_directory_does_nothing_on_it(verb: str, places: Places) -> None:
    with places.open(places.second) as second:
        before = second.list(), second.show("web")
        with pytest.raises(errors.HostElsewhere, match=rf"host a belongs to state directory {places.first} on ") as why:
            VERBS[verb](second)
        assert "slipway host take a" in str(why.value)
        assert (second.list(), second.show("web")) == before
    with places.open(places.first) as first:
        assert first.audit() == ()
        assert first.delete("web").vm_state == "DELETED"
    assert places.world(places.first) == set()


def test_a_stopped_instance_is_not_started_from_elsewhere(places: Places) -> None:
    with places.open(places.first) as first, places.open(places.second) as second:
        first.stop("web")
        with pytest.raises(errors.HostElsewhere):
            second.start("web")
        assert first.start("web").fault is None


def test_audit_says_that_nothing_is_known_of_it(places: Places) -> None:
    with places.open(places.second) as second:
        findings = second.audit()
    assert {(finding.difference, finding.host) for finding in findings} == {(Difference.UNREACHABLE, "a")}
    assert all("HostElsewhere: host a belongs to" in finding.detail for finding in findings)


def test_addresses_say_who_could_not_be_asked(places: Places) -> None:
    with places.open(places.second) as second:
        (why,) = second.addresses("web").unasked
    assert why.startswith("HostElsewhere: host a belongs to")


def test_each_builds_on_its_own_hosts(places: Places) -> None:
    with places.open(places.first) as first, places.open(places.second) as second:
        (ended,) = second.run(file(f"b: {HOST}", "db: {flavor: s, image: i, networks: [net]}")).ended
        assert (str(ended.status), ended.instance and ended.instance.host) == ("built", "b")
        web = file().instances[0].request
        for number in range(3):
            made = first.create(replace(web, name=f"more-{number}"))
            assert made.host == "a"
        with pytest.raises(BuildFailed, match="host a belongs to"):
            second.create(replace(web, name="refused", host="a"))
        second.delete("refused")
        assert second.delete("db").vm_state == "DELETED"
        assert {one.host for one in first.list()} == {"a"}


def test_what_is_unfinished_there_is_finished_there(places: Places) -> None:
    with places.open(places.first) as first:
        first.delete("web")
    with (
        Faults(Fault("spawn", Mode.ERROR, raises=KeyboardInterrupt)).orchestrator(places.first, db=places.db) as first,
        pytest.raises(KeyboardInterrupt),
    ):
        first.run(file())
    with places.open(places.second) as second:
        (ended,) = second.resume()
        assert (ended.status, "host a belongs to" in ended.message) == (Status.BUSY, True)
        with pytest.raises(errors.HostElsewhere):
            second.delete("web")
    with places.open(places.first) as first:
        assert [str(one.status) for one in first.resume()] == ["resumed"]
        assert first.audit() == ()


def test_hosts_are_taken_on_purpose(places: Places) -> None:
    with places.open(places.second) as second, places.open(places.first) as first:
        with pytest.raises(errors.HostNotFound, match="no host c is on record"):
            second.take_hosts("a", "c")
        assert first.audit() == ()
        second.take_hosts("a")
        with pytest.raises(errors.HostElsewhere, match=str(places.second)):
            first.delete("web")
        assert {finding.difference for finding in second.audit()} == {Difference.MISSING}
        first.take_hosts("a")
        assert first.audit() == ()


def test_the_command_takes_hosts(places: Places) -> None:
    def slipway(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("slipway")), *words]
        places_of = ["--state", str(places.second), "--db", places.db]
        return subprocess.run([*command, *places_of], capture_output=True, text=True, check=False)

    refused = slipway("delete", "web")
    assert (refused.returncode, "slipway host take a" in refused.stderr) == (1, True)
    assert slipway("host", "take", "b").returncode == 1
    assert slipway("host", "take", "a").stdout == "taken: a\n"
    assert slipway("delete", "web").returncode == 0


# --- which place is which -----------------------------------------------------------------------------------------

SIM = Host("s", 1, 1, 1)
REAL = Host("r", 1, 1, 1, compute="libvirt", uri="test:///default")
WIRED = Host("w", 1, 1, 1, wiring="linuxbridge")


def at(host: Host, where: Any) -> Host:
    return replace(host, place=where)


def test_a_state_directory_that_was_moved_has_its_simulated_hosts_with_it(tmp_path: Path) -> None:
    before = settle(tmp_path / "state")
    assert settle(tmp_path / "state") == before == place_of(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    now = place_of(tmp_path / "moved")
    assert [is_here(at(host, before), now) for host in (SIM, REAL, WIRED)] == [True, False, False]
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    copied = place_of(tmp_path / "copy")
    assert [is_here(at(host, now), copied) for host in (SIM, REAL, WIRED)] == [True, False, False]


def test_another_machine_with_the_same_path_is_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = settle(tmp_path)
    elsewhere = replace(this_worker(), machine="another")
    monkeypatch.setattr(place, "this_worker", lambda: elsewhere)
    assert [is_here(at(host, before), place_of(tmp_path)) for host in (REAL, WIRED)] == [False, False]
    drivers = registry.Drivers(None, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(errors.HostElsewhere, match="host r belongs to"):
        drivers.on(at(REAL, before))


def test_a_link_is_the_directory_that_it_leads_to(tmp_path: Path) -> None:
    before = settle(tmp_path / "state")
    (tmp_path / "link").symlink_to(tmp_path / "state")
    assert is_here(at(REAL, before), place_of(tmp_path / "link"))


def test_processes_that_come_first_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as executor:
        found = {each.state_id for each in executor.map(settle, [tmp_path / "state"] * 64)}
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "state").iterdir()] == [place.STATE_ID]
    assert (tmp_path / "state" / place.STATE_ID).stat().st_mode & 0o777 == 0o600


def test_a_host_of_an_older_record_belongs_to_who_runs_its_file(places: Places) -> None:
    with places.open(places.first) as first:
        with first._store.write() as tx:
            tx.connection.driver_connection.execute("UPDATE hosts SET place = NULL")  # type: ignore[union-attr]
        assert first.stop("web").fault is None
        first.run(file(f"a: {HOST.replace('8', '9')}"))
    with places.open(places.second) as second, pytest.raises(errors.HostElsewhere):
        second.start("web")


def test_networks_are_asked_of_the_record_alone(places: Places) -> None:
    with places.open(places.second) as second:
        (net,) = second.network.list_networks()
        assert second.network.create_port(network_id=net.id).fixed_ips

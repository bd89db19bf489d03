"""Each difference that an audit can find is provoked past us, found, mended, and gone: three numbers that are equal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slipway.drivers.network.base import NetworkDriver
from slipway.model.neutron import ADMIN
from slipway.operations.mends import Mend
from slipway.operations.repair import Outcome
from slipway.settings import Settings
from slipway.states.store import Store
from slipway.states.urls import sqlite_url
from slipway.testing import Fault, Mode, crashed
from tests.repair.conftest import Site, run_file

TABLE = (Path(__file__).parents[2] / "docs" / "repair.md").read_text().splitlines()
STRANGER = "11111111-2222-4333-8444-555555555555"


@dataclass(frozen=True)
class Damage:
    """What is done past us; `found`: what an audit says of it, all of it; `ends`: the instance's state afterwards."""

    name: str
    do: Callable[[Site], object]
    found: tuple[str, ...]
    ends: str = "ACTIVE"
    says: dict[str, str] = field(default_factory=dict)
    remote: bool = True


def verb(name: str, **how: Any) -> Callable[[Site], object]:
    def do(site: Site) -> None:
        with site.open() as orchestrator:
            getattr(orchestrator, name)("web-1", **how)

    return do


def both(*damages: Callable[[Site], object]) -> Callable[[Site], object]:
    return lambda site: [damage(site) for damage in damages]


def gone(kind: str) -> Callable[[Site], object]:
    return lambda site: site.thing(kind).unlink()


def changed(kind: str, **values: Any) -> Callable[[Site], object]:
    return lambda site: site.change(kind, **values)


DETAILS = (
    "what it boots from",
    "its machine",
    "the most memory",
    "the most vCPUs",
    "its CPU",
    "what its vCPUs are pinned to",
    "its on_reboot",
    "its console's log",
    "where its screen listens",
    "the channel of its agent",
    "its title",
    "our element in its metadata",
)
"""What else of a domain's XML an editor may change."""


def detailed(name: str) -> Callable[[Site], object]:
    def do(site: Site) -> None:
        domain = json.loads(site.thing("domains").read_text())
        assert name in domain["details"]
        site.change("domains", details={**domain["details"], name: "other"})

    return do


def directory_at(path: Path) -> None:
    path.unlink()
    path.mkdir()
    path.joinpath("kept").write_text("kept")


def in_place_of(kind: str) -> Callable[[Site], object]:
    return lambda site: directory_at(site.thing(kind))


def sql(statement: str) -> Callable[[Site], object]:
    return lambda site: site.sql(statement)


@contextmanager
def network_of(site: Site) -> Iterator[NetworkDriver]:
    with closing(Store(sqlite_url(site.state / "slipway.db"))) as store:
        yield site.drivers()(store, Settings(), site.state).network


def port_of_a_lost_instance(site: Site) -> None:
    with network_of(site) as network:
        (home,) = network.list_networks(ADMIN)
        network.create_port(ADMIN, key=f"{STRANGER}/ports/0", network_id=home.id, device_id=STRANGER)


def port_deleted(owner: str) -> Callable[[Site], object]:
    """As the service itself does it, which knows nothing of instances."""

    def do(site: Site) -> None:
        with network_of(site) as network:
            for port in network.list_ports(ADMIN):
                if port.device_owner == owner:
                    network.delete_port(ADMIN, port.id)

    return do


def bound_to(host: str) -> Callable[[Site], object]:
    return of_port(lambda network, port_id: network.create_binding(ADMIN, port_id, host))


def activated(host: str) -> Callable[[Site], object]:
    return of_port(lambda network, port_id: network.activate_binding(ADMIN, port_id, host))


def of_port(change: Callable[[NetworkDriver, str], object]) -> Callable[[Site], object]:
    """As the network service itself does it to the instance's port."""

    def do(site: Site) -> None:
        with network_of(site) as network:
            (port,) = network.list_ports(ADMIN, device_id=site.instance().id)
            change(network, port.id)

    return do


def another(kind: str, file: str, **values: Any) -> Callable[[Site], object]:
    return lambda site: site.copy(kind, file, **values)


def own_disk(site: Site) -> None:
    site.copy("disks", f"{site.instance().id}-7", slot=7)


def forgotten(kind: str) -> Callable[[Site], object]:
    """The ledger has lost the row, or never had it."""
    return sql(f"DELETE FROM effects WHERE kind = '{kind}'")


def undone(site: Site) -> None:
    """What a worker made that came late: by the record it was taken back before."""
    site.copy("disks", f"{site.instance().id}-7", slot=7)
    site.sql(
        "INSERT INTO effects (key, instance_id, attempt, step, slot, kind, scope, host, state, args, generation, "
        "started_at) SELECT key || '/late', instance_id, attempt, step, 7, kind, scope, host, 'undone', args, "
        "generation, started_at FROM effects WHERE kind = 'disk'"
    )


def crashed_in(name: str, fault: Fault) -> Callable[[Site], object]:
    def do(site: Site) -> None:
        def act() -> None:
            with site.open(fault) as orchestrator:
                getattr(orchestrator, name)("web-1")

        assert crashed(act)

    return do


def stuck_delete(site: Site) -> None:
    with site.open(Fault("destroy", Mode.ERROR, last=99)) as orchestrator:
        assert orchestrator.delete("web-1").vm_state == "ERROR"


def stuck_build(site: Site) -> None:
    with site.open() as orchestrator:
        orchestrator.delete("web-1")
    with site.open(Fault("spawn", Mode.ERROR, last=99), Fault("delete_disk", Mode.ERROR, last=99)) as orchestrator:
        orchestrator.run(run_file())


DAMAGES = (
    # The machine.
    Damage("domain destroyed and undefined", gone("domains"), ("missing domain",)),
    Damage("domain ended", changed("domains", state="shutdown"), ("different domain",)),
    Damage("domain crashed", changed("domains", state="crashed"), ("different domain",)),
    Damage("domain paused", changed("domains", state="paused"), ("different domain",)),
    Damage(
        "domain undefined while it is stopped",
        both(verb("stop", force=True), gone("domains")),
        ("missing domain",),
        "STOPPED",
    ),
    Damage(
        "domain started past us",
        both(verb("stop", force=True), changed("domains", state="running")),
        ("different domain",),
    ),
    Damage("a domain that ended and is not to start", changed("domains", state="shutdown"), ("different domain",),
           "STOPPED", {"more": ", autostart: false"}),
    Damage("vCPUs changed", changed("domains", vcpus=3), ("different domain",)),
    Damage("memory changed", changed("domains", memory=1 << 28), ("different domain",)),
    Damage("NIC detached", changed("domains", macs=[]), ("different domain",)),
    Damage("NIC attached", changed("domains", macs=["52:54:00:00:00:01"]), ("different domain",)),
    Damage("disk detached", changed("domains", disks=[]), ("different domain",)),
    Damage("NIC detached and ended", changed("domains", macs=[], state="shutdown"), ("different domain",)),
    Damage("definition gone", lambda site: site.definition().unlink(), ("missing definition",)),
    Damage("definition cut off", lambda site: site.definition().write_text("<domain"),
           ("different definition", "different domain")),
    Damage("definition edited", lambda site: site.definition().write_text(
        site.definition().read_text().replace('tickpolicy="delay"', 'tickpolicy="merge"')), ("different definition",)),
    Damage("definition edited and ended", both(lambda site: site.definition().write_text("<domain/>"),
                                               changed("domains", state="shutdown")),
           ("different definition", "different domain")),
    Damage("disk path changed", changed("domains", disks=["/elsewhere.qcow2"]), ("different domain",)),
    Damage("NIC's MAC changed", changed("domains", macs=["52:54:00:00:00:01"]), ("different domain",)),
    Damage("tap's name edited", changed("domains", taps=["tap11111111-11"]), ("different domain",)),
    Damage("domain's name edited", changed("domains", name="other"), ("different domain",)),
    Damage("our element taken out of its XML", changed("domains", owner="", details={}), ("different domain",)),
    Damage("our element taken out of a stopped one's",
           both(verb("stop", force=True), changed("domains", owner="", details={})), ("different domain",), "STOPPED"),
    *(Damage(f"{name} edited", detailed(name), ("different domain",)) for name in DETAILS),
    Damage(
        "disk gone of one that is stopped",
        both(verb("stop", force=True), gone("disks")),
        ("missing disk",),
        "STOPPED",
    ),
    Damage("a directory in its disk's place", both(verb("stop", force=True), in_place_of("disks")),
           ("missing disk",), "STOPPED"),
    Damage("somebody else's file in its disk's place",
           both(verb("stop", force=True), changed("disks", owner="somebody else")), ("missing disk",), "STOPPED"),
    Damage("a directory in its definition's place", lambda site: directory_at(site.definition()),
           ("different definition", "different domain")),
    Damage("disk gone with its domain", both(gone("domains"), gone("disks")), ("missing disk", "missing domain")),
    # Its NIC.
    Damage("tap gone", gone("taps"), ("missing vif",)),
    Damage("bridge gone", changed("taps", fault="its bridge brq1 is gone"), ("different vif",)),
    Damage("filter gone", gone("filters"), ("missing filter",)),
    Damage("filter changed", changed("filters", fault="the kernel has other rules"), ("different filter",)),
    Damage("DHCP entry gone", gone("dhcp"), ("missing dhcp",)),
    Damage("DHCP server broken", changed("dhcp", fault="its server works by another"), ("different dhcp",)),
    Damage(
        "all of it gone, as after a restart of its host",
        both(gone("taps"), gone("filters"), gone("dhcp"), changed("domains", state="shutdown")),
        ("different domain", "missing dhcp", "missing filter", "missing vif"),
    ),
    Damage("port deleted in the network service", port_deleted("compute:nova"),
           ("missing binding", "missing port")),
    Damage("port that was brought along deleted", port_deleted("compute:nova"),
           ("missing binding", "missing port"), says={"networks": "{port: mine}"}),
    Damage("port unbound", sql("UPDATE ports SET binding_host_id = '' WHERE device_owner LIKE 'compute:%'"),
           ("missing binding",)),
    Damage("further binding left by a move that died", bound_to("node-2"), ("orphaned binding",)),
    Damage("the further binding counts", both(bound_to("node-2"), activated("node-2")),
           ("different binding", "orphaned binding")),
    Damage("port of the DHCP server deleted", port_deleted("network:dhcp"),
           ("missing dhcp-port",)),
    # What it has claimed.
    Damage("claim gone", sql("DELETE FROM claims"), ("different counter",) * 3 + ("missing claim",)),
    Damage("counter changed", sql("UPDATE hosts SET vcpus_used = 3 WHERE name = 'node-1'"), ("different counter",)),
    Damage("claim of nobody", sql("DELETE FROM effects WHERE kind = 'claim'"), ("orphaned claim",)),
    # What is nobody's.
    Damage("domain of nobody", another("domains", STRANGER, instance_id=STRANGER, name="x"), ("orphaned domain",)),
    Damage("disk of nobody", another("disks", f"{STRANGER}-0", instance_id=STRANGER), ("orphaned disk",)),
    Damage("definition of nobody", lambda site: site.definition().with_name(f"{STRANGER}.xml").write_text("<domain/>"),
           ("orphaned definition",)),
    Damage("tap of nobody", another("taps", "tap11111111-11", instance_id=STRANGER), ("orphaned vif",)),
    Damage("filter of nobody", another("filters", STRANGER), ("orphaned filter",)),
    Damage("DHCP entry of nobody", another("dhcp", STRANGER), ("orphaned dhcp",)),
    Damage("port of an instance that is not on record", port_of_a_lost_instance, ("orphaned port",)),
    Damage("port that nobody on record brought along",
           sql(f"UPDATE ports SET device_id = '{STRANGER}' WHERE name = 'mine'"), ("orphaned port",), remote=False),
    Damage("binding of nobody", sql("UPDATE ports SET binding_host_id = 'node-1', device_owner = 'compute:nova' "
                                    "WHERE name = 'mine'"), ("orphaned binding",)),
    # What is an instance's, and not on record.
    Damage("disk that the record does not have", own_disk, ("orphaned disk",)),
    Damage("disk that the record has taken back", undone, ("orphaned disk",)),
    Damage("domain that the record has lost", forgotten("domain"), ("orphaned domain",)),
    Damage("definition that the record has lost", forgotten("definition"), ("orphaned definition",)),
    Damage("tap that the record has lost", forgotten("vif"), ("orphaned vif",)),
    Damage("filter that the record has lost", forgotten("filter"), ("orphaned filter",)),
    Damage("DHCP entry that the record has lost", forgotten("dhcp"), ("orphaned dhcp",)),
    # What was begun.
    Damage("worker dead in a stop", crashed_in("stop", Fault("stop", Mode.CRASH_BEFORE)), ("unfinished instance",),
           "STOPPED"),
    Damage("worker dead in a delete", crashed_in("delete", Fault("delete_disk", Mode.CRASH_AFTER)),
           ("unfinished instance",), ""),
    Damage("delete that is stuck", stuck_delete, ("stuck ",), ""),
    Damage("build that is stuck", stuck_build, ("stuck ",), "ERROR"),
)  # fmt: skip


def row_of(damage: Damage, planned: Sequence[Mend]) -> str:
    """Its row in the table of docs/repair.md."""
    said = dict.fromkeys(f"{one.finding.difference} {one.finding.kind}" for one in planned)
    does = dict.fromkeys(one.action for one in planned)
    return f"| {damage.name} | {', '.join(said)} | {'; '.join(does)} |"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_it_is_found_and_mended_and_gone(
    damage: Damage, make_site: Callable[..., Site], record_property: Callable[[str, object], None]
) -> None:
    site = make_site(remote=damage.remote, **damage.says)
    damage.do(site)
    with site.open() as orchestrator:
        found = orchestrator.audit()
        said = tuple(f"{one.difference} {one.kind}" for one in found)
        if damage.found == ("stuck ",):
            assert said
            assert all(re.match("stuck ", one) for one in said)
        else:
            assert said == tuple(sorted(damage.found))
        planned = orchestrator.plan_repair()
        assert [one.finding for one in planned] == list(found)
        assert orchestrator.audit() == found, "a plan changes nothing"
        assert row_of(damage, planned) in TABLE, "docs/repair.md says so"
        mended = orchestrator.repair()
        assert [(one.outcome, one.message) for one in mended] == [(Outcome.MENDED, "")] * len(mended)
        assert orchestrator.audit() == ()
        assert not set(found) - {one.mend.finding for one in mended}
        states = [instance.vm_state for instance in orchestrator.list()]
        assert states == ([damage.ends] if damage.ends else [])
        provoked = len(found) if damage.found == ("stuck ",) else len(damage.found)
        counted = (provoked, len(found), sum(one.mend.finding in found for one in mended))
        assert len(set(counted)) == 1
        record_property("damages", counted)
        assert orchestrator.repair() == ()
    # What was made again is taken back with the instance.
    with site.open() as orchestrator, suppress(Exception):
        orchestrator.delete("web-1")
    assert [path for kind in ("domains", "disks", "taps", "filters", "dhcp") for path in site.things(kind)] == []
    assert site.asked("SELECT count(*) FROM claims") == [(0,)]
    owned = site.asked("SELECT name FROM ports WHERE device_id != '' OR binding_host_id != ''")
    assert owned == []

"""A stack is what one run file brought about: that is taken back, and nothing else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import Orchestrator
from slipway.drill.simulated import RemoteNetwork, simulated_drivers
from slipway.drivers.registry import Drivers
from slipway.model.record import Stack
from slipway.operations.batch import Status
from slipway.runfile import RunFile, loads
from slipway.settings import Settings
from slipway.stacks.changes import Changes
from slipway.states import stacks
from slipway.states.stacks import Kind
from slipway.states.store import Store
from slipway.testing import Fault, Faults, Mode
from tests import older, record

HOST = "vcpus: 8, memory: 16GiB, disk: 100GiB"
FILE = """
schema: 1
project: {project}
hosts: {hosts}
networks: {networks}
flavors: {{s: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{kernel: ./k}}}}
security_groups: {groups}
instances: {instances}
{more}
"""
NET = "{net: {subnets: {sub: {cidr: 10.0.0.0/24}}, ports: {spare: {fixed_ip: 10.0.0.99}}}}"
WEB = "{web: {flavor: s, image: i, networks: [net]}}"
GROUPS = "{web: {rules: [{protocol: tcp, ports: 80, from: 0.0.0.0/0}]}}"


def file(name: str = "mine", more: str = "", **says: str) -> RunFile:
    entries = {"project": "p", "hosts": f"{{a: {{{HOST}}}}}", "networks": NET, "groups": GROUPS, "instances": WEB}
    return loads(FILE.format(more=more, **{**entries, **says}), f"{name}.yaml")


Open = Callable[..., Orchestrator]


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    """With the network in our own database, and with one elsewhere."""
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=request.param == "remote")
    with Orchestrator(tmp_path, project="p", drivers=drivers) as made:
        yield made


def everything(slipway: Orchestrator) -> set[str]:
    network = slipway.network
    found = {f"network {each.name}" for each in network.list_networks()}
    found |= {f"subnet {each.name}" for each in network.list_subnets()}
    found |= {f"port {each.name}" for each in network.list_ports(device_id="")}
    found |= {f"security group {each.name}" for each in network.list_security_groups() if each.name != "default"}
    with slipway._store.read() as tx:
        from slipway.states import hosts

        found |= {f"host {usage.host.name}" for usage in hosts.usages(tx)}
    return found | {f"instance {instance.name}" for instance in slipway.list()}


ALL = {"network net", "subnet sub", "port spare", "security group web", "host a", "instance web"}


def destroyed(slipway: Orchestrator, wanted: RunFile) -> Changes:
    ended, changes = slipway.destroy(wanted)
    assert {one.status for one in ended} <= {Status.DELETED, Status.UNCHANGED}
    assert slipway.audit() == ()
    return changes


def test_destroy_takes_back_all_that_run_made_and_leaves_no_trace(slipway: Orchestrator) -> None:
    before = everything(slipway)
    slipway.run(file())
    assert everything(slipway) == before | ALL
    assert slipway.show("web").instance.stack == "mine"
    changes = destroyed(slipway, file())
    assert (set(changes.removed), changes.kept) == (ALL - {"instance web"}, ())
    assert everything(slipway) == before
    with slipway._store.read() as tx:
        assert [stacks.members(tx, file().stack, kind) for kind in Kind] == [[]] * len(Kind)


def test_what_was_there_before_is_only_used(slipway: Orchestrator) -> None:
    network = slipway.network
    net = network.create_network(name="net")
    network.create_subnet(network_id=net.id, name="older", ip_version=4, cidr="10.9.0.0/24")
    network.create_security_group(name="web")
    before = everything(slipway)
    assert "instance web" in everything(slipway) | {f"instance {slipway.run(file()).ended[0].name}"}
    changes = destroyed(slipway, file())
    assert everything(slipway) == before
    assert set(changes.removed) == {"port spare", "subnet sub", "host a"}
    assert list(changes.kept) == [
        "network net: it stays, for no stack made it",
        "security group web: it stays, for no stack made it",
    ]


def test_a_file_that_was_changed_takes_back_what_left_it(slipway: Orchestrator) -> None:
    before = everything(slipway)
    slipway.run(file(hosts=f"{{a: {{{HOST}}}, b: {{{HOST}}}}}", instances="{web: {flavor: s, image: i, count: 2}}"))
    slipway.run(file())
    now = file(networks="{other: {}}", groups="{}", instances="{db: {flavor: s, image: i}}")
    ended, changes = slipway.destroy(now)
    assert {one.name: str(one.status) for one in ended} == {
        "web": "deleted",
        "web-1": "deleted",
        "web-2": "deleted",
        "db": "unchanged",
    }
    assert (everything(slipway), changes.kept) == (before, ())


def test_the_name_in_the_file_counts_and_not_the_files(slipway: Orchestrator) -> None:
    before = everything(slipway)
    slipway.run(file("one", "name: shop"))
    assert slipway.show("web").instance.stack == "shop"
    assert destroyed(slipway, file("shop")).kept == ()
    assert everything(slipway) == before


def test_two_files_that_name_the_same_things(slipway: Orchestrator) -> None:
    slipway.run(file("first"))
    second = file("second", instances="{web: {flavor: s, image: i}, db: {flavor: s, image: i, networks: []}}")
    again = slipway.run(second)
    assert [str(one.status) for one in again.ended] == ["unchanged", "built"]
    ended, changes = slipway.destroy(file("first"))
    assert [(one.name, str(one.status)) for one in ended] == [("web", "deleted")]
    assert list(changes.kept) == ["host a: in use by db"]
    changes = destroyed(slipway, second)
    assert (changes.removed, list(changes.kept)) == ((), ["host a: it stays, for stack first made it"])
    assert destroyed(slipway, file("first")).removed == ("host a",)


def test_what_another_stack_uses_stays_until_it_does_not(slipway: Orchestrator) -> None:
    other = file(
        "other",
        instances="{db: {flavor: s, image: i, networks: [{network: net}], security_groups: [web]}, "
        "gate: {flavor: s, image: i, networks: [{port: spare}]}}",
    )
    slipway.run(file())
    slipway.run(other)
    changes = destroyed(slipway, file())
    assert changes.removed == ()
    assert list(changes.kept) == [
        "port spare: in use by gate",
        "network net: in use by db, gate",
        "security group web: in use by db",
        "host a: in use by db, gate",
    ]
    assert list(destroyed(slipway, other).kept) == [
        f"{thing}: it stays, for stack mine made it"
        for thing in ("network net", "subnet sub", "port spare", "security group web", "host a")
    ]
    assert set(destroyed(slipway, file()).removed) == ALL - {"instance web"}


def test_others_subnets_keep_a_network(slipway: Orchestrator) -> None:
    slipway.run(file())
    (net,) = slipway.network.list_networks()
    slipway.network.create_subnet(network_id=net.id, name="theirs", ip_version=4, cidr="10.9.0.0/24")
    changes = destroyed(slipway, file())
    assert list(changes.kept) == ["network net: it has subnets that are not of the stack: theirs"]
    assert everything(slipway) == {"network net", "subnet theirs"}


def test_an_address_that_somebody_else_has_keeps_a_subnet(slipway: Orchestrator) -> None:
    net = slipway.network.create_network(name="net")
    slipway.run(file())
    slipway.network.create_port(network_id=net.id, name="theirs")
    (kept, network) = destroyed(slipway, file()).kept
    assert kept.startswith("subnet sub: ")
    assert "has its address" in kept
    assert network == "network net: it stays, for no stack made it"


@pytest.mark.parametrize("elsewhere", ["another name", "another project"])
def test_an_instance_of_others_with_the_same_name_is_left_alone(elsewhere: str, slipway: Orchestrator) -> None:
    theirs = file("theirs") if elsewhere == "another name" else file(project="q")
    mine = file("mine", instances="{}")
    slipway.run(theirs)
    slipway.run(mine)
    web = slipway.list()[0]
    changes = slipway.destroy(file())[1]
    assert slipway.get(web.id).vm_state == "ACTIVE"
    by = "stack theirs made it" if elsewhere == "another name" else "stack mine of project q made it"
    assert f"host a: it stays, for {by}" in changes.kept
    assert slipway.audit() == ()


def test_an_instance_of_no_stack_is_left_alone(slipway: Orchestrator) -> None:
    slipway.run(file(instances="{}"))
    web = slipway.create(replace(file().instances[0].request))
    assert (web.stack, [str(one.status) for one in slipway.run(file()).ended]) == (None, ["unchanged"])
    (ended,), changes = slipway.destroy(file())
    assert (ended.status, ended.instance) == (Status.UNCHANGED, web)
    assert "instance web: it stays, for no stack made it" in changes.kept


def test_what_failed_is_replaced_only_where_it_is_the_stacks(slipway: Orchestrator) -> None:
    fails = f"{{a: {{{HOST}, simulate: {{fail: [spawn]}}}}}}"
    slipway.run(file("theirs", hosts=fails))
    before = slipway.show("web").instance
    (ended,) = slipway.run(file("mine"), replace_failed=True).ended
    assert (str(ended.status), slipway.show("web").instance) == ("failed", before)
    slipway.run(file("theirs"), replace_failed=True)
    assert slipway.show("web").instance.vm_state == "ACTIVE"


def test_a_host_of_another_stack_stays_as_it_is(slipway: Orchestrator) -> None:
    slipway.run(file("theirs", instances="{}"))
    smaller = HOST.replace("8", "2")
    changes = slipway.run(file("mine", hosts=f"{{a: {{{smaller}}}}}", instances="{}")).changes
    assert (changes.changed, changes.kept) == (
        (),
        ("host a: it stays as it is, for stack theirs made it (the file says otherwise)",),
    )
    changes = slipway.run(file("theirs", hosts=f"{{a: {{{smaller}}}}}", instances="{}")).changes
    assert changes.changed == ("host a",)


def test_something_new_with_an_old_name_is_not_the_stacks(slipway: Orchestrator) -> None:
    slipway.run(file(instances="{}", groups="{}"))
    (net,) = slipway.network.list_networks()
    for port in slipway.network.list_ports():
        slipway.network.delete_port(port.id)
    slipway.network.delete_network(net.id)
    slipway.network.create_network(name="net")
    changes = destroyed(slipway, file(instances="{}", groups="{}"))
    assert changes.removed == ("host a",)
    assert changes.kept == ("network net: it stays, for no stack made it",)


def test_of_several_networks_of_a_name_the_stacks_own_is_meant(slipway: Orchestrator) -> None:
    slipway.run(file(instances="{}"))
    theirs = slipway.network.create_network(name="net")
    assert slipway.run(file(instances="{}")).changes == Changes()
    destroyed(slipway, file(instances="{}"))
    assert [net.id for net in slipway.network.list_networks()] == [theirs.id]


# --- runs that were cut off ---------------------------------------------------------------------------------------


class Cut(BaseException):
    """As if the process had ended."""


def remote(store: Store, settings: Settings, state: Path) -> Drivers:
    return simulated_drivers(random.SystemRandom(), time.sleep, remote_network=True)(store, settings, state)


MAKING = ("create_network", "create_subnet", "create_port", "create_security_group", "create_security_group_rule")


@pytest.mark.parametrize("again", [True, False], ids=["run again", "destroyed at once"])
@pytest.mark.parametrize("call", MAKING)
@pytest.mark.parametrize("mode", [Mode.ERROR, Mode.LOST_REPLY])
def test_what_a_run_made_before_it_was_cut_off_is_the_stacks(
    call: str, mode: Mode, again: bool, tmp_path: Path
) -> None:
    wanted = file(instances="{}")
    with Faults(Fault(call, mode, raises=Cut), drivers=remote).orchestrator(tmp_path, project="p") as slipway:
        before = everything(slipway)
        with pytest.raises(Cut):
            slipway.run(wanted)
    with Orchestrator(tmp_path, project="p", drivers=remote) as slipway:
        if again:
            slipway.run(wanted)
            assert everything(slipway) == before | ALL - {"instance web"}
            (group,) = slipway.network.list_security_groups(name="web")
            assert len(group.rules) == 3
        assert destroyed(slipway, wanted).kept == ()
        assert everything(slipway) == before


def test_a_mark_is_no_other_stacks_nor_installations(tmp_path: Path) -> None:
    with Orchestrator(tmp_path, project="p", drivers=remote) as slipway:
        assert isinstance(slipway._drivers.network, RemoteNetwork)
        slipway.run(file("theirs", instances="{}", groups="{}"))
        with closing(record.opened(tmp_path / "slipway.db")) as db:
            db.execute("DELETE FROM stack_members WHERE kind != 'host'")
            db.commit()
        assert "network net: it stays, for no stack made it" in destroyed(slipway, file(instances="{}")).kept
        with closing(record.opened(tmp_path / "slipway.db")) as db:
            db.execute("UPDATE networks SET description = replace(description, 'slipway-stack:', 'slipway-stack:x')")
            db.commit()
        kept = destroyed(slipway, file("theirs", instances="{}", groups="{}")).kept
        assert kept == ("network net: it stays, for no stack made it",)


OLDER = """
schema: 1
flavors: {small: {vcpus: 1, memory: 64MiB, disk: 1GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {active: {flavor: small, image: tiny}}
"""


# --- older records ------------------------------------------------------------------------------------------------


def test_a_record_without_stacks_is_brought_up_to_date(tmp_path: Path) -> None:
    state = older.put("schema1", tmp_path)
    mine = loads(OLDER, "mine.yaml")
    with Orchestrator(state) as slipway:
        assert slipway.show("active").instance.stack is None
        changes = slipway.destroy(mine)[1]
        assert "instance active: it stays, for no stack made it" in changes.kept
        assert changes.removed == ()


def test_stacks_of_two_projects_with_one_name_are_two() -> None:
    assert file(project="a").stack == Stack("a", "mine") != file(project="b").stack


def test_a_router_of_others_is_named_that_keeps_a_network(slipway: Orchestrator) -> None:
    slipway.run(file())
    (subnet,) = slipway.network.list_subnets(name="sub")
    router = slipway.network.create_router(name="edge")
    slipway.network.add_router_interface(router.id, subnet_id=subnet.id)
    assert list(destroyed(slipway, file()).kept) == ["network net: in use by router edge"]


def test_of_very_many_who_keep_a_thing_the_first_are_named(slipway: Orchestrator) -> None:
    slipway.run(file())
    (net,) = slipway.network.list_networks(name="net")
    for number in range(8):
        slipway.network.create_port(network_id=net.id, name=f"p{number}", security_groups=[])
    (kept,) = destroyed(slipway, file()).kept
    assert kept.startswith("network net: in use by port p")
    assert kept.endswith(" and 3 more")

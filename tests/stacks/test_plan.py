"""What a plan says of each kind of change, and that a run does just that."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway import Orchestrator, errors
from slipway.drill.simulated import simulated_drivers
from slipway.model.record import EffectState
from slipway.model.request import Host, InstanceRequest
from slipway.stacks import attributes
from slipway.stacks.changes import Changes
from slipway.stacks.plan import How
from slipway.stacks.rules import RULES
from tests import record
from tests.stacks.planned import HOST, agreed, done, file, of


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=request.param == "remote")
    with Orchestrator(tmp_path, project="p", drivers=drivers) as made:
        yield made


SUBNET = "cidr: 10.0.0.0/24"
FLAVOR = "vcpus: 1, memory: 512MiB, disk: 2GiB"
HOSTS = {
    "vcpus": "{vcpus: 4, memory: 16GiB, disk: 100GiB}",
    "memory": "{vcpus: 8, memory: 8GiB, disk: 100GiB}",
    "disk": "{vcpus: 8, memory: 16GiB, disk: 10GiB}",
    "cpu_ratio": f"{HOST[:-1]}, ratios: {{cpu: 2}}}}",
    "memory_ratio": f"{HOST[:-1]}, ratios: {{memory: 2}}}}",
    "disk_ratio": f"{HOST[:-1]}, ratios: {{disk: 2}}}}",
    "zone": f"{HOST[:-1]}, zone: z}}",
    "labels": f"{HOST[:-1]}, labels: {{ssd: 'yes'}}}}",
    "enabled": f"{HOST[:-1]}, enabled: false}}",
    "accel": f"{HOST[:-1]}, accel: tcg}}",
    "simulate": f"{HOST[:-1]}, simulate: {{acpi: false}}}}",
    "netns": f"{HOST[:-1]}, netns: x}}",
    "physical_nic": f"{HOST[:-1]}, physical_nic: eth9}}",
    "uri": f"{HOST[:-1]}, uri: 'x:///'}}",
    "disks": f"{HOST[:-1]}, disks: qcow2}}",
    "compute": f"{HOST[:-1]}, compute: libvirt, disks: qcow2, uri: 'x:///'}}",
    "wiring": f"{HOST[:-1]}, wiring: linuxbridge}}",
}


def _how(attribute: str) -> How:
    """What becomes of a host's attribute where there is room enough and an instance is on it."""
    return RULES["host"][attribute].applied(met="is given out" not in RULES["host"][attribute].unless)


CHANGES: list[tuple[str, str, dict[str, str], How]] = [
    *(("host a", name, {"host": host}, _how(name)) for name, host in HOSTS.items()),
    ("host a", "memory", {"host": "{vcpus: 8, memory: 256MiB, disk: 100GiB}"}, How.KEEP),
    ("network net", "mtu", {"network": "mtu: 1400, "}, How.CHANGE),
    ("network net", "shared", {"network": "shared: true, "}, How.CHANGE),
    ("network net", "port_security_enabled", {"network": "port_security_enabled: false, "}, How.CHANGE),
    ("network net", "provider_network_type", {"network": "provider: {type: vxlan}, mtu: 1500, "}, How.KEEP),
    ("subnet sub", "gateway_ip", {"subnet": f"{SUBNET}, gateway: 10.0.0.254"}, How.CHANGE),
    ("subnet sub", "gateway_ip", {"subnet": f"{SUBNET}, gateway: null"}, How.CHANGE),
    ("subnet sub", "allocation_pools", {"subnet": f"{SUBNET}, pools: [10.0.0.50-10.0.0.60]"}, How.CHANGE),
    ("subnet sub", "dns_nameservers", {"subnet": f"{SUBNET}, dns: [10.0.0.3]"}, How.CHANGE),
    ("subnet sub", "host_routes",
     {"subnet": f"{SUBNET}, host_routes: [{{destination: 10.1.0.0/16, nexthop: 10.0.0.3}}]"}, How.CHANGE),
    ("subnet sub", "enable_dhcp", {"subnet": f"{SUBNET}, enable_dhcp: false"}, How.CHANGE),
    ("subnet sub", "cidr", {"subnet": "cidr: 10.0.0.0/23"}, How.KEEP),
    ("port spare", "fixed_ips", {"port": "fixed_ip: 10.0.0.98"}, How.CHANGE),
    ("port spare", "mac_address", {"port": "fixed_ip: 10.0.0.99, mac_address: 'fa:16:3e:00:00:99'"}, How.CHANGE),
    ("port spare", "security_groups", {"port": "fixed_ip: 10.0.0.99, security_groups: [web]"}, How.CHANGE),
    ("security group web", "rules", {"rules": "{protocol: tcp, ports: 81}"}, How.CHANGE),
    ("security group web", "rules", {"rules": ""}, How.CHANGE),
    ("settings", "quota_port", {"end": "settings: {quota_port: 7}"}, How.CHANGE),
    ("instance web", "flavor.vcpus", {"flavor": "vcpus: 2, memory: 512MiB, disk: 2GiB"}, How.STOP),
    ("instance web", "flavor.memory", {"flavor": "vcpus: 1, memory: 1GiB, disk: 2GiB"}, How.STOP),
    ("instance web", "flavor.disk", {"flavor": "vcpus: 1, memory: 512MiB, disk: 3GiB"}, How.CHANGE),
    ("instance web", "flavor.disk", {"flavor": "vcpus: 1, memory: 512MiB, disk: 1GiB"}, How.KEEP),
    ("instance web", "flavor.disk", {"flavor": "vcpus: 1, memory: 512MiB, disk: 0B"}, How.REPLACE),
    ("instance web", "flavor.numa_cells", {"flavor": f"{FLAVOR}, numa_cells: 1"}, How.REPLACE),
    ("instance web", "flavor.shared_memory", {"flavor": f"{FLAVOR}, shared_memory: true"}, How.REPLACE),
    ("instance web", "flavor.name", {"has_flavor": "t"}, How.CHANGE),
    ("instance web", "image.kernel", {"image": "kernel: ./another"}, How.STOP),
    ("instance web", "image.name", {"has_image": "j"}, How.CHANGE),
    ("instance web", "image.min_disk", {"image": "kernel: ./k, min_disk: 1GiB"}, How.CHANGE),
    ("instance web", "image.min_memory", {"image": "kernel: ./k, min_memory: 1MiB"}, How.CHANGE),
    ("instance web", "networks", {"nics": "net, net"}, How.CHANGE),
    ("instance web", "networks", {"nics": "{network: net, fixed_ip: 10.0.0.7}"}, How.CHANGE),
    ("instance web", "networks", {"nics": "{port: spare}"}, How.CHANGE),
    ("instance web", "disks", {"more": ", disks: [1GiB]"}, How.CHANGE),
    ("instance web", "security_groups", {"more": ", security_groups: [web]"}, How.CHANGE),
    ("instance web", "metadata", {"more": ", metadata: {tier: front}"}, How.CHANGE),
    ("instance web", "wait_for", {"more": ", wait_for: {lease: 10s}"}, How.CHANGE),
    ("instance web", "autostart", {"more": ", autostart: false"}, How.CHANGE),
    ("instance web", "group", {"more": ", group: apart"}, How.CHANGE),
    ("instance web", "zone", {"more": ", zone: nova"}, How.CHANGE),
    ("instance web", "host", {"more": ", host: a"}, How.CHANGE),
    ("instance web", "user_data", {"more": ", user_data: '#cloud-config'"}, How.STOP),
    ("instance web", "files", {"more": ", files: {/etc/x: {content: y}}"}, How.STOP),
    ("instance web", "ssh_keys",
     {"more": ", keypairs: [k]", "end": f"keypairs: {{k: 'ssh-ed25519 {'A' * 68}'}}"}, How.REPLACE),
]  # fmt: skip
"""A thing, an attribute, what the file says then, and what becomes of it."""


@pytest.mark.parametrize(
    ("label", "attribute", "says", "how"), CHANGES, ids=[f"{each[0]} {each[1]}" for each in CHANGES]
)
def test_each_kind_of_change_is_planned_and_done(
    label: str, attribute: str, says: dict[str, str], how: How, slipway: Orchestrator, tmp_path: Path
) -> None:
    slipway.run(file())
    before = slipway.show("web").instance
    wanted = file(**says)
    with Orchestrator(tmp_path, project="p", drivers=slipway._make_drivers, settings=wanted.settings) as then:
        change = of(then.plan(wanted), label)
        (difference,) = (one for one in change.differences if one.attribute == attribute)
        assert (change.how, difference.how) == (how, how)
        if how in (How.STOP, How.REPLACE):
            with pytest.raises(errors.NotConfirmed, match=f"{how} instance web"):
                then.run(wanted)
            assert then.show("web").instance == before
        result = agreed(then, wanted)
        after = then.show("web").instance
        (ended,) = result.ended
        if how is How.KEEP:
            (kept,) = [line for line in (*result.changes.kept, *ended.kept) if attribute in line]
            assert kept.startswith(f"{label}: {attribute} stays {difference.have} (the file says {difference.want}): ")
            assert (after.request, str(ended.status)) == (before.request, "unchanged")
        else:
            assert (result.changes.kept, ended.kept) == ((), ())
        assert (after.id != before.id) == (how is How.REPLACE)
        if label.startswith("instance") and how is not How.KEEP:
            assert str(ended.status) == ("built" if how is How.REPLACE else "changed")
        elif how is How.CHANGE and label != "settings":
            assert (result.changes.changed, str(ended.status)) == ((label,), "unchanged")
        assert after.vm_state == "ACTIVE"
        # And back again.
        agreed(then, file())


def test_what_a_network_has_is_as_the_plan_has_said(slipway: Orchestrator) -> None:
    slipway.run(file())
    says = {
        "network": "mtu: 1400, ",
        "subnet": f"{SUBNET}, gateway: 10.0.0.254, dns: [10.0.0.3]",
        "port": "fixed_ip: 10.0.0.98, security_groups: [web, other]",
        "more": ", security_groups: [other], metadata: {tier: front}",
    }
    agreed(slipway, file(**says))
    (net,) = slipway.network.list_networks()
    (sub,) = slipway.network.list_subnets()
    (spare,) = slipway.network.list_ports(name="spare")
    (nic,) = slipway.network.list_ports(device_id=slipway.show("web").instance.id)
    groups = {group.name: group.id for group in slipway.network.list_security_groups()}
    assert (net.mtu, sub.gateway_ip, sub.dns_nameservers) == (1400, "10.0.0.254", ("10.0.0.3",))
    assert [(pool.start, pool.end) for pool in sub.allocation_pools] == [("10.0.0.1", "10.0.0.253")]
    assert [ip.ip_address for ip in spare.fixed_ips] == ["10.0.0.98"]
    assert set(spare.security_groups) == {groups["web"], groups["other"]}
    assert nic.security_groups == (groups["other"],)
    assert slipway.show("web").instance.request.metadata == (("tier", "front"),)
    agreed(slipway, file())
    (nic,) = slipway.network.list_ports(device_id=slipway.show("web").instance.id)
    assert nic.security_groups == (groups["default"],)


def test_what_the_network_refuses_changes_nothing(slipway: Orchestrator) -> None:
    """What comes before it in the file is not done either, where all is our own."""
    slipway.run(file())
    (address,) = slipway.show("web").instance.addresses
    with pytest.raises(errors.NetworkError):
        slipway.run(file(rules="", port=f"fixed_ip: {address}"))
    if slipway._drivers.network.local:
        (web,) = slipway.network.list_security_groups(name="web")
        assert len(web.rules) == 3
    assert slipway.audit() == ()


# --- hosts --------------------------------------------------------------------------------------------------------


def test_a_host_is_shrunk_as_far_as_it_is_not_given_out(slipway: Orchestrator) -> None:
    slipway.run(file())
    wanted = file(host="{vcpus: 4, memory: 256MiB, disk: 100GiB}")
    change = of(slipway.plan(wanted), "host a")
    assert {one.attribute: one.how for one in change.differences} == {"vcpus": How.CHANGE, "memory": How.KEEP}
    result = agreed(slipway, wanted)
    assert result.changes.kept == ("host a: memory stays 16GiB (the file says 256MiB): what was claimed stays claimed",)
    (usage,) = slipway.hosts()
    assert (usage.host.vcpus, usage.vcpus_limit, usage.memory_limit) == (4, 16, 16 * 2**30)


def test_a_hosts_drivers_change_where_nothing_is_on_it(slipway: Orchestrator) -> None:
    slipway.run(file(hosts=f", b: {HOST}"))
    wanted = file(hosts=f", b: {HOST[:-1]}, netns: x}}")
    assert done(slipway.plan(wanted)) == {"host b": How.CHANGE}
    agreed(slipway, wanted)


# --- where instances go -------------------------------------------------------------------------------------------


def test_a_group_a_zone_and_a_host_move_an_instance_where_it_may_not_stay(slipway: Orchestrator) -> None:
    both = {"hosts": f", b: {HOST[:-1]}, zone: z}}"}
    two = {"instances": "db: {flavor: s, image: i, networks: [net], host: a}"}
    slipway.run(file(**both, **two, more=", host: a"))
    before = slipway.show("web").instance
    nowhere = of(slipway.plan(file(**both, **two, more=", requires: {ssd: 'yes'}")), "instance web")
    assert (nowhere.how, nowhere.problem.partition(":")[0]) == (How.STOP, "NoValidHost")
    other = {"hosts": both["hosts"].replace("zone: z", "zone: z, disks: qcow2")}
    slipway.run(file(**other, **two, more=", host: a"))
    unlike = of(slipway.plan(file(**other, **two, more=", host: b")), "instance web")
    assert unlike.problem == "MoveRefused: web cannot go to host b: its disks is qcow2, that of a is sim"
    (ended, _) = slipway.run(file(**other, **two, more=", host: b"), yes=True).ended
    assert (str(ended.status), ended.instance) == ("refused", before)
    slipway.run(file(**both, **two, more=", host: a"))
    for more, attribute in ((", host: b", "host"), (", host: a", "host"), (", zone: z", "zone")):
        wanted = file(**both, **two, more=more)
        plan = slipway.plan(wanted)
        change = of(plan, "instance web")
        (run,) = change.runs
        assert (change.how, change in plan.asked, change.host, run.verb) == (How.STOP, True, run.of, "move")
        assert attribute in run.attributes
        agreed(slipway, wanted)
        assert (slipway.show("web").instance.host, slipway.show("web").instance.id) == (change.host, before.id)
    agreed(slipway, file(**both, **two, more=", host: a"))
    apart = {"instances": two["instances"][:-1] + ", group: apart}"}
    agreed(slipway, file(**both, **apart, more=", host: a"))
    wanted = file(**both, **apart, more=", group: apart")
    change = of(slipway.plan(wanted), "instance web")
    assert (change.how, change.host) == (How.STOP, "b")
    agreed(slipway, wanted)
    after = slipway.show("web").instance
    assert (after.host, after.id, after.request.group and after.request.group.name) == ("b", before.id, "apart")
    slipway.stop("web", force=True)
    assert of(slipway.plan(file(**both, **two, more=", host: a")), "instance web").how is How.CHANGE


@pytest.mark.parametrize("threads", [1, 6])
def test_instances_are_built_where_the_plan_has_said_and_with_those_effects(
    threads: int, slipway: Orchestrator
) -> None:
    wanted = file(
        hosts=f", b: {HOST}, c: {{vcpus: 1, memory: 1GiB, disk: 8GiB}}",
        more=", disks: [1GiB], metadata: {a: b}",
        instances="db: {flavor: s, image: i, networks: [net, net], count: 8}\n"
        "  own: {flavor: s, image: i, networks: [], group: apart}\n"
        "  site: {flavor: s, image: i, networks: [{port: spare}], group: apart}",
    )
    plan = slipway.plan(wanted)
    with ThreadPoolExecutor(threads) as pool:
        ended = slipway.apply(plan, executor=pool if threads > 1 else None).ended
    for one in ended:
        planned = of(plan, f"instance {one.name}")
        if planned.problem:
            continue
        assert one.instance is not None
        assert one.instance.host == planned.host
        had = slipway.show(one.name).effects
        kinds = [(each.kind, each.slot) for each in had if each.state is EffectState.DONE and each.kind in _EFFECTS]
        assert sorted(kinds) == sorted((each.kind, each.slot) for each in planned.effects)
        for address, text in zip(one.instance.addresses, planned.addresses, strict=True):
            assert text in (address, "auto (sub)")


_EFFECTS = {"claim", "port", "binding", "disk", "seed", "definition", "vif", "filter", "dhcp-port", "dhcp", "domain"}


def test_what_fits_nowhere_is_said_before(slipway: Orchestrator) -> None:
    wanted = file(flavor="vcpus: 9, memory: 512MiB, disk: 2GiB")
    change = of(slipway.plan(wanted), "instance web")
    assert (change.how, change.host) == (How.MAKE, None)
    assert change.problem.startswith("NoValidHost: no host fits web: a: it has 8 vCPUs, 9 are needed at once")
    (ended,) = slipway.run(wanted).ended
    assert ended.instance is not None
    assert ended.instance.fault is not None
    assert change.problem == f"NoValidHost: {ended.instance.fault.message}"


def test_a_replacement_may_take_the_place_of_what_it_replaces(slipway: Orchestrator) -> None:
    small = "{vcpus: 1, memory: 1GiB, disk: 2GiB}"
    slipway.run(file(host=small))
    wanted = file(host=small, flavor=f"{FLAVOR}, numa_cells: 1")
    assert of(slipway.plan(wanted), "instance web").host == "a"
    agreed(slipway, wanted)


# --- what has left, and what is another's -------------------------------------------------------------------------

MORE = {
    "hosts": f", b: {HOST}",
    "networks": "more: {subnets: {sub2: {cidr: 10.9.0.0/24}}, ports: {old: {}}}",
    "instances": "gone: {flavor: s, image: i, networks: [more]}",
}
LEFT = ["instance gone", "port old", "network more", "subnet sub2", "host b"]


def test_what_has_left_the_file_is_named_and_pruned_when_wanted(slipway: Orchestrator) -> None:
    slipway.run(file(**MORE))
    gone = slipway.show("gone").instance
    plan = slipway.plan(file())
    assert [change.label for change in plan.changes] == LEFT
    assert {change.how for change in plan.changes} == {How.LEFT}
    assert plan.acts == ()
    kept = slipway.run(file()).changes.kept
    assert sorted(kept) == sorted(f"{label}: it has left the file and stays; --prune takes it away" for label in LEFT)
    pruning = slipway.plan(file(), prune=True)
    assert done(pruning) == dict.fromkeys(LEFT, How.PRUNE)
    with pytest.raises(errors.NotConfirmed, match="prune instance gone"):
        slipway.run(file(), prune=True)
    result = agreed(slipway, file(), prune=True)
    assert set(result.changes.removed) == {*LEFT[1:]}
    assert slipway.get(gone.id).vm_state == "DELETED"
    assert slipway.plan(file()).changes == ()
    assert slipway.run(file()).changes == Changes()


def test_a_renamed_network_is_a_new_one_and_its_instances_go_to_it(slipway: Orchestrator) -> None:
    slipway.run(file(**MORE))
    gone = slipway.show("gone").instance
    says = {
        **MORE,
        "networks": MORE["networks"].replace("more:", "less:"),
        "instances": "gone: {flavor: s, image: i, networks: [less]}",
    }
    plan = slipway.plan(file(**says), prune=True)
    assert done(plan) == {
        "network less": How.MAKE,
        "subnet sub2": How.PRUNE,
        "port old": How.PRUNE,
        "instance gone": How.CHANGE,
        "network more": How.PRUNE,
    }
    assert of(plan, "instance gone").addresses == ("auto (sub2)",)
    result = agreed(slipway, file(**says), prune=True)
    assert set(result.changes.removed) == {"port old", "subnet sub2", "network more"}
    assert [net.name for net in slipway.network.list_networks()] == ["less", "net"]
    assert slipway.show("gone").instance.id == gone.id


def test_what_is_in_use_is_not_pruned_and_said(slipway: Orchestrator) -> None:
    slipway.run(file(**MORE))
    (net,) = slipway.network.list_networks(name="more")
    slipway.network.create_port(network_id=net.id, name="theirs")
    result = slipway.run(file(), prune=True, yes=True)
    assert "network more: in use by port theirs" in result.changes.kept
    assert set(result.changes.removed) == {"port old", "host b"}


def test_what_is_not_the_stacks_own_stays(slipway: Orchestrator) -> None:
    net = slipway.network.create_network(name="net", mtu=1400)
    slipway.network.create_subnet(
        network_id=net.id, name="sub", ip_version=4, cidr="10.0.0.0/24", dns_nameservers=["10.0.0.3"]
    )
    plan = slipway.plan(file())
    assert of(plan, "network net").how is of(plan, "subnet sub").how is How.KEEP
    result = slipway.run(file())
    assert "network net: mtu stays 1400 (the file says 1500): no stack made it" in result.changes.kept
    assert slipway.network.show_network(net.id).mtu == 1400


# --- nothing is changed, and reality counts ---------------------------------------------------------------------


def contents(directory: Path) -> dict[str, bytes]:
    files = {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    return {**files, "on record": record.kept(directory)}


def test_a_plan_changes_nothing_byte_by_byte(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.run(file())
    drivers = slipway._make_drivers
    slipway.close()
    before = contents(tmp_path)
    assert any(path.endswith("slipway.db") for path in before)
    assert any("/world/" in path for path in before)
    wanted = file(**MORE, image="kernel: ./another", rules="")
    with Orchestrator(tmp_path, project="p", drivers=drivers) as then:
        assert len(then.plan(wanted, prune=True).acts) == 7
        assert then.plan(file(rules="", end="settings: {max_attempts: 2}")).acts
    assert contents(tmp_path) == before


def test_a_plan_for_a_project_that_has_no_group_yet_makes_none(tmp_path: Path) -> None:
    with Orchestrator(tmp_path, project="p") as slipway:
        slipway.add_host(file().hosts[0])
    before = contents(tmp_path)
    with Orchestrator(tmp_path, project="p") as slipway:
        slipway.plan(file(port="security_groups: [web]"))
    assert contents(tmp_path) == before


def test_nothing_is_to_be_done_only_where_reality_agrees(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.run(file())
    web = slipway.show("web").instance
    assert slipway.plan(file()).changes == ()
    (domain,) = tmp_path.glob("world/a/domains/*.json")
    domain.unlink()
    change = of(slipway.plan(file()), "instance web")
    assert change.how is How.MEND
    assert change.why.startswith("its domain is not there on a: ")
    assert slipway.plan(file(), repair=False).changes == ()
    assert "instance web" not in slipway.plan(file()).unchanged
    assert slipway.show("web").instance == web
    assert slipway.run(file(), repair=False).changes == Changes()
    assert slipway.run(file()).changes.changed == ("instance web",)
    assert domain.exists()
    assert slipway.get(web.id).vm_state == "ACTIVE"
    assert slipway.plan(file()).changes == ()


def test_what_is_mended_by_a_loss_needs_agreement(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.run(file())
    (disk,) = tmp_path.glob("world/a/disks/*.json")
    disk.unlink()
    (kept,) = slipway.run(file()).changes.kept
    assert kept.startswith("instance web: its disk 0 is not there on a: save from within the guest what matters")
    slipway.stop("web", force=True)
    with pytest.raises(errors.NotConfirmed, match="mend instance web"):
        slipway.run(file())
    assert slipway.run(file(), yes=True).changes.changed == ("instance web",)
    assert disk.exists()
    assert slipway.plan(file()).changes == ()


def test_what_failed_is_left_alone_until_it_is_to_be_replaced(slipway: Orchestrator) -> None:
    slipway.run(file(host=f"{HOST[:-1]}, simulate: {{fail: [spawn]}}}}"))
    agreed(slipway, file())
    plan = slipway.plan(file())
    assert done(plan) == {}
    assert "it has failed and is left alone (--replace-failed builds it anew)" in of(plan, "instance web").why
    again = slipway.plan(file(), replace_failed=True)
    assert (done(again), again.asked) == ({"instance web": How.REPLACE}, ())
    (ended,) = slipway.run(file(), replace_failed=True).ended
    assert str(ended.status) == "built"


def test_whatever_can_differ_has_a_row() -> None:
    named = {"name", "project", "idempotency_key", "user_data_sha256", "place", "source"}
    for kind, given in (("host", Host), ("instance", InstanceRequest)):
        missing = {*given.__struct_fields__} - named - RULES[kind].keys()
        assert not missing, kind
    assert {*attributes.HOST} == {*Host.__struct_fields__} - named


# --- documents ----------------------------------------------------------------------------------------------------


def test_the_document_has_a_row_for_each_attribute() -> None:
    text = (Path(__file__).parents[2] / "docs" / "plan.md").read_text()
    words = {How.CHANGE: "in place", How.STOP: "stop", How.REPLACE: "replace", How.KEEP: "refused"}
    for kind, rows in RULES.items():
        section = text.partition(f"\n### {kind[0].upper()}{kind[1:]}")[2].partition("\n#")[0]
        for attribute, row in rows.items():
            name = "each of them" if attribute == "*" else f"`{attribute}`"
            (line,) = re.findall(rf"^\|[^|]*{re.escape(name)}[^|]*\|([^|]*)\|", section, re.MULTILINE)
            assert line.split(";")[0].strip() == words[row.how], attribute
            if row.otherwise is not None:
                assert f"{words[row.otherwise]} where {row.unless}" in line, attribute

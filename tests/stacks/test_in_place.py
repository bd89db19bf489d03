"""What differs of an instance that is built is changed by the runs that a plan names, and the rest of it stays."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import NetworkRequest, Orchestrator, errors
from slipway.drill.simulated import simulated_drivers
from slipway.model.machine import Disk, Nic
from slipway.runfile import RunFile
from slipway.stacks.plan import How
from slipway.states import codec
from slipway.testing import Fault, Mode, crashed
from tests import record
from tests.repair.conftest import Site, run_file
from tests.repair.conftest import make_site as make_site
from tests.stacks.planned import agreed, done, file, of
from tests.told import wrong_with

EVERY = 40
"""Which part of the points is tried every time; `-m slow` tries all."""


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=request.param == "remote")
    with Orchestrator(tmp_path, project="p", drivers=drivers) as made:
        yield made


def parts(slipway: Orchestrator) -> tuple[list[str], list[str]]:
    """Its NICs and its disks in the order of their slots, each with what stays of it when others come and go."""
    effects = [effect for effect in slipway.show("web").effects if effect.state == "done" and effect.result]
    effects.sort(key=lambda effect: effect.slot)
    nics = [codec.decode(effect.result or b"", Nic) for effect in effects if effect.kind == "port"]
    disks = [codec.decode(effect.result or b"", Disk) for effect in effects if effect.kind == "disk"]
    says = [f"{nic.request.network.name} {nic.port.mac_address}" for nic in nics]
    return says, [f"{disk.device} {disk.path if disk.volume else disk.size >> 30}" for disk in disks]


def runs(slipway: Orchestrator, wanted: RunFile) -> list[tuple[str, str]]:
    return [(run.verb, run.what) for run in of(slipway.plan(wanted), "instance web").runs]


NETS = "more: {subnets: {sub2: {cidr: 10.9.0.0/24}}}\n  third: {subnets: {sub3: {cidr: 10.8.0.0/24}}}"


def test_a_nic_more_or_less_in_the_middle_is_one_change_and_the_others_stay(slipway: Orchestrator) -> None:
    slipway.run(file(networks=NETS, nics="net, net, third"))
    first, second, third = parts(slipway)[0]
    wanted = file(networks=NETS, nics="net, more, net, {port: spare}, third")
    assert [verb for verb, _ in runs(slipway, wanted)] == ["attach-interface"] * 2
    change = of(slipway.plan(wanted), "instance web")
    assert (change.how, change.addresses) == (How.CHANGE, ("auto (sub2)", "10.0.0.99"))
    agreed(slipway, wanted)
    now = parts(slipway)[0]
    assert (now[:3], [nic.split()[0] for nic in now[3:]]) == ([first, second, third], ["more", "net"])
    order = of(slipway.plan(wanted), "instance web")
    assert (order.how, order.runs) == (How.KEEP, ())
    assert order.differences[0].why == "they stay in the order in which the guest has got them"
    wanted = file(networks=NETS, nics="third, more, net")
    assert [verb for verb, _ in runs(slipway, wanted)] == ["detach-interface"] * 2
    agreed(slipway, wanted)
    assert parts(slipway)[0] == [first, third, now[3]]
    agreed(slipway, file(networks=NETS, nics=""))
    assert parts(slipway)[0] == []


def test_what_is_asked_for_in_other_words_is_the_same(slipway: Orchestrator) -> None:
    slipway.run(file(nics="net, {port: spare}"))
    (net,) = slipway.network.list_networks()
    (port,) = slipway.network.list_ports(name="spare")
    slipway.changes.detach_interface("web", "10.0.0.99")
    assert [verb for verb, _ in runs(slipway, file(nics="net, {port: spare}"))] == ["attach-interface"]
    slipway.changes.attach_interface("web", NetworkRequest(port=port.id))
    slipway.changes.attach_interface("web", NetworkRequest(network=net.id))
    for nics in ("net, {port: spare}, net", "net, net, {port: spare}"):
        assert done(slipway.plan(file(nics=nics))) == {}
    assert slipway.plan(file(nics="net, {port: spare}, net")).changes == ()


def test_a_file_that_names_no_network_means_the_only_one(slipway: Orchestrator) -> None:
    def unsaid(**says: str) -> RunFile:
        named = file(**says)
        (entry,) = named.instances
        return replace(named, instances=(replace(entry, request=replace(entry.request, networks=None)),))

    slipway.run(unsaid())
    assert slipway.plan(file()).changes == slipway.plan(unsaid()).changes == ()
    agreed(slipway, file(nics="net, net"))
    assert [verb for verb, _ in runs(slipway, unsaid())] == ["detach-interface"]
    agreed(slipway, unsaid())
    slipway.network.create_network(name="another", shared=True)
    assert done(slipway.plan(unsaid())) == {}
    assert "names no network and may use several" in of(slipway.plan(unsaid()), "instance web").why
    slipway.delete("web")
    assert of(slipway.plan(unsaid()), "instance web").problem.startswith("NetworkAmbiguous: web names no network")


@pytest.mark.parametrize(
    ("have", "want", "verbs", "then"),
    [
        ("1GiB, 2GiB", "1GiB, 9GiB, 2GiB", ["attach-disk a disk of 9GiB"], ["vdb 1", "vdc 2", "vdd 9"]),
        ("1GiB, 2GiB, 3GiB", "1GiB, 3GiB", ["detach-disk disk vdc, 2GiB"], ["vdb 1", "vdd 3"]),
        ("1GiB, 2GiB", "1GiB, 3GiB", ["grow-disk disk vdc, 2GiB to 3GiB"], ["vdb 1", "vdc 3"]),
        ("1GiB, 2GiB", "2GiB, 3GiB", ["grow-disk disk vdb, 1GiB to 2GiB", "grow-disk disk vdc, 2GiB to 3GiB"],
         ["vdb 2", "vdc 3"]),
        ("1GiB, 2GiB", "2GiB, 1GiB", [], ["vdb 1", "vdc 2"]),
        ("1GiB, 2GiB", "1GiB, 1GiB", [], ["vdb 1", "vdc 2"]),
        ("1GiB, 4GiB", "3GiB", ["grow-disk disk vdb, 1GiB to 3GiB", "detach-disk disk vdc, 4GiB"], ["vdb 3"]),
        ("1GiB", "{volume: /v.raw, format: raw}, 1GiB", ["attach-disk volume /v.raw"], ["vdb 1", "vdc /v.raw"]),
        ("1GiB, {volume: /v.raw, format: raw}", "1GiB",
         ["detach-disk disk vdc, volume /v.raw, which stays as it is"], ["vdb 1"]),
    ],
)  # fmt: skip
def test_disks_grow_come_and_go_and_never_shrink(
    have: str, want: str, verbs: list[str], then: list[str], slipway: Orchestrator
) -> None:
    slipway.run(file(more=f", disks: [{have}]"))
    wanted = file(more=f", disks: [{want}]")
    change = of(slipway.plan(wanted), "instance web")
    assert [f"{run.verb} {run.what}" for run in change.runs] == verbs
    lost = any(verb.startswith("detach-disk") and "volume" not in verb for verb in verbs)
    assert (change in slipway.plan(wanted).asked) == lost
    if lost:
        assert "with all that is on it" in change.lost
        with pytest.raises(errors.NotConfirmed, match="change instance web"):
            slipway.run(wanted)
    (ended,) = agreed(slipway, wanted).ended
    assert parts(slipway)[1][1:] == then
    if "1GiB, 1GiB" in want:
        text = "disk vdc stays 2GiB (the file says 1GiB): a disk never shrinks: detach it, and attach a smaller one"
        assert ended.kept == (f"instance web: {text} (mine.yaml:13:3)",)


def test_a_resize_stops_what_runs_and_nothing_that_is_stopped(slipway: Orchestrator) -> None:
    slipway.run(file())
    wanted = file(flavor="vcpus: 2, memory: 1GiB, disk: 3GiB")
    change = of(slipway.plan(wanted), "instance web")
    assert (change.how, [(run.verb, run.how) for run in change.runs]) == (How.STOP, [("resize", How.STOP)])
    slipway.pause("web")
    assert of(slipway.plan(wanted), "instance web").problem.startswith("UnexpectedState: it is PAUSED")
    slipway.unpause("web")
    slipway.stop("web", force=True)
    assert of(slipway.plan(wanted), "instance web").how is How.CHANGE
    slipway.run(wanted)
    flavor = slipway.show("web").instance.request.flavor
    assert (flavor.vcpus, flavor.memory, flavor.disk) == (2, 1 << 30, 3 << 30)
    smaller = file(flavor="vcpus: 1, memory: 512MiB, disk: 1GiB")
    agreed(slipway, smaller)
    flavor = slipway.show("web").instance.request.flavor
    assert (flavor.vcpus, flavor.memory, flavor.disk) == (1, 512 << 20, 3 << 30)


def test_another_image_and_other_user_data_make_the_root_disk_anew_and_all_else_stays(slipway: Orchestrator) -> None:
    slipway.run(file(more=", disks: [1GiB], user_data: '#cloud-config'"))
    before = slipway.show("web").instance, parts(slipway)
    wanted = file(image="kernel: ./another", more=", disks: [1GiB], user_data: '#!/bin/true'", flavor=GROWN)
    change = of(slipway.plan(wanted), "instance web")
    assert [(run.verb, run.how, run.lost) for run in change.runs] == [
        ("resize", How.CHANGE, ""),
        ("rebuild", How.STOP, "its root disk with all that is on it"),
    ]
    agreed(slipway, wanted)
    after = slipway.show("web").instance
    assert (after.id, after.addresses, parts(slipway)[0]) == (before[0].id, before[0].addresses, before[1][0])
    assert after.request.image.kernel != before[0].request.image.kernel
    assert of(slipway.plan(file()), "instance web").how is How.REPLACE, "user data that the file has no more"


GROWN = "vcpus: 1, memory: 512MiB, disk: 3GiB"


def test_what_a_host_has_not_is_said_before_and_a_failure_leaves_it_as_it_was(slipway: Orchestrator) -> None:
    slipway.run(file())
    before = slipway.show("web").instance
    wanted = file(more=", disks: [1000GiB]")
    change = of(slipway.plan(wanted), "instance web")
    assert change.problem.startswith("ComputeResourcesUnavailable: host a has not enough left: 1000GiB more of disk")
    for _ in range(2):
        (ended,) = slipway.run(wanted, yes=True).ended
        assert (str(ended.status), ended.instance and ended.instance.request) == ("failed", before.request)
        assert of(slipway.plan(wanted), "instance web") == change
        assert slipway.audit() == ()


def test_a_volume_that_another_one_has_is_refused_and_goes_over_once_it_is_free(
    slipway: Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "v.raw").write_bytes(b"data".ljust(1 << 20, b"."))
    volume = f"disks: [{{volume: {tmp_path / 'v.raw'}, format: raw}}]"
    host = "{vcpus: 8, memory: 16GiB, disk: 100GiB, disks: qcow2}"
    without = "db: {flavor: s, image: i, networks: [net]}"
    slipway.run(file(host=host, more=f", {volume}", instances=without))
    slipway.run(file(host=host, instances=f"{without[:-1]}, {volume}}}"))
    assert [list(one.request.disks) != [] for one in (slipway.show(name).instance for name in ("web", "db"))] == [0, 1]
    back = file(host=host, more=f", {volume}", instances=without)
    web, db = slipway.run(back).ended
    assert (str(web.status), web.error, str(db.status)) == ("refused", "VolumeInUse", "changed")
    assert "is in use by instance" in web.message
    assert slipway.audit() == ()
    agreed(slipway, back)
    assert (tmp_path / "v.raw").read_bytes()[:4] == b"data"


def test_a_saved_plan_of_changes_holds_until_something_moves(slipway: Orchestrator, tmp_path: Path) -> None:
    slipway.run(file(more=", disks: [1GiB]"))
    wanted = file(nics="net, net", more=", disks: [2GiB, {volume: /v.raw, format: raw}]")
    saved = tmp_path / "a.plan"
    slipway.save_plan(slipway.plan(wanted), saved)
    plan = slipway.load_plan(saved)
    assert [run.verb for run in of(plan, "instance web").runs] == ["attach-interface", "grow-disk", "attach-disk"]
    slipway.changes.attach_disk("web", 1 << 30)
    with pytest.raises(errors.PlanOutdated, match="instance web: request"):
        slipway.apply(plan)
    slipway.changes.detach_disk("web", "vdc")
    (ended,) = slipway.apply(plan).ended
    assert str(ended.status) == "changed"
    assert parts(slipway)[1] == ["vda 2", "vdb 2", "vdd /v.raw"]


def test_two_runs_at_once_do_it_once(slipway: Orchestrator) -> None:
    slipway.run(file())
    wanted = file(nics="net, net", more=", disks: [1GiB]")
    plan = slipway.plan(wanted)
    for _ in range(2):
        assert str(slipway.apply(plan, checked=True).ended[0].status) == "changed"
    assert [len(each) for each in parts(slipway)] == [2, 2]


# --- crashes --------------------------------------------------------------------------------------------------------

BEFORE = {"networks": "a, {network: a, fixed_ip: 10.0.0.50}", "more": ", disks: [3GiB, 4GiB]"}
AFTER = {
    "networks": "a, {port: mine}",
    "more": ", disks: [5GiB, 4GiB, 6GiB], metadata: {tier: front}, security_groups: [strict]"
    ", user_data: '#cloud-config'",
}


def test_a_run_that_is_killed_somewhere_is_run_again_and_all_is_as_the_file_says(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    sweep(make_site(**BEFORE), tmp_path / "ready", every=EVERY)


@pytest.mark.slow
def test_a_run_that_is_killed_anywhere_is_run_again_and_all_is_as_the_file_says(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    sweep(make_site(**BEFORE), tmp_path / "ready", every=1)


def sweep(site: Site, ready: Path, *, every: int) -> None:
    record.copy(site.state, ready)
    wanted = run_file(**AFTER)
    seen = site.faults()
    with seen.orchestrator(site.state) as slipway:
        slipway.run(wanted, yes=True)
    modes = (Mode.ERROR, Mode.LOST_REPLY, Mode.CRASH_BEFORE, Mode.CRASH_AFTER)
    points = [fault for mode in modes for fault in seen.possible(mode)]
    points += seen.possible(Mode.CRASH_AFTER, commits=True)
    wrong: dict[str, object] = {}
    ends: Counter[str] = Counter()
    for fault in points[::every]:
        shutil.rmtree(site.state)
        record.copy(ready, site.state)
        if fault.mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
            assert crashed(partial(bring, site, wanted, fault)), fault
        else:
            bring(site, wanted, fault)
        with site.open() as slipway:
            (ended,) = slipway.run(wanted, yes=True).ended
            ends[str(ended.status)] += 1
            problems = [*slipway.audit(), *done(slipway.plan(wanted)).items(), *wrong_with(site.state / "slipway.db")]
            have, want = slipway.list()[0].request, wanted.instances[0].request
            if (sorted(have.disks, key=str), have.metadata) != (sorted(want.disks, key=str), want.metadata):
                problems.append(have)
            slipway.delete(slipway.list()[0].id)
            problems += slipway.audit()
        if problems:
            wrong[str(fault)] = problems
    print(f"\n{len(points[::every])} points, {len(wrong)} wrong, ends {dict(ends)}")
    assert not wrong


def bring(site: Site, wanted: RunFile, fault: Fault) -> None:
    with site.open(fault) as slipway, suppress(errors.SlipwayError):
        slipway.run(wanted, yes=True)


def test_what_somebody_left_unfinished_is_finished_and_then_made_what_the_file_says(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    wanted = run_file(networks="a, a", more=", disks: [1GiB]")

    def attach() -> None:
        with site.open(Fault("create_port", Mode.CRASH_AFTER)) as slipway:
            slipway.changes.attach_interface("web-1", NetworkRequest(network="a"))

    assert crashed(attach)
    with site.open() as slipway:
        assert done(slipway.plan(wanted)) == {"instance web-1": How.FINISH}
        (ended,) = slipway.run(wanted).ended
        assert (str(ended.status), done(slipway.plan(wanted)), slipway.audit()) == ("changed", {}, ())
        assert (len(slipway.list()[0].addresses), slipway.list()[0].request.disks) == (2, (1 << 30,))
    assert crashed(attach)
    with site.open() as slipway, pytest.raises(errors.NotConfirmed, match="what others had begun is finished"):
        slipway.run(run_file(networks="a, a, a"))
    with site.open() as slipway:
        assert (len(slipway.list()[0].addresses), slipway.list()[0].request.disks) == (3, (1 << 30,))

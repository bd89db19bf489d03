"""A plan in a file: carried out as it was made, or refused with what is the matter."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, errors
from tests.stacks.planned import HOST, file

SECRET = "user_data: '#cloud-config-of-web'"


@pytest.fixture
def slipway(tmp_path: Path) -> Iterator[Orchestrator]:
    with Orchestrator(tmp_path / "state", project="p") as made:
        made.run(file())
        yield made


@pytest.fixture
def saved(slipway: Orchestrator, tmp_path: Path) -> Path:
    path = tmp_path / "a.plan"
    wanted = file(network="mtu: 1400, ", instances=f"db: {{flavor: s, image: i, networks: [net], {SECRET}}}")
    slipway.save_plan(slipway.plan(wanted), path)
    return path


def test_a_plan_is_the_same_when_it_is_read_and_does_what_it_says(slipway: Orchestrator, saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    plan = slipway.load_plan(saved)
    assert plan == replace(slipway.plan(plan.file), made_at=plan.made_at)
    result = slipway.apply(plan)
    assert (result.changes.changed, [str(one.status) for one in result.ended]) == (
        ("network net",),
        ["unchanged", "built"],
    )
    assert slipway.plan(plan.file).changes == ()
    with pytest.raises(errors.PlanOutdated, match="network net: mtu was 1500, is 1400"):
        slipway.apply(plan)


def test_a_plan_of_what_is_replaced_needs_agreement(slipway: Orchestrator, tmp_path: Path) -> None:
    path = tmp_path / "b.plan"
    slipway.save_plan(slipway.plan(file(flavor="vcpus: 1, memory: 512MiB, disk: 2GiB, numa_cells: 1")), path)
    with pytest.raises(errors.NotConfirmed, match="replace instance web"):
        slipway.apply(slipway.load_plan(path))
    slipway.apply(slipway.load_plan(path), yes=True)


MOVES: dict[str, tuple[Callable[[Orchestrator, Path], object], str]] = {
    "an instance was stopped": (
        lambda s, _: s.stop("web", force=True),
        r"instance web: state was ACTIVE.*, is STOPPED",
    ),
    "an instance is gone": (lambda s, _: s.delete("web"), "instance web is gone"),
    "another took its place": (lambda s, _: (s.delete("web"), s.run(file())), "instance web: id was"),
    "one came before": (
        lambda s, _: s.create(file(instances="db: {flavor: s, image: i}").instances[1].request),
        "instance db is there by now",
    ),
    "a subnet was changed": (
        lambda s, _: s.network.update_subnet(s.network.list_subnets()[0].id, dns_nameservers=["10.0.0.3"]),
        "subnet sub: dns_nameservers was none, is 10.0.0.3",
    ),
    "a rule was added": (
        lambda s, _: s.network.create_security_group_rule(
            security_group_id=s.network.list_security_groups(name="web")[0].id,
            direction="ingress",
            ethertype="IPv4",
            protocol="udp",
        ),
        "security group web: rules was",
    ),
    "a port was taken": (
        lambda s, _: s.network.delete_port(s.network.list_ports(name="spare")[0].id),
        "port spare is gone",
    ),
    "a host was given out": (
        lambda s, _: s.create(file(instances="x: {flavor: s, image: i}").instances[1].request),
        "host a, as it is used: vcpus_used was 1, is 2",
    ),
    "a host was changed": (
        lambda s, _: s.add_host(file(host=f"{HOST[:-1]}, zone: z}}").hosts[0]),
        "host a: zone was nova",
    ),
    "a domain ended": (
        lambda _, state: next(state.glob("world/a/domains/*.json")).unlink(),
        "what is there of instance web: its domain is not there on a",
    ),
    "a disk is gone": (
        lambda _, state: next(state.glob("world/a/disks/*.json")).unlink(),
        "what is there of instance web: its disk 0 is not there on a",
    ),
}


@pytest.mark.parametrize("what", list(MOVES))
def test_a_plan_is_refused_where_anything_has_moved(
    what: str, slipway: Orchestrator, saved: Path, tmp_path: Path
) -> None:
    plan = slipway.load_plan(saved)
    move, said = MOVES[what]
    move(slipway, tmp_path / "state")
    before = slipway.list(), slipway.network.list_networks()
    with pytest.raises(errors.PlanOutdated, match=said) as refused:
        slipway.apply(plan)
    assert "Nothing was done: make a new plan" in str(refused.value)
    assert (slipway.list(), slipway.network.list_networks()) == before


def test_a_plan_that_was_changed_anywhere_is_refused(slipway: Orchestrator, saved: Path) -> None:
    whole = saved.read_bytes()
    for at in range(0, len(whole) - 1, max(1, len(whole) // 150)):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        saved.write_bytes(bytes(flipped))
        with pytest.raises(errors.PlanUnusable, match=str(saved)):
            slipway.load_plan(saved)
    for length in (0, 1, 20, len(whole) // 2, len(whole) - 10):
        saved.write_bytes(whole[:length])
        with pytest.raises(errors.PlanUnusable):
            slipway.load_plan(saved)
    saved.write_bytes(json.dumps(json.loads(whole), indent=1).encode())
    with pytest.raises(errors.PlanUnusable, match="was changed since it was saved"):
        slipway.load_plan(saved)


def test_a_plan_of_another_record_or_version_is_refused(slipway: Orchestrator, saved: Path, tmp_path: Path) -> None:
    with Orchestrator(tmp_path / "other", project="p") as other:
        other.run(file())
        with pytest.raises(errors.PlanUnusable, match="another record"):
            other.load_plan(saved)
        with pytest.raises(errors.PlanUnusable, match="another record"):
            other.apply(slipway.load_plan(saved))
    text = saved.read_text()
    for old, new in (('"slipway_plan":1', '"slipway_plan":2'), ('"slipway":"0.1.0"', '"slipway":"9.0.0"')):
        saved.write_text(text.replace(old, new))
        with pytest.raises(errors.PlanUnusable, match="was made by Slipway"):
            slipway.load_plan(saved)


def test_only_a_plan_is_written_over(slipway: Orchestrator, saved: Path, tmp_path: Path) -> None:
    slipway.save_plan(slipway.plan(file()), saved)
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(errors.PlanUnusable, match="is no saved plan: name another file"):
        slipway.save_plan(slipway.plan(file()), notes)
    assert notes.read_text() == "mine"
    with pytest.raises(errors.PlanUnusable, match="cannot be written: No such file or directory"):
        slipway.save_plan(slipway.plan(file()), tmp_path / "none" / "a.plan")
    with pytest.raises(errors.PlanUnusable, match="cannot be read"):
        slipway.load_plan(tmp_path / "none.plan")

"""The checklist's rows B1 to B4: what is told, claims, the group's policy, and states."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.model.record import Event
from slipway.model.request import Flavor, ServerGroup
from slipway.states import instances, machines
from slipway.states.machines import State
from slipway.states.store import Store
from slipway.testing import Fault, Mode

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

GIB = 1 << 30


@pytest.fixture
def world(make_world: Maker) -> World:
    return make_world(hosts=3)


@contextmanager
def record(world: World) -> Iterator[Store]:
    store = Store(f"sqlite:///{world.state / 'slipway.db'}")
    yield store
    store.close()


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.type, event.message) for event in events if event.type.startswith("instance.")]


# --- B1: what is told ---------------------------------------------------------------------------------------------


def test_b1_start_comes_before_anything_is_done_and_names_the_image(world: World) -> None:
    events: list[Event] = []
    seen = world.faults()
    with world.open(seen) as orchestrator:
        done: list[int] = []

        def listen(event: Event) -> None:
            if not events:
                done.extend((len(orchestrator.show(event.instance_id).effects), len(world.driver_calls(seen))))
            events.append(event)

        instance = orchestrator.create(world.request(), on_event=listen)
    first = events[0]
    assert (first.type, first.image, first.name, first.instance_id) == (
        "instance.create.start",
        "tiny",
        "web-1",
        instance.id,
    )
    assert (first.vm_state, first.task_state, first.host, first.attempt) == ("BUILDING", "SCHEDULING", None, 1)
    assert done == [0, 0]


def test_b1_end_says_success_and_the_addresses(world: World) -> None:
    events: list[Event] = []
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", "net", "net"), on_event=events.append)
    assert told(events) == [("instance.create.start", ""), ("instance.create.end", "Success")]
    last = events[-1]
    assert (last.vm_state, last.task_state, last.host, last.image) == ("ACTIVE", None, instance.host, "tiny")
    assert last.addresses == instance.addresses == ("192.168.0.2", "192.168.0.3")


@pytest.mark.parametrize("kind", [errors.ImageUnacceptable, errors.ComputeError], ids=["abort", "hosts used up"])
def test_b1_error_is_told_once_with_the_first_cause(kind: type[Exception], world: World) -> None:
    events: list[Event] = []
    with world.open(Fault("spawn", Mode.ERROR, raises=lambda: kind("no"), last=2)) as orchestrator:
        world.fail(orchestrator, world.request(), events.append)
    assert told(events) == [("instance.create.start", ""), ("instance.create.error", f"{kind.__name__}: no")]
    assert (events[-1].vm_state, events[-1].task_state) == ("ERROR", None)


def test_b1_a_delete_in_mid_build_is_an_end_and_no_error(world: World) -> None:
    events: list[Event] = []
    with world.open() as orchestrator:

        def listen(event: Event) -> None:
            events.append(event)
            if (event.type, event.step) == ("step.start", "spawn"):
                orchestrator.delete("web-1")

        assert orchestrator.create(world.request(), on_event=listen).vm_state == "DELETED"
    assert told(events) == [
        ("instance.create.start", ""),
        ("instance.delete.end", ""),
        ("instance.create.end", "the instance was deleted while it was built"),
    ]


# --- B2: claims ---------------------------------------------------------------------------------------------------


def test_b2_the_claim_is_taken_on_the_chosen_host_and_says_where_the_instance_is(world: World) -> None:
    with world.open() as orchestrator:
        instance = orchestrator.create(world.request("web-1", host="h2", disks=(3 * GIB,)))
        claim = orchestrator.show("web-1").claim
    assert instance.host == "h2"
    assert claim is not None
    assert (claim.host, claim.vcpus, claim.memory, claim.disk) == ("h2", 1, GIB, 5 * GIB)


def test_b2_hosts_are_given_out_up_to_their_ratios(make_world: Maker) -> None:
    """2 vCPUs at 1.5 and 2 GiB at 2.0: three instances of one vCPU and 1 GiB fit, the fourth finds no vCPU."""
    world = make_world(hosts=1, host="vcpus: 2, memory: 2GiB, disk: 100GiB, ratios: {cpu: 1.5, memory: 2.0}")
    with world.open() as orchestrator:
        for number in range(3):
            orchestrator.create(world.request(f"web-{number}"))
        refused = world.fail(orchestrator, world.request("web-3"))
    assert refused.cause is not None
    assert refused.cause.type == "NoValidHost"
    assert refused.cause.message == "no host fits web-3: h1: 0 of 3 vCPUs are free"


def test_b2_no_instance_gets_more_vcpus_than_the_host_has(make_world: Maker) -> None:
    """Nova's NUMATopology and Core filters: overcommit is for several instances, not for one."""
    world = make_world(hosts=1, host="vcpus: 2, memory: 8GiB, disk: 100GiB, ratios: {cpu: 16}")
    with world.open() as orchestrator:
        refused = world.fail(orchestrator, world.request(flavor=Flavor("wide", 3, GIB, GIB)))
    assert refused.cause is not None
    assert refused.cause.type == "NoValidHost"


# --- B3: the group's policy after the claim -----------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "other"), [("anti-affinity", "h1"), ("affinity", "h2")])
def test_b3_a_policy_that_broke_since_the_choice_is_seen_after_the_claim(policy: str, other: str, world: World) -> None:
    group = ServerGroup("web", policy)
    events: list[Event] = []
    with world.open() as orchestrator:

        def listen(event: Event) -> None:
            """Another member is built between the choice of h1 and its claim."""
            if (event.type, event.step, event.attempt) == ("step.start", "claim", 1):
                orchestrator.create(world.request("web-2", group=group, host=other))
            events.append(event)

        instance = orchestrator.create(world.request("web-1", group=group), on_event=listen)
        assert orchestrator.audit() == ()
    assert (instance.vm_state, instance.host, instance.attempt) == ("ACTIVE", "h2", 2)
    (reschedule,) = [event for event in events if event.type == "reschedule"]
    assert reschedule.message.startswith("GroupAffinityViolation: host h1 will not do for web-1")


def test_b3_without_another_attempt_the_violation_is_the_fault(make_world: Maker) -> None:
    world = make_world(hosts=2, max_attempts=1)
    group = ServerGroup("web", "anti-affinity")
    with world.open() as orchestrator:

        def listen(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "claim"):
                orchestrator.create(world.request("web-2", group=group, host="h1"))

        failed = world.fail(orchestrator, world.request("web-1", group=group), listen)
        assert orchestrator.show("web-1").claim is None
        assert orchestrator.audit() == ()
    assert failed.cause is not None
    assert failed.cause.type == "GroupAffinityViolation"


# --- B3: pinned CPUs ----------------------------------------------------------------------------------------------


def pinned(*cpus: int) -> Flavor:
    return Flavor("pinned", vcpus=len(cpus), memory=GIB, disk=GIB, pin_cpus=cpus)


def test_b3_a_cpu_is_pinned_by_one_instance_at_a_time(make_world: Maker) -> None:
    """Nova: a dedicated CPU is nobody else's. Two vCPUs of one instance may share one."""
    world = make_world(hosts=2)
    with world.open() as orchestrator:

        def build(name: str, *cpus: int) -> str | None:
            return orchestrator.create(world.request(name, flavor=pinned(*cpus))).host

        assert [build("web-1", 2, 2), build("web-2", 2), build("web-3", 3, 1)] == ["h1", "h2", "h2"]
        orchestrator.create(world.request("web-4", host="h1"))
        failed = world.fail(orchestrator, world.request("web-5", flavor=pinned(0, 2)))
        assert failed.cause is not None
        assert failed.cause.message.endswith("h1: its CPU 2 is pinned already; h2: its CPU 2 is pinned already")
        orchestrator.delete("web-1")
        assert build("web-6", 0, 2) == "h1"
        assert orchestrator.audit() == ()


def test_b3_a_cpu_that_was_pinned_since_the_choice_is_seen_after_the_claim(world: World) -> None:
    events: list[Event] = []
    with world.open() as orchestrator:

        def listen(event: Event) -> None:
            """Another instance gets the CPU between the choice of h1 and its claim."""
            if (event.type, event.step, event.attempt) == ("step.start", "claim", 1):
                orchestrator.create(world.request("web-2", flavor=pinned(2), host="h1"))
            events.append(event)

        instance = orchestrator.create(world.request("web-1", flavor=pinned(2)), on_event=listen)
        assert orchestrator.audit() == ()
    assert (instance.vm_state, instance.host, instance.attempt) == ("ACTIVE", "h2", 2)
    (reschedule,) = [event for event in events if event.type == "reschedule"]
    assert reschedule.message == "ComputeResourcesUnavailable: host h1: its CPU 2 is pinned already"


# --- B4: states ---------------------------------------------------------------------------------------------------


def test_b4_the_states_come_in_novas_order(world: World) -> None:
    with world.open() as orchestrator:
        orchestrator.create(world.request())
        states = [(entry.vm_state, entry.task_state) for entry in orchestrator.show("web-1").history]
    assert states == [
        ("BUILDING", "SCHEDULING"),
        ("BUILDING", "CLAIMING"),
        ("BUILDING", "NETWORKING"),
        ("BUILDING", "BLOCK_DEVICE_MAPPING"),
        ("BUILDING", "SPAWNING"),
        ("ACTIVE", None),
    ]


def test_b4_a_reschedule_goes_back_to_claiming(world: World) -> None:
    with world.open(Fault("create_disk", Mode.ERROR)) as orchestrator:
        orchestrator.create(world.request())
        states = [entry.task_state for entry in orchestrator.show("web-1").history]
    phases = ["CLAIMING", "NETWORKING", "BLOCK_DEVICE_MAPPING"]
    assert states == ["SCHEDULING", *phases, "REVERTING", *phases, "SPAWNING", None]


def test_b4_without_networks_and_disks_the_states_are_the_same(world: World) -> None:
    diskless = Flavor("diskless", 1, GIB, 0)
    with world.open() as orchestrator:
        orchestrator.create(replace(world.request(flavor=diskless), networks=()))
        states = [entry.task_state for entry in orchestrator.show("web-1").history]
    assert states == ["SCHEDULING", "CLAIMING", "NETWORKING", "BLOCK_DEVICE_MAPPING", "SPAWNING", None]


def test_b4_a_state_that_is_not_as_expected_is_named_with_the_expected_one(world: World) -> None:
    expected, found = State("BUILDING", "CLAIMING"), "BUILDING/NETWORKING"
    messages: list[str] = []
    with record(world) as store, world.open() as orchestrator:

        def listen(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "network"):
                move, now = machines.Move.NETWORK, datetime.now(UTC)
                with store.write() as tx, pytest.raises(errors.UnexpectedState) as caught:
                    instances.advance(tx, event.instance_id, 1, expected, move, now)
                messages.append(str(caught.value))

        assert orchestrator.create(world.request(), on_event=listen).vm_state == "ACTIVE"
    assert len(messages) == 1
    assert f"expected {expected}" in messages[0]
    assert f"found {found}" in messages[0]

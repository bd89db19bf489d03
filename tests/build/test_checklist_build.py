"""The checklist's rows B1 to B7: what is told, claims, states, which class of error does what, and cleaning up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from slipway import errors
from slipway.errors import SlipwayError
from slipway.model import Event, Flavor, Instance, InstanceRequest, NetworkRequest, ServerGroup
from slipway.orchestrator import BuildFailed, Listener, Orchestrator
from slipway.states import hosts, instances, machines
from slipway.states.machines import State
from slipway.states.store import Store
from slipway.testing import Fault, Faults, Mode

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


def fail(orchestrator: Orchestrator, request: InstanceRequest, listen: Listener = lambda _event: None) -> BuildFailed:
    with pytest.raises(BuildFailed) as caught:
        orchestrator.create(request, on_event=listen)
    return caught.value


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
                done.extend((len(orchestrator.show(event.instance_id).effects), len(driver_calls(seen))))
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


def driver_calls(seen: Faults) -> list[str]:
    return [call for call, _ in seen.calls if call != "commit"]


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
        fail(orchestrator, world.request(), events.append)
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
        refused = fail(orchestrator, world.request("web-3"))
    assert refused.cause is not None
    assert refused.cause.type == "NoValidHost"
    assert refused.cause.message == "no host fits web-3: h1: 0 of 3 vCPUs are free"


def test_b2_no_instance_gets_more_vcpus_than_the_host_has(make_world: Maker) -> None:
    """Nova's NUMATopology and Core filters: overcommit is for several instances, not for one."""
    world = make_world(hosts=1, host="vcpus: 2, memory: 8GiB, disk: 100GiB, ratios: {cpu: 16}")
    with world.open() as orchestrator:
        refused = fail(orchestrator, world.request(flavor=Flavor("wide", 3, GIB, GIB)))
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

        failed = fail(orchestrator, world.request("web-1", group=group), listen)
        assert orchestrator.show("web-1").claim is None
        assert orchestrator.audit() == ()
    assert failed.cause is not None
    assert failed.cause.type == "GroupAffinityViolation"


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
                move, now = machines.Event.NETWORK, datetime.now(UTC)
                with store.write() as tx, pytest.raises(errors.UnexpectedState) as caught:
                    instances.advance(tx, event.instance_id, 1, expected, move, now)
                messages.append(str(caught.value))

        assert orchestrator.create(world.request(), on_event=listen).vm_state == "ACTIVE"
    assert len(messages) == 1
    assert f"expected {expected}" in messages[0]
    assert f"found {found}" in messages[0]


# --- B5: which class does what ------------------------------------------------------------------------------------

ABORT = (
    errors.NoMoreFixedIps,
    errors.NetworkNotFound,
    errors.NetworkAmbiguous,
    errors.BadRequest,
    errors.FixedIpAlreadyInUse,
    errors.FixedIpInvalidOnHost,
    errors.PortInUse,
    errors.PortNotUsable,
    errors.PortNotFree,
    errors.PortLimitExceeded,
    errors.SecurityGroupCannotBeApplied,
    errors.ExternalNetworkAttachForbidden,
    errors.VirtualInterfaceCreateException,
    errors.VirtualInterfaceMacAddressException,
    errors.MacAddressGenerationFailure,
    errors.FlavorDiskTooSmall,
    errors.FlavorMemoryTooSmall,
    errors.ImageNotActive,
    errors.ImageUnacceptable,
    errors.InvalidDiskInfo,
    errors.InvalidDomainXml,
)
RESCHEDULE = (
    errors.ComputeResourcesUnavailable,
    errors.GroupAffinityViolation,
    errors.ComputeError,
    errors.HypervisorUnavailable,
    errors.UnsupportedHardware,
    errors.StepTimeout,
    errors.WiringError,
    errors.DiskError,
    errors.PortBindingFailed,
    errors.TransientNetworkError,
    errors.MechanismDriverError,
    SlipwayError,
    RuntimeError,
    OSError,
    KeyError,
)


@pytest.mark.parametrize("kind", ABORT)
def test_b5_what_no_host_can_help_with_aborts(kind: type[Exception], world: World) -> None:
    before = world.reality()
    with world.open(Fault("spawn", Mode.ERROR, raises=lambda: kind("it cannot be"))) as orchestrator:
        failed = fail(orchestrator, world.request())
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.message) == (kind.__name__, "it cannot be")
    assert failed.cause.step == "spawn"
    assert failed.instance.attempt == 1
    assert failed.stuck == ()
    assert world.reality() == before


@pytest.mark.parametrize("kind", RESCHEDULE)
def test_b5_all_else_is_tried_on_the_next_host(kind: type[Exception], world: World) -> None:
    with world.open(Fault("spawn", Mode.ERROR, raises=lambda: kind("not here"))) as orchestrator:
        instance = orchestrator.create(world.request())
        assert orchestrator.audit() == ()
    assert (instance.vm_state, instance.attempt, instance.host) == ("ACTIVE", 2, "h2")
    assert instance.fault is None


def test_b5_a_deleted_instance_stops_quietly(world: World) -> None:
    before = world.reality()
    with world.open() as orchestrator:

        def listen(event: Event) -> None:
            if (event.type, event.step) == ("step.start", "ports"):
                orchestrator.delete("web-1")

        instance = orchestrator.create(world.request(), on_event=listen)
        history = [entry.event for entry in orchestrator.show(instance.id).history]
    assert (instance.vm_state, instance.fault) == ("DELETED", None)
    assert history == ["create", "claim", "network", "delete", "deleted"]
    assert world.reality() == before


@pytest.mark.parametrize(
    ("image", "flavor", "kind"),
    [
        ({"status": "queued"}, {}, "ImageNotActive"),
        ({"min_disk": 3 * GIB}, {}, "FlavorDiskTooSmall"),
        ({"size": 3 * GIB}, {}, "FlavorDiskTooSmall"),
        ({"min_memory": 2 * GIB}, {}, "FlavorMemoryTooSmall"),
        ({}, {"memory": 17 * GIB}, "NoValidHost"),
    ],
)
def test_b5_what_is_wrong_with_image_or_flavor_is_seen_before_anything_is_made(
    image: dict[str, object], flavor: dict[str, int], kind: str, world: World
) -> None:
    seen = world.faults()
    request = world.request()
    request = replace(
        request,
        image=replace(request.image, **image),  # type: ignore[arg-type]
        flavor=replace(request.flavor, **flavor),  # type: ignore[arg-type]
    )
    with world.open(seen) as orchestrator:
        failed = fail(orchestrator, request)
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.step, failed.instance.attempt) == (kind, "schedule", 1)
    assert driver_calls(seen) == []


def test_b5_the_request_on_record_is_the_one_that_was_made(world: World) -> None:
    """Nova LP1718512: the host that failed was stored in the request."""
    request = world.request()
    with world.open(Fault("spawn", Mode.ERROR, last=1)) as orchestrator:
        instance = orchestrator.create(request)
    assert instance.attempt == 3
    assert instance.request == request


# --- B6: after success --------------------------------------------------------------------------------------------


def test_b6_host_launch_time_and_addresses_are_on_record_and_nobody_is_at_work(world: World) -> None:
    began = datetime.now(UTC)
    with record(world) as store, world.open() as orchestrator:
        orchestrator.create(world.request())
        instance = orchestrator.show("web-1").instance
        with store.read() as tx:
            assert instances.worker_of(tx, instance.id) is None
            assert instances.outcome_of(tx, instance.id) is None
    assert instance.launched_at is not None
    assert began <= instance.launched_at <= datetime.now(UTC)
    assert (instance.host, instance.addresses, instance.fault) == ("h1", ("192.168.0.2",), None)


def test_b6_the_scheduler_learns_of_failures_and_of_successes(world: World) -> None:
    """Nova: BuildFailureWeigher puts a host behind the others, the next success makes it as good as new."""
    with record(world) as store:
        with world.open(Fault("spawn", Mode.ERROR)) as orchestrator:
            assert orchestrator.create(world.request("web-1")).host == "h2"
            assert failed_builds(store) == {"h1": 1, "h2": 0, "h3": 0}
            assert orchestrator.create(world.request("web-2")).host == "h3"
            assert orchestrator.create(world.request("web-3", host="h1")).host == "h1"
        assert failed_builds(store) == {"h1": 0, "h2": 0, "h3": 0}


def failed_builds(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return {usage.host.name: usage.failed_builds for usage in hosts.usages(tx)}


# --- B7: a failure inside -----------------------------------------------------------------------------------------


def test_b7_the_first_error_is_kept_and_the_later_ones_are_added(world: World) -> None:
    """Nova LP1693315: the error of the clean-up, or of the last host, hid the cause."""
    each = (OSError("on host 1"), errors.ComputeError("on host 2"), ValueError("on host 3"))
    left = iter(each)
    with world.open(Fault("spawn", Mode.ERROR, raises=lambda: next(left), last=2)) as orchestrator:
        failed = fail(orchestrator, world.request())
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.message, failed.cause.step) == ("OSError", "on host 1", "spawn")
    assert failed.cause.later == (
        "attempt 2 on h2, spawn: ComputeError: on host 2",
        "attempt 3 on h3, spawn: ValueError: on host 3",
    )


def test_b7_a_clean_up_that_fails_ends_the_build_with_the_first_error(world: World) -> None:
    """What a domain uses that may still run is held, and a later delete gets rid of it."""
    before = world.reality()
    faults = world.faults(
        Fault("spawn", Mode.LOST_REPLY, raises=lambda: errors.ComputeError("no reply")),
        Fault("destroy", Mode.ERROR, raises=lambda: OSError("no connection")),
    )
    with world.open(faults) as orchestrator:
        failed = fail(orchestrator, world.request())
        assert faults.fired
        (port,) = world.ports(failed.instance)
        assert port.binding_host_id == "h1"
        assert [claim.host for claim in (orchestrator.show("web-1").claim,) if claim] == ["h1"]
        kinds = {effect.kind: effect for effect in failed.stuck}
        assert set(kinds) == {"claim", "port", "binding", "disk", "definition", "vif", "domain"}
        assert kinds["domain"].error == "OSError: no connection"
        assert {f.difference.value for f in orchestrator.audit()} == {"stuck"}
        assert orchestrator.delete("web-1").vm_state == "DELETED"
        assert orchestrator.audit() == ()
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.message, failed.cause.later) == ("ComputeError", "no reply", ())
    assert failed.instance.attempt == 1
    assert world.reality() == before


def test_b7_a_delete_that_cannot_undo_everything_says_so_on_the_instance(world: World) -> None:
    with world.open(Fault("delete_disk", Mode.ERROR, raises=lambda: errors.DiskError("busy"))) as orchestrator:
        built = orchestrator.create(world.request())
        left = orchestrator.delete("web-1")
        assert (left.vm_state, left.task_state) == ("ERROR", None)
        assert left.fault is not None
        assert (left.fault.type, left.fault.step) == ("UndoFailed", "disks")
        assert left.fault.message == (
            f"2 effects could not be undone, the first is {built.id}/disks/0/1/h1: DiskError: busy"
        )
        assert orchestrator.delete("web-1").vm_state == "DELETED"


def test_b7_the_other_branch_is_waited_for_before_anything_is_undone(make_world: Maker) -> None:
    """The disks fail while a port is being made: the port is finished, and then undone with the rest."""
    world = make_world(hosts=1, remote=True)
    before = world.reality()
    events: list[Event] = []
    port_begun, disk_failed = threading.Event(), threading.Event()

    class Slow(Faults):
        """The disk fails while the port is being made."""

        @contextmanager
        def at(self, call: str, family: str = "") -> Iterator[None]:
            if call == "create_disk":
                assert port_begun.wait(10)
            with super().at(call):
                if call == "create_port":
                    port_begun.set()
                    assert disk_failed.wait(10)
                yield

    def listen(event: Event) -> None:
        events.append(event)
        if event.type == "step.error":
            disk_failed.set()

    faults = world.faults_of(Slow, Fault("create_disk", Mode.ERROR, raises=lambda: errors.DiskError("full")))
    with ThreadPoolExecutor(2) as pool, world.open(faults, executor=pool) as orchestrator:
        failed = fail(orchestrator, world.request(), listen)
        assert orchestrator.audit() == ()
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.step, failed.cause.later) == ("DiskError", "disks", ())
    steps = [(event.type, event.step) for event in events]
    assert steps.index(("step.end", "ports")) < steps.index(("step.undo", "ports"))
    assert ("step.start", "bindings") not in steps
    assert world.reality() == before


def test_b7_a_failure_is_logged_with_its_traceback(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """L5: a failing spawn is logged with its cause and goes on to B5."""
    with caplog.at_level(logging.INFO, "slipway"), world.open(Fault("spawn", Mode.ERROR)) as orchestrator:
        instance: Instance = orchestrator.create(world.request("web-1", NetworkRequest("net")))
    (line,) = [one for one in caplog.records if one.exc_info and one.getMessage() == "step spawn failed"]
    assert line.exc_info is not None
    assert isinstance(line.exc_info[1], errors.ComputeError)
    assert instance.attempt == 2

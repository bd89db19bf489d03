"""The checklist's rows B5 to B7: which class of error does what, what is on record in the end, and cleaning up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.errors import SlipwayError
from slipway.model.record import Event
from slipway.model.request import NetworkRequest
from slipway.orchestrator import BuildFailed
from slipway.states import hosts, instances
from slipway.states.store import Store
from slipway.testing import Call, Fault, Mode
from tests.build.conftest import SMALL, TINY
from tests.waiting import PATIENCE

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
        failed = world.fail(orchestrator, world.request())
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
        image=replace(request.image, **image),
        flavor=replace(request.flavor, **flavor),
    )
    with world.open(seen) as orchestrator:
        failed = world.fail(orchestrator, request)
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.step, failed.instance.attempt) == (kind, "schedule", 1)
    assert world.driver_calls(seen) == []


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"networks": (NetworkRequest("net", fixed_ip="192.168.0.20"),)},
        {"networks": (NetworkRequest("net", fixed_ip="10.0.0.1"),)},
        {"networks": (NetworkRequest("no-such-network"),)},
        {"security_groups": ("no-such-group",)},
        {"flavor": replace(SMALL, disk=GIB), "image": replace(TINY, min_disk=2 * GIB)},
    ],
)
def test_b6_a_users_own_mistake_is_not_held_against_the_host(world: World, wrong: dict[str, Any]) -> None:
    with record(world) as store, world.open() as orchestrator:
        world.fail(orchestrator, world.request("web-1", **wrong))
        assert failed_builds(store) == {"h1": 0, "h2": 0, "h3": 0}
        assert orchestrator.create(world.request("web-2")).host == "h1"


@pytest.mark.parametrize(
    ("kind", "counted"),
    [
        *((kind, 0) for kind in ABORT),
        (errors.OverQuota, 0),
        (errors.ComputeResourcesUnavailable, 0),
        (errors.GroupAffinityViolation, 0),
        (errors.PortBindingFailed, 0),
        (errors.UnsupportedHardware, 0),
        (errors.TransientNetworkError, 0),
        (errors.ComputeError, 1),
        (errors.HypervisorUnavailable, 1),
        (errors.DiskError, 1),
        (errors.WiringError, 1),
        (errors.StepTimeout, 1),
        (RuntimeError, 1),
    ],
)
def test_b6_only_a_hosts_own_failures_count(kind: type[Exception], counted: int, world: World) -> None:
    with record(world) as store, world.open(Fault("spawn", Mode.ERROR, raises=lambda: kind("x"))) as orchestrator:
        with suppress(BuildFailed):
            orchestrator.create(world.request())
        assert failed_builds(store)["h1"] == counted


def failed_builds(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return {usage.host.name: usage.failed_builds for usage in hosts.usages(tx)}


# --- B7: a failure inside -----------------------------------------------------------------------------------------


def test_b7_the_first_error_is_kept_and_the_later_ones_are_added(world: World) -> None:
    """Nova LP1693315: the error of the clean-up, or of the last host, hid the cause."""
    each = (OSError("on host 1"), errors.ComputeError("on host 2"), ValueError("on host 3"))
    left = iter(each)
    with world.open(Fault("spawn", Mode.ERROR, raises=lambda: next(left), last=2)) as orchestrator:
        failed = world.fail(orchestrator, world.request())
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
        failed = world.fail(orchestrator, world.request())
        assert faults.fired
        (port,) = world.ports(failed.instance)
        assert port.binding_host_id == "h1"
        assert [claim.host for claim in (orchestrator.show("web-1").claim,) if claim] == ["h1"]
        kinds = {effect.kind: effect for effect in failed.stuck}
        taps = {"vif"} if world.remote else set()
        assert set(kinds) == {"claim", "port", "binding", "disk", "definition", "domain", *taps}
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

    def meet(call: Call) -> None:
        """The disk fails while the port is being made."""
        if call.name == "create_disk":
            assert port_begun.wait(PATIENCE)
        if call.name == "create_port":
            port_begun.set()
            assert disk_failed.wait(PATIENCE)

    def listen(event: Event) -> None:
        events.append(event)
        if event.type == "step.error":
            disk_failed.set()

    faults = world.faults(Fault("create_disk", Mode.ERROR, raises=lambda: errors.DiskError("full")), on_call=meet)
    with ThreadPoolExecutor(2) as pool, world.open(faults, executor=pool) as orchestrator:
        failed = world.fail(orchestrator, world.request(), listen)
        assert orchestrator.audit() == ()
    assert failed.cause is not None
    assert (failed.cause.type, failed.cause.step, failed.cause.later) == ("DiskError", "disks", ())
    steps = [(event.type, event.step) for event in events]
    assert steps.index(("step.end", "ports")) < steps.index(("step.undo", "ports"))
    assert ("step.start", "bindings") not in steps
    assert world.reality() == before

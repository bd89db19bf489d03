"""How builds end under the faults that were injected into a running Nova: as there, or better by a rule that is named.

`nova-build-faults.json` has what Nova 30.2.1 did, with three hosts and three attempts. Each of its faults is set off
here in the same place, and the ends are compared: status, hosts tried, ports, claims and what a delete leaves.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from slipway import errors
from slipway.model.neutron import ADMIN
from slipway.model.record import Event, Instance
from slipway.model.request import Flavor, InstanceRequest, NetworkRequest
from slipway.orchestrator import BuildFailed, Orchestrator
from slipway.testing import COMMIT, Fault, Mode

if TYPE_CHECKING:
    from tests.build.conftest import Maker, World

NOVA = {
    case["case"]: case for case in json.loads(Path(__file__).with_name("nova-build-faults.json").read_text())["cases"]
}
FOREVER = 1_000_000
PER_HOST = 2
"""The last call of the first host's three, where the first try and two more fail."""

NETWORKS: dict[str, tuple[NetworkRequest | str, ...]] = {
    "net": ("net",),
    "two": ("net", "net"),
    "fixed": (NetworkRequest("net", fixed_ip="192.168.0.50"),),
    "port": (NetworkRequest(port="brought"),),
    "both": (NetworkRequest(port="brought"), "net"),
}

PERMANENT = "better: what no host can help with ends the build at once"
IN_PLACE = "better: what passes is tried again on the same host"
KEPT = "better: the port is kept for the next host, so there is none to lose"
HELD = "better: what a domain that may still run uses is neither freed nor lost, and is on record as held"


@dataclass(frozen=True)
class End:
    """How a build ended, in the words of the observations."""

    status: str
    attempts_reaching_driver: int
    distinct_hosts: int
    ports_left: int
    ports_left_with_device: int
    preexisting_port_device: str
    placement_allocations_left: int
    ports_left_after_delete: int
    allocations_left_after_delete: int


@dataclass(frozen=True)
class Case:
    """One fault, how it is set off here, and what is to come of it: `fault` is the class that ends on record."""

    expected: str
    faults: tuple[Fault, ...] = ()
    fault: str | None = None
    arrange: Callable[[World, Orchestrator], Callable[[Event], None] | None] | None = None


def at(call: str, raises: Callable[[], Exception], nth: int = 0, last: int | None = None) -> tuple[Fault, ...]:
    return (Fault(call, Mode.ERROR, nth, raises, last),)


def boom() -> Exception:
    return RuntimeError("boom")


def no_more_ports(world: World, _orchestrator: Orchestrator) -> None:
    """The port that was made beforehand is all that the project may have."""
    world.network.set_quotas(ADMIN, "demo", port=1)


def first_host_binds_nothing(world: World, _orchestrator: Orchestrator) -> None:
    world.broken.add("h1")


def others_are_quicker(world: World, orchestrator: Orchestrator) -> Callable[[Event], None]:
    """Fill each host with another instance just before it is claimed."""

    def listen(event: Event) -> None:
        if (event.type, event.step) == ("step.start", "claim") and event.name == "web-1":
            memory = next(host.memory for host in world.file.hosts if host.name == event.host)
            all_of_it = Flavor("all", vcpus=1, memory=memory, disk=0)
            orchestrator.create(world.request(f"other-on-{event.host}", host=event.host, flavor=all_of_it))

    return listen


CASES = {
    "no fault": Case("same"),
    "no fault, pre-existing + created": Case("same"),
    "create_port: no addresses (IpAddressGenerationFailure), always": Case(
        "same", at("create_port", errors.IpAddressGenerationFailure, last=FOREVER), "NoMoreFixedIps"
    ),
    "create_port: address already allocated, always": Case(
        PERMANENT, at("create_port", errors.IpAddressAlreadyAllocated, last=FOREVER), "FixedIpAlreadyInUse"
    ),
    "create_port: 500, always": Case(
        "same", at("create_port", errors.TransientNetworkError, last=FOREVER), "TransientNetworkError"
    ),
    "create_port: connection failed, first only": Case(IN_PLACE, at("create_port", errors.TransientNetworkError)),
    "create_port: MacAddressGenerationFailure-like 503, always": Case(
        PERMANENT, at("create_port", errors.MacAddressGenerationFailure, last=FOREVER), "MacAddressGenerationFailure"
    ),
    "create_port: second of two fails (500) on the first host only": Case(
        "same", at("create_port", errors.TransientNetworkError, nth=1, last=1 + PER_HOST)
    ),
    "bind: binding_failed, first host only": Case("same", arrange=first_host_binds_nothing),
    "bind: binding_failed, pre-existing port, first host only": Case("same", arrange=first_host_binds_nothing),
    "bind: MacAddressInUse, always": Case(PERMANENT, at("bind", errors.MacAddressInUse, last=FOREVER), "PortInUse"),
    "bind: 500, always": Case("same", at("bind", errors.TransientNetworkError, last=FOREVER), "TransientNetworkError"),
    "bind: port vanished (404), always": Case(PERMANENT, at("bind", errors.PortNotFound, last=FOREVER), "PortNotFound"),
    "bind: pre-existing bound, created one fails, first only": Case(
        "same", at("bind", errors.TransientNetworkError, nth=1, last=1 + PER_HOST)
    ),
    "create_port OverQuota always, network_allocate_retries=1": Case(
        PERMANENT, fault="PortLimitExceeded", arrange=no_more_ports
    ),
    "spawn: any exception, always": Case("same", at("spawn", boom, last=FOREVER), "RuntimeError"),
    "spawn: any exception, first two hosts": Case("same", at("spawn", boom, last=1)),
    "spawn: any exception, always, pre-existing port": Case("same", at("spawn", boom, last=FOREVER), "RuntimeError"),
    "spawn: any exception, always, pre-existing + created": Case(
        "same", at("spawn", boom, last=FOREVER), "RuntimeError"
    ),
    "spawn: ComputeResourcesUnavailable, first": Case("same", at("spawn", errors.ComputeResourcesUnavailable)),
    "spawn: VirtualInterfaceCreateException (vif plug timeout)": Case(
        "same", at("spawn", errors.VirtualInterfaceCreateException), "VirtualInterfaceCreateException"
    ),
    "spawn: ImageNotActive": Case("same", at("spawn", errors.ImageNotActive), "ImageNotActive"),
    "spawn: FlavorDiskSmallerThanImage": Case("same", at("spawn", errors.FlavorDiskTooSmall), "FlavorDiskTooSmall"),
    "spawn: InvalidInput": Case("same", at("spawn", errors.InvalidInput), "InvalidInput"),
    "spawn: UnsupportedHardware": Case("same", at("spawn", errors.UnsupportedHardware)),
    "spawn: InternalError (plug_vifs failure)": Case("same", at("plug", errors.WiringError)),
    "spawn: GroupAffinityViolation": Case("same", at("spawn", errors.GroupAffinityViolation)),
    "spawn fails and driver.destroy fails too (first)": Case(
        HELD, at("spawn", boom) + at("destroy", boom), "RuntimeError"
    ),
    "spawn fails first and delete_port fails once": Case(KEPT, at("spawn", boom) + at("delete_port", boom)),
    "claim: resources unavailable, always": Case(
        "same", fault="ComputeResourcesUnavailable", arrange=others_are_quicker
    ),
    "claim: unexpected error, first": Case("same", at(COMMIT, boom, nth=2)),
}


def verdict(ours: End, nova: dict[str, Any], fault: str | None, held: frozenset[str]) -> str:
    """How our end compares; `held`: the kinds of what is on record as stuck or held."""
    differ = {f.name for f in fields(End) if getattr(ours, f.name) != nova[f.name]}
    if not differ:
        return "same"
    attempts, ports = {"attempts_reaching_driver", "distinct_hosts"}, {"ports_left", "ports_left_with_device"}
    sooner = ours.attempts_reaching_driver < nova["attempts_reaching_driver"]
    if differ == attempts and sooner and ours.status == "ACTIVE":
        return IN_PLACE
    if (
        differ == attempts
        and ours.attempts_reaching_driver == 1
        and issubclass(getattr(errors, fault or ""), errors.AbortBuild)
    ):
        return PERMANENT
    if differ == ports and ours.ports_left < nova["ports_left"]:
        return KEPT
    if differ == ports | {"placement_allocations_left"} and held >= {"domain", "port", "binding", "claim"}:
        return HELD
    return f"worse: {differ} in {ours}"


@pytest.mark.parametrize("remote", [False, True], ids=["local", "remote"])
@pytest.mark.parametrize("name", list(NOVA))
def test_the_build_ends_as_novas_or_better(
    name: str, remote: bool, make_world: Maker, record_property: Callable[[str, object], None]
) -> None:
    case, nova = CASES[name], NOVA[name]
    world = make_world(hosts=3, remote=remote, max_attempts=3)
    before = world.reality()
    faults = world.faults(*case.faults)
    events: list[Event] = []
    with world.open(faults) as orchestrator:
        listener = case.arrange(world, orchestrator) if case.arrange else None
        instance = build(orchestrator, world.request("web-1", *NETWORKS[nova["networks"]]), events, listener)
        ours, held = ending(orchestrator, world, instance, events)
        assert faults.fired, "the fault did not go off"
        for other in orchestrator.list():
            orchestrator.delete(other.id)
        assert orchestrator.audit() == ()
    assert (instance.fault.type if instance.fault else None) == case.fault
    assert world.reality() == before, "a delete left something, or took what was there before"
    found = verdict(ours, nova, case.fault, held)
    assert found == case.expected
    record_property("nova", found)


def build(
    orchestrator: Orchestrator, request: InstanceRequest, events: list[Event], listener: Callable[[Event], None] | None
) -> Instance:
    def listen(event: Event) -> None:
        events.append(event)
        if listener is not None:
            listener(event)

    try:
        return orchestrator.create(request, on_event=listen)
    except BuildFailed as failed:
        return failed.instance


def ending(
    orchestrator: Orchestrator, world: World, instance: Instance, events: list[Event]
) -> tuple[End, frozenset[str]]:
    """How it ended, with what audit says is stuck by then, and what a delete, repeated if need be, leaves."""
    tried = [e.host for e in events if (e.type, e.step, e.name) == ("step.start", "claim", instance.name)]
    made = [port for port in world.ports() if port.name != "brought"]
    mine = world.ports(instance)
    claims = orchestrator.show(instance.id).claim is not None
    held = frozenset(finding.kind for finding in orchestrator.audit() if finding.difference == "stuck")
    if instance.vm_state == "ACTIVE":
        assert {ip.ip_address for port in mine for ip in port.fixed_ips} == set(instance.addresses)
    if orchestrator.delete(instance.id).vm_state == "ERROR":
        orchestrator.delete(instance.id)
    end = End(
        status=instance.vm_state,
        attempts_reaching_driver=len(tried),
        distinct_hosts=len(set(tried)),
        ports_left=len([port for port in made if port.device_id in ("", instance.id)]),
        ports_left_with_device=len([port for port in made if port.device_id == instance.id]),
        preexisting_port_device="ours" if any(port.name == "brought" for port in mine) else "cleared",
        placement_allocations_left=int(claims),
        ports_left_after_delete=len(world.ports(instance)),
        allocations_left_after_delete=int(orchestrator.show(instance.id).claim is not None),
    )
    return end, held


def test_every_observation_has_its_case() -> None:
    assert list(CASES) == list(NOVA)

"""A request with an idempotency key is built once, whoever repeats it and when; the key stands for no other request."""

from __future__ import annotations

import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from slipway import (
    BuildFailed,
    Event,
    Flavor,
    GiB,
    Host,
    Image,
    InjectedFile,
    InstanceRequest,
    Orchestrator,
    Simulation,
    errors,
)
from tests.waiting import PATIENCE

HOST = Host("node-1", vcpus=64, memory=64 * GiB, disk=500 * GiB)
WEB = InstanceRequest(
    "web",
    Flavor("small", vcpus=1, memory=GiB, disk=GiB),
    Image("tiny", path="/images/tiny.qcow2", format="qcow2"),
    networks=(),
    idempotency_key="order-66",
    user_data="#cloud-config\npassword: secret\n",
    files=(InjectedFile("/etc/token", "secret"),),
)


@pytest.fixture
def slipway(tmp_path: Path) -> Orchestrator:
    made = Orchestrator(tmp_path)
    made.add_host(HOST)
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"flavor": replace(WEB.flavor, vcpus=2)},
        {"user_data": "#cloud-config\npassword: another\n"},
        {"user_data": None},
        {"files": (InjectedFile("/etc/token", "another"),)},
        {"files": ()},
        {"metadata": (("a", "b"),)},
        {"networks": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_key_of_another_request_is_refused(slipway: Orchestrator, changes: dict[str, Any]) -> None:
    first = slipway.create(WEB)
    with pytest.raises(errors.IdempotencyKeyReused, match=f"order-66 was used for another request.*web .{first.id}"):
        slipway.create(replace(WEB, **changes))
    assert slipway.create(WEB) == first
    assert slipway.create(replace(WEB, project="other")).id != first.id


def test_a_key_whose_instance_is_gone_makes_no_second_one(slipway: Orchestrator) -> None:
    slipway.create(WEB)
    slipway.delete("web")
    with pytest.raises(errors.InstanceDeleted, match=r"web .* has been deleted; take a new key"):
        slipway.create(WEB)
    with pytest.raises(errors.IdempotencyKeyReused):
        slipway.create(replace(WEB, name="other"))
    assert slipway.list() == []
    assert slipway.create(replace(WEB, idempotency_key="order-67")).vm_state == "ACTIVE"


def test_a_build_that_failed_is_told_again(slipway: Orchestrator) -> None:
    slipway.add_host(replace(HOST, simulate=Simulation(fail=("spawn",))))
    with pytest.raises(BuildFailed) as first:
        slipway.create(WEB)
    slipway.add_host(HOST)
    with pytest.raises(BuildFailed, match="told to fail in spawn") as again:
        slipway.create(WEB)
    assert again.value.instance.id == first.value.instance.id
    assert [one.key for one in again.value.undone] == [one.key for one in first.value.undone]


def test_who_comes_second_gets_what_the_first_one_built(slipway: Orchestrator) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(event: Event) -> None:
        if event.step == "spawn":
            begun.set()
            assert go_on.wait(PATIENCE)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(slipway.create, WEB, on_event=slowly)
        assert begun.wait(PATIENCE)
        for timeout in (0, 0.1):
            with pytest.raises(errors.InstanceBusy, match="still being built"):
                slipway.create(WEB, timeout=timeout)
        second = threads.submit(slipway.create, WEB)
        assert not second.done()
        go_on.set()
        assert first.result() == second.result()
    assert second.result().vm_state == "ACTIVE"
    assert len(slipway.list()) == 1


def test_who_comes_while_it_is_deleted_is_told_so(slipway: Orchestrator) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(event: Event) -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    slipway.create(WEB)
    with ThreadPoolExecutor(2) as threads:
        gone = threads.submit(slipway.delete, "web", on_event=slowly)
        assert begun.wait(PATIENCE)
        second = threads.submit(slipway.create, WEB)
        go_on.set()
        with pytest.raises(errors.InstanceDeleted):
            second.result()
        assert gone.result().vm_state == "DELETED"


def test_a_listener_of_the_build_itself_does_not_wait_for_it(slipway: Orchestrator) -> None:
    refused: list[errors.InstanceBusy] = []

    def again(event: Event) -> None:
        if event.step == "spawn" and not refused:
            with pytest.raises(errors.InstanceBusy) as caught:
                slipway.create(WEB)
            refused.append(caught.value)

    assert slipway.create(WEB, on_event=again).vm_state == "ACTIVE"
    assert refused


def test_what_a_crash_left_is_gone_on_with(slipway: Orchestrator) -> None:
    def crash(event: Event) -> None:
        if event.step == "spawn":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        slipway.create(WEB, on_event=crash)
    half = slipway.list()[0]
    assert half.vm_state == "BUILDING"
    assert slipway.create(WEB).id == half.id
    assert [one.vm_state for one in slipway.list()] == ["ACTIVE"]


def test_many_threads_make_one(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway, ThreadPoolExecutor(8) as threads:
        slipway.add_host(HOST)
        made = list(threads.map(lambda _: slipway.create(WEB), range(8)))
        assert len({one.id for one in made}) == len(slipway.list()) == 1
        assert {one.vm_state for one in made} == {"ACTIVE"}


def create(state: Path, changes: dict[str, Any]) -> tuple[str, str]:
    """In another process."""
    with Orchestrator(state) as slipway:
        try:
            built = slipway.create(replace(WEB, **changes))
        except errors.SlipwayError as error:
            return type(error).__name__, ""
        return built.vm_state, built.id


def test_many_processes_make_one(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        slipway.add_host(HOST)
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        same = [pool.submit(create, tmp_path, {}) for _ in range(4)]
        other = [pool.submit(create, tmp_path, {"name": "other"}) for _ in range(2)]
        ends = [one.result() for one in same + other]
    assert len({built for _, built in ends if built}) == 1
    assert {end for end, _ in ends} == {"ACTIVE", "IdempotencyKeyReused"}
    with Orchestrator(tmp_path) as slipway:
        assert len(slipway.list()) == 1
        assert slipway.audit() == ()

"""Each kind of leak, planted into Slipway itself: the drill finds every one, by the invariant that it breaks.

The processes of a drill are forked from this one, so that what is planted here is there as well.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from slipway import errors
from slipway.drill.campaign import Report
from slipway.drill.runner import Outcome
from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.flows.run import Run
from slipway.flows.tasks.claim import ClaimHost
from slipway.flows.tasks.disks import CreateDisk, MapDisks
from slipway.flows.tasks.finish import Finish
from slipway.model.machine import Claim, Disk, DiskRequest, Vif
from slipway.model.network import Port
from slipway.runfile import RunFile
from slipway.states import codec, hosts, instances
from slipway.states.schema import hosts as hosts_table
from slipway.states.schema import instances as instances_table

Patch = pytest.MonkeyPatch
Planted = Callable[[Patch], None]


def revert_that_does_nothing(patch: Patch) -> None:
    def undo(self: CreateDisk, work: Any, result: Disk | None) -> None:
        del self, work, result

    patch.setattr(CreateDisk, "undo", undo)


def revert_that_raises(patch: Patch) -> None:
    def undo(self: CreateDisk, work: Any, result: Disk | None) -> None:
        raise KeyError("no such argument")

    patch.setattr(CreateDisk, "undo", undo)


def key_from_a_returned_id(patch: Patch) -> None:
    """The service finds a port by what it answered, so that nobody finds it whose answer was lost."""
    create = EmbeddedNetwork.create_port
    made: dict[str, str] = {}

    def create_port(self: EmbeddedNetwork, context: Any, *, key: str | None = None, **given: Any) -> Port:
        port = create(self, context, key=f"{key} {uuid.uuid4()}", **given)
        made[str(key)] = port.id
        return port

    def find_port(self: EmbeddedNetwork, context: Any, key: str, **given: Any) -> Port | None:
        return self.show_port(context, made[key], **given) if key in made else None

    patch.setattr(EmbeddedNetwork, "create_port", create_port)
    patch.setattr(EmbeddedNetwork, "find_port", find_port)


def effect_outside_a_step(patch: Patch) -> None:
    """A step that is said to do nothing writes a file all the same."""
    plain = MapDisks.do

    def do(self: MapDisks, work: Any) -> tuple[DiskRequest, ...]:
        work.on_host.compute.write_definition(f"scratch-{work.instance.id}", "<domain/>")
        return plain(self, work)

    patch.setattr(MapDisks, "do", do)


def claim_freed_twice(patch: Patch) -> None:
    def undo(self: ClaimHost, work: Any, result: Claim | None) -> None:
        host = work.effect.host
        hosts.release(work.tx, work.instance.id, host)
        less = hosts_table.c.vcpus_used - work.instance.request.flavor.vcpus
        work.tx.execute(sa.update(hosts_table).where(hosts_table.c.name == host).values(vcpus_used=less))

    patch.setattr(ClaimHost, "undo", undo)


def error_that_hides_the_first(patch: Patch) -> None:
    plain = Run.holder

    def holder(self: Run, effect: Any) -> Any:
        if effect.kind == "domain" and self.fault is not None:
            self.fault = replace(self.fault, type="CleanUpError", message="could not clean up")
            with self.tools.store.write() as tx:
                row = sa.update(instances_table).where(instances_table.c.id == self.instance.id)
                tx.execute(row.values(fault=codec.encode(self.fault)))
        return plain(self, effect)

    patch.setattr(Run, "holder", holder)


def worker_that_takes_its_fence_for_a_failure(patch: Patch) -> None:
    """A worker that was replaced rolls back what is its successor's by now."""
    plain = instances.fence

    def fence(tx: Any, instance_id: str, generation: int, *, going_on: bool) -> None:
        try:
            plain(tx, instance_id, generation, going_on=going_on)
        except errors.StaleWorker as error:
            raise errors.ComputeError(str(error)) from error

    patch.setattr(instances, "fence", fence)


def destroy_that_touches_a_neighbour(patch: Patch) -> None:
    plain = SimCompute.destroy

    def destroy(self: SimCompute, instance_id: str) -> None:
        plain(self, instance_id)
        for domain in self.list_domains():
            plain(self, domain.instance_id)

    patch.setattr(SimCompute, "destroy", destroy)


def disk_made_twice(patch: Patch) -> None:
    """Made again on a resume, beside the one that is there."""
    plain = CreateDisk.do

    def do(self: CreateDisk, work: Any, request: DiskRequest) -> Disk:
        plain(self, work, request)
        return work.on_host.disk.create_disk(replace(request, slot=request.slot + 10))  # type: ignore[no-any-return]

    patch.setattr(CreateDisk, "do", do)


def secret_in_an_error(patch: Patch) -> None:
    plain = Finish.do

    def do(self: Finish, work: Any, vifs: tuple[Vif, ...]) -> tuple[str, ...]:
        (work.tools.drivers._state / "cloud-init.log").write_text(work.instance.request.user_data or "")
        return plain(self, work, vifs)

    patch.setattr(Finish, "do", do)


@dataclass(frozen=True)
class Leak:
    plant: Planted
    only: tuple[str, ...]
    invariant: str


LEAKS = (
    Leak(revert_that_does_nothing, ("rollback/destroy:crash_before",), "A3"),
    Leak(revert_that_raises, ("rollback/destroy:crash_before",), "A11"),
    Leak(key_from_a_returned_id, ("build/create_port:crash_after", "build/create_port:lost_reply.transient"), "A2"),
    Leak(effect_outside_a_step, ("rollback/destroy:crash_before",), "A3"),
    Leak(claim_freed_twice, ("rollback/destroy:crash_before",), "A5"),
    Leak(error_that_hides_the_first, ("rollback/destroy:error.reschedule",), "A6"),
    Leak(worker_that_takes_its_fence_for_a_failure, ("build/create_disk:pause:1",), "A2"),
    Leak(destroy_that_touches_a_neighbour, ("rollback/destroy:crash_before",), "A8"),
    Leak(disk_made_twice, ("build/spawn:crash_before",), "A3"),
    Leak(secret_in_an_error, ("build/spawn:crash_before",), "A10"),
)


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.plant.__name__)
def test_a_planted_leak_is_found(
    leak: Leak, one_host: RunFile, drilled: Callable[..., Report], monkeypatch: Patch
) -> None:
    assert drilled(one_host, *leak.only, remote=True).leaks == []
    leak.plant(monkeypatch)
    report = drilled(one_host, *leak.only, remote=True)
    found = {problem.invariant for result in report.leaks for problem in result.problems}
    assert leak.invariant in found, [str(problem) for result in report.results for problem in result.problems]
    assert all(result.outcome is Outcome.LEAK for result in report.leaks)

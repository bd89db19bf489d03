"""Rules that no type can hold: seen while real builds run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from slipway import Orchestrator
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.flows.tasks.catalog import BY_KIND, CATALOG
from slipway.model.request import Host
from slipway.orchestrator import default_drivers
from slipway.runfile import loads
from slipway.settings import Settings
from slipway.states.store import Store

FILE = """
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim, simulate: {fail: [spawn]}}
  node-2: {vcpus: 8, memory: 4GiB, disk: 100GiB, compute: sim}
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/24}}, ports: {mine: {}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  web-1: {flavor: small, image: tiny, networks: [{port: mine}, a], disks: [1GiB], user_data: "#cloud-config"}
"""


def open_transactions(store: Store) -> set[int]:
    """The connections that are in a transaction, at any time."""
    found: set[int] = set()
    sa.event.listen(store.engine, "begin", lambda connection: found.add(id(connection)))
    sa.event.listen(store.engine, "commit", lambda connection: found.discard(id(connection)))
    sa.event.listen(store.engine, "rollback", lambda connection: found.discard(id(connection)))
    return found


class Watched:
    """A driver outside our database, which must not be called while a transaction of ours is open."""

    def __init__(self, driver: Any, transactions: set[int], calls: list[str]) -> None:
        self._driver, self._open, self._calls = driver, transactions, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            assert not self._open, f"{name} was called inside of a transaction"
            self._calls.append(name)
            return found(*args, **kwargs)

        return call


class WatchedDrivers(Drivers):
    def __init__(self, store: Store, settings: Settings, state: Path, calls: list[str]) -> None:
        inner = default_drivers(store, settings, state)
        super().__init__(inner.network, state)
        self._inner, self._open, self._calls = inner, open_transactions(store), calls

    def make(self, host: Host) -> HostDrivers:
        made = self._inner.make(host)
        watch: Callable[[Any], Any] = lambda driver: Watched(driver, self._open, self._calls)  # noqa: E731
        return HostDrivers(watch(made.compute), made.wiring, watch(made.disk))


def test_no_transaction_is_open_across_a_call_to_anything_outside_our_database(tmp_path: Path) -> None:
    calls: list[str] = []
    file = loads(FILE, "rules.yaml")
    with Orchestrator(
        tmp_path,
        settings=file.settings,
        drivers=lambda store, settings, state: WatchedDrivers(store, settings, state, calls),
    ) as orchestrator:
        (ended,) = orchestrator.run(file).ended
        assert ended.instance is not None
        assert (ended.instance.vm_state, ended.instance.attempt) == ("ACTIVE", 2)
        assert orchestrator.delete("web-1").vm_state == "DELETED"
    assert {"spawn", "destroy", "create_disk", "delete_disk", "write_definition", "macs_for_instance"} <= set(calls)


@pytest.mark.parametrize("task", CATALOG.values(), ids=lambda task: task.name)
def test_every_task_has_an_undo_or_says_why_none_is_needed(task: Any) -> None:
    said = " ".join((type(task).__doc__ or "").split())
    assert task.undo is not None or "Needs no undo" in said or (task.irreversible and "Has no undo of its own" in said)
    assert BY_KIND[task.kind] is task, "a kind names one task"

"""The ledger's promises, one by one, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway import errors
from slipway.model.record import Effect, EffectState, Instance, Scope
from slipway.model.request import Flavor, Image, InstanceRequest
from slipway.states import instances
from slipway.states.effects import effects_of
from slipway.states.held import hold, take_over
from slipway.states.instance_owner import BuildLedger, InstanceOwner
from slipway.states.instance_runs import Begun
from slipway.states.intent import Durability, Intent
from slipway.states.ledger import Ledger
from slipway.states.machines import Move, State
from slipway.states.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = InstanceRequest("web-1", Flavor("f", 1, 1, 1), Image("i"), project="p")


def clock() -> datetime:
    return NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'slipway.db'}")
    yield made
    made.close()


@pytest.fixture
def instance(store: Store) -> Instance:
    with store.write() as tx:
        return instances.create(tx, "id-1", REQUEST, run=Begun("run-1", "build", "build-instance"), worker="w", at=NOW)


@pytest.fixture
def ledger(store: Store, instance: Instance) -> BuildLedger:
    return Ledger(store, InstanceOwner(instance), clock=clock)


def intent(step: str = "disks", slot: int = 0, **more: Any) -> Intent[Move]:
    values: dict[str, Any] = {"kind": "disk", "scope": Scope.HOST, "host": "node-1", "args": b"{}", "timeout": 10.0}
    return Intent(step, slot, **(values | more))


def rows(store: Store) -> list[tuple[str, EffectState]]:
    with store.read() as tx:
        return [(effect.key, effect.state) for effect in effects_of(tx, "id-1")]


def test_a_foreign_effect_is_on_record_before_it_is_done(store: Store, ledger: BuildLedger) -> None:
    seen: list[Any] = []

    def call(_effect: Effect, tx: Any) -> tuple[int, ...]:
        seen.append((tx, rows(store)))
        return (1, 2)

    assert ledger.perform(intent(), Durability.FOREIGN, call, tuple[int, ...]) == (1, 2)
    assert seen == [(None, [("id-1/disks/0/1/node-1", EffectState.INTENDED)])]
    assert rows(store) == [("id-1/disks/0/1/node-1", EffectState.DONE)]


def test_what_is_done_is_not_done_again_and_comes_back_as_it_was(store: Store, instance: Instance) -> None:
    calls: list[int] = []

    def call(_effect: Effect, _tx: Any) -> tuple[datetime, ...]:
        calls.append(1)
        return (NOW,)

    for _ in range(2):
        again = Ledger(store, InstanceOwner(instance), clock=clock)
        assert again.perform(intent(), Durability.FOREIGN, call, tuple[datetime, ...]) == (NOW,)
    assert calls == [1]


def test_what_is_intended_is_done_again(store: Store, instance: Instance, ledger: BuildLedger) -> None:
    def fails(_effect: Effect, _tx: Any) -> None:
        raise errors.DiskError("no")

    with pytest.raises(errors.DiskError):
        ledger.perform(intent(), Durability.FOREIGN, fails, type(None))
    Ledger(store, InstanceOwner(instance), clock=clock).perform(
        intent(), Durability.FOREIGN, lambda _e, _t: None, type(None)
    )
    assert rows(store) == [("id-1/disks/0/1/node-1", EffectState.DONE)]


def test_a_local_effect_and_its_row_are_one_commit(store: Store, ledger: BuildLedger) -> None:
    def fails(_effect: Effect, tx: Any) -> None:
        hold(tx, "instance", "id-1", 1, None)
        raise errors.ComputeResourcesUnavailable("full")

    with pytest.raises(errors.ComputeResourcesUnavailable):
        ledger.perform(intent(), Durability.LOCAL, fails, type(None))
    assert rows(store) == []
    with store.read() as tx:
        assert instances.worker_of(tx, "id-1") == "w"


def test_an_error_after_the_commit_leaves_the_effect_to_be_undone(store: Store, ledger: BuildLedger) -> None:
    def call(_effect: Effect, tx: Any) -> None:
        def postcommit() -> None:
            raise errors.NetworkError("postcommit")

        store.after_commit(tx, postcommit)

    with pytest.raises(errors.NetworkError):
        ledger.perform(intent(), Durability.LOCAL, call, type(None))
    assert rows(store) == [("id-1/disks/0/1/node-1", EffectState.DONE)]
    assert [effect.state for effect in ledger.effects()] == [EffectState.DONE]


def test_keys_come_from_owner_and_slot_and_from_the_host_where_it_is_the_hosts(ledger: BuildLedger) -> None:
    assert ledger.key(intent()) == "id-1/disks/0/1/node-1"
    assert ledger.key(intent("ports", 2, scope=Scope.INSTANCE, host=None)) == "id-1/ports/2"


def test_a_worker_that_was_replaced_is_refused_in_doing_and_undoing(
    store: Store, instance: Instance, ledger: BuildLedger
) -> None:
    ledger.perform(intent(), Durability.FOREIGN, lambda _e, _t: None, type(None))
    with store.write() as tx:
        assert take_over(tx, "instance", instance.id, instance.generation, worker="other") == 2
    touched: list[str] = []

    def call(_effect: Effect, _tx: Any) -> None:
        touched.append("do")

    for durability in (Durability.FOREIGN, Durability.LOCAL):
        with pytest.raises(errors.StaleWorker):
            ledger.perform(intent(slot=1), durability, call, type(None))
    assert touched == ["do"], "a foreign effect is refused before it is done; a local one is rolled back"
    with pytest.raises(errors.StaleWorker):
        ledger.conclude(Move.FAIL)
    (done,) = ledger.effects()
    with pytest.raises(errors.StaleWorker):
        ledger.undo(done, Durability.LOCAL, call, held_by=None)
    assert rows(store) == [("id-1/disks/0/1/node-1", EffectState.DONE)]


def test_a_taken_over_instance_cannot_be_taken_over_from_an_old_look(store: Store, instance: Instance) -> None:
    with store.write() as tx:
        assert take_over(tx, "instance", instance.id, instance.generation, worker="first") == 2
    with store.write() as tx:
        assert take_over(tx, "instance", instance.id, instance.generation, worker="second") is None
        assert instances.get(tx, instance.id).worker == "first"


def test_a_delete_is_seen_at_the_next_effect_and_what_is_under_way_is_still_recorded(
    store: Store, ledger: BuildLedger
) -> None:
    def call(_effect: Effect, _tx: Any) -> int:
        with store.write() as tx:
            instances.advance(tx, "id-1", 1, State("BUILDING", "SCHEDULING"), Move.DELETE, NOW)
        return 7

    assert ledger.perform(intent(), Durability.FOREIGN, call, int) == 7
    assert rows(store) == [("id-1/disks/0/1/node-1", EffectState.DONE)]
    for durability in (Durability.FOREIGN, Durability.LOCAL, Durability.RECORDED):
        with pytest.raises(errors.InstanceDeleting):
            ledger.perform(intent(slot=1), durability, lambda _e, _t: 1, int)
    with pytest.raises(errors.InstanceDeleting):
        ledger.conclude(Move.FAIL)


def test_undoing_twice_does_it_once(ledger: BuildLedger) -> None:
    ledger.perform(intent(), Durability.FOREIGN, lambda _e, _t: None, type(None))
    calls: list[str] = []
    for _ in range(2):
        (effect,) = ledger.effects()
        ledger.undo(effect, Durability.FOREIGN, lambda e, _t: calls.append(e.key), held_by=None)
    assert calls == ["id-1/disks/0/1/node-1"]


def test_what_cannot_be_undone_is_stuck_with_its_error_and_can_be_tried_again(
    store: Store, ledger: BuildLedger
) -> None:
    ledger.perform(intent(), Durability.FOREIGN, lambda _e, _t: None, type(None))
    (effect,) = ledger.effects()

    def fails(_effect: Effect, _tx: Any) -> None:
        raise OSError("the disk is on fire")

    stuck = ledger.undo(effect, Durability.FOREIGN, fails, held_by=None)
    assert (stuck.state, stuck.error) == (EffectState.STUCK, "OSError: the disk is on fire")
    assert [e.key for e in ledger.stuck()] == [effect.key]
    assert ledger.undo(stuck, Durability.FOREIGN, lambda _e, _t: None, held_by=None).state is EffectState.UNDONE
    assert ledger.stuck() == []


def test_what_a_stuck_effect_uses_is_held_and_not_touched(ledger: BuildLedger) -> None:
    for slot in (0, 1):
        ledger.perform(intent(slot=slot), Durability.FOREIGN, lambda _e, _t: None, type(None))
    newer, older = ledger.effects()
    held = ledger.undo(older, Durability.FOREIGN, lambda _e, _t: pytest.fail("it was touched"), held_by=newer)
    assert (held.state, held.error, held.held_by) == (EffectState.STUCK, f"held by {newer.key}", newer.key)


def test_advance_is_a_compare_and_swap_that_names_both_states(store: Store, instance: Instance) -> None:
    both = r"expected BUILDING/CLAIMING.*found BUILDING/SCHEDULING"
    with pytest.raises(errors.UnexpectedState, match=both), store.write() as tx:
        instances.advance(tx, "id-1", 1, State("BUILDING", "CLAIMING"), Move.NETWORK, NOW)
    with pytest.raises(errors.StaleWorker), store.write() as tx:
        instances.advance(tx, "id-1", 0, State("BUILDING", "SCHEDULING"), Move.CLAIM, NOW)


def test_a_name_is_free_again_once_its_instance_is_deleted(store: Store, instance: Instance) -> None:
    with pytest.raises(errors.InstanceExists, match="web-1"), store.write() as tx:
        instances.create(tx, "id-2", REQUEST, run=Begun("run-2", "build", "build-instance"), worker="w", at=NOW)
    with store.write() as tx:
        deleting = instances.advance(tx, "id-1", 1, State("BUILDING", "SCHEDULING"), Move.DELETE, NOW)
        instances.advance(tx, "id-1", 1, deleting, Move.DELETED, NOW)
        instances.create(tx, "id-2", REQUEST, run=Begun("run-2", "build", "build-instance"), worker="w", at=NOW)

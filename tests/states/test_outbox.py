"""The outbox: what is on record has its event, in its commit; what is not has none."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from slipway import Orchestrator, RecordedEvent, errors
from slipway.model.record import Event
from slipway.runfile import loads
from slipway.states.store import Store
from slipway.testing import Fault, Faults, Mode
from tests import record
from tests.told import wrong_with

FILE = """
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, simulate: {{{simulate}}}}}
  node-2: {{vcpus: 4, memory: 16GiB, disk: 500GiB, compute: sim}}
networks: {{net: {{subnets: {{subnet: {{cidr: 192.168.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [net, net]}}}}
"""


def build(state: Path, simulate: str = "") -> list[RecordedEvent]:
    file = loads(FILE.format(simulate=simulate), "events.yaml")
    with Orchestrator(state, settings=file.settings) as slipway:
        slipway.run(file)
        assert wrong_with(state / "slipway.db") == []
        return list(slipway.events())


def steps(events: list[RecordedEvent], step: str) -> list[str]:
    return [f"{e.type.removeprefix('step.')}/{e.slot}" for e in events if e.step == step]


def test_a_build_is_told_from_beginning_to_end(tmp_path: Path) -> None:
    events = build(tmp_path)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert {(e.name, e.project) for e in events} == {("web", "default")}
    assert len({e.run_id for e in events} - {None}) == len({e.run_id for e in events}) == 1
    moves = [(e.type, e.state) for e in events if e.step is None]
    assert moves == [
        ("instance.create", "BUILDING/SCHEDULING"),
        ("instance.claim", "BUILDING/CLAIMING"),
        ("instance.network", "BUILDING/NETWORKING"),
        ("instance.map_disks", "BUILDING/BLOCK_DEVICE_MAPPING"),
        ("instance.spawn", "BUILDING/SPAWNING"),
        ("instance.finish", "ACTIVE/-"),
    ]
    assert steps(events, "ports") == ["done/0", "done/1"], "rows of our own: they and `done` are one commit"
    assert steps(events, "spawn") == ["intended/0", "done/0"]


def test_a_failure_is_told_with_its_step_and_what_is_undone(tmp_path: Path) -> None:
    events = build(tmp_path, "fail: [spawn, delete_disk]")
    failed = [e for e in events if e.type == "step.error"]
    assert [(e.step, e.attempt) for e in failed] == [("spawn", 1)]
    assert failed[0].detail.startswith("ComputeError: node-1: ")
    assert steps(events, "spawn") == ["intended/0", "error/None", "undone/0"]
    assert steps(events, "disks") == ["intended/0", "done/0", "stuck/0"]
    stuck = next(e for e in events if e.type == "step.stuck")
    assert stuck.detail.startswith("DiskError: ")
    assert events[-1].type == "instance.reverted"


def test_what_is_tried_again_is_told(tmp_path: Path) -> None:
    twice = Fault("list_networks", Mode.ERROR, last=1, raises=lambda: errors.TransientNetworkError("injected"))
    faults = Faults()
    file = loads(FILE.format(simulate=""), "events.yaml")

    def fail(event: Event) -> None:
        if (event.type, event.step) == ("step.start", "network"):
            faults.arm(twice)

    with Orchestrator(tmp_path, settings=file.settings, drivers=faults.drivers, sleep=lambda _seconds: None) as slipway:
        slipway.run(file, on_event=fail)
        again = [(e.step, e.slot, e.detail) for e in slipway.events() if e.type == "step.retry"]
    assert again == [("network", 0, f"again in {seconds} s: TransientNetworkError: injected") for seconds in (1, 2)]


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    events = build(tmp_path)
    with Orchestrator(tmp_path) as slipway:
        half = events[len(events) // 2].seq
        assert list(slipway.events(after=half)) == [e for e in events if e.seq > half]
        assert list(slipway.events(after=events[-1].seq)) == []
        assert list(slipway.events(after=2**70)) == []
        assert list(slipway.events(instance_id="another")) == []
        with pytest.raises(ValueError, match="after"):
            next(slipway.events(after=-1))


def test_a_number_is_not_given_again(tmp_path: Path) -> None:
    last = build(tmp_path)[-1].seq
    with closing(record.opened(tmp_path / "slipway.db")) as db:
        db.execute("DELETE FROM events")
        db.commit()
    with Orchestrator(tmp_path) as slipway:
        slipway.delete("web")
        assert next(slipway.events()).seq == last + 1


def test_what_is_rolled_back_has_no_event(tmp_path: Path) -> None:
    count = len(build(tmp_path))
    store = Store(f"sqlite:///{tmp_path / 'slipway.db'}")

    def change() -> None:
        with store.write() as tx:
            tx.execute(sa.text("UPDATE effects SET state = 'stuck'"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    store.close()
    with Orchestrator(tmp_path) as slipway:
        assert len(list(slipway.events())) == count


def test_who_follows_is_told_of_what_another_does(tmp_path: Path) -> None:
    last = build(tmp_path)[-1].seq
    heard: list[RecordedEvent] = []
    enough = threading.Event()

    def listen() -> None:
        with Orchestrator(tmp_path, sleep=lambda _seconds: time.sleep(0.02)) as slipway:
            heard.extend(slipway.events(after=last, follow=True, stopping=enough.is_set))

    listener = threading.Thread(target=listen)
    listener.start()
    try:
        with Orchestrator(tmp_path) as slipway:
            slipway.delete("web")
            expected = list(slipway.events(after=last))
    finally:
        enough.set()
        listener.join(60)
    assert heard == expected
    assert heard[-1].type == "instance.deleted"


def test_a_ledger_s_row_cannot_be_written_without_its_event(tmp_path: Path) -> None:
    build(tmp_path)
    with closing(record.opened(tmp_path / "slipway.db")) as db:
        (before,) = db.execute("SELECT count(*) FROM events").fetchone()
        changed = db.execute("UPDATE effects SET state = 'undone', undone_at = 7").rowcount
        db.execute("UPDATE effects SET deadline = 9")
        (after,) = db.execute("SELECT count(*) FROM events").fetchone()
    assert after - before == changed

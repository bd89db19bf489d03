"""Defects that other systems had and that no other test stands for; docs/defects.md has all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import errors
from slipway.drill import explore
from slipway.drill.auditor import audit
from slipway.drill.bench import Bench, Plan
from slipway.drill.cases import Case
from slipway.drill.runner import Runner
from slipway.drill.things import Things, look
from slipway.model.record import Event, Instance
from slipway.model.request import InstanceRequest
from slipway.orchestrator import BuildFailed
from slipway.runfile import RunFile
from slipway.testing import Fault, Mode, crashed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(one_host: RunFile, tmp_path: Path) -> Iterator[Bench]:
    """A bench on which the file's networks are there, and none of its instances."""
    made = Bench(Plan(one_host), tmp_path / "bench")
    made.orchestrator.run(made.file, stopping=lambda: True)
    made.save(tmp_path / "ready")
    made.load(tmp_path / "ready")
    yield made
    made.close()


def request(bench: Bench, name: str = "web-1") -> InstanceRequest:
    return replace(bench.file.instances[0].request, name=name)


def test_a_delete_after_a_kill_at_any_commit_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    """Without a resume in between."""
    before = look(tmp_path / "ready")
    bench.run()
    kills = bench.faults.possible(Mode.CRASH_AFTER, commits=True)
    assert len(kills) > 15
    for kill in kills:
        bench.load(tmp_path / "ready")
        bench.orchestrator.close()
        bench.arm(kill)
        assert crashed(bench.run), kill
        bench.reseed("after")
        bench.arm()
        bench.delete()
        assert audit(look(bench.state), before) == [], kill
        assert bench.orchestrator.list() == [], kill


def test_a_domain_that_died_is_found_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.run()
    domain = change_domain(bench, state="crashed")
    (found,) = bench.orchestrator.audit()
    assert (found.difference, found.kind, found.instance_id) == ("different", "domain", domain.stem)
    bench.delete()
    assert audit(look(bench.state), look(tmp_path / "ready")) == []
    bench.run()
    assert [instance.vm_state for instance in bench.orchestrator.list()] == ["ACTIVE"]


def test_a_domain_that_is_off_keeps_its_address(bench: Bench) -> None:
    bench.run()
    change_domain(bench, state="shutdown")
    first = bench.orchestrator.list()[0]
    networks = tuple(nic for nic in first.request.networks or () if nic.network)
    second = bench.orchestrator.create(replace(request(bench, "web-2"), networks=networks))
    assert second.addresses
    assert not set(first.addresses) & set(second.addresses)


def change_domain(bench: Bench, **changes: str) -> Path:
    (file,) = (bench.state / "world/node-1/domains").glob("*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    return file


def test_error_comes_after_the_last_undo(bench: Bench) -> None:
    seen: list[tuple[str, str]] = []

    def listen(event: Event) -> None:
        (row,) = look(bench.state).rows["instances"]
        seen.append((event.type, row["vm_state"]))

    bench.arm(Fault("power_state", Mode.ERROR, 0, lambda: errors.ComputeError("no")))
    with pytest.raises(BuildFailed):
        bench.orchestrator.create(request(bench), on_event=listen)
    states = [state for kind, state in seen if kind == "step.undo"]
    assert len(states) > 8
    assert set(states) == {"BUILDING"}
    assert [entry for entry in seen if entry[1] == "ERROR"] == [("instance.create.error", "ERROR")]


def test_the_same_request_after_a_lost_reply_makes_nothing_more(bench: Bench, tmp_path: Path) -> None:
    """The reply of the last commit is lost with the process that waited for it."""
    wanted = replace(request(bench), idempotency_key="once")

    def create() -> Instance:
        return bench.orchestrator.create(wanted)

    create()
    last = bench.faults.possible(Mode.CRASH_AFTER, commits=True)[-1]
    bench.load(tmp_path / "ready")
    bench.orchestrator.close()
    bench.arm(last)
    assert crashed(create)
    bench.reseed("after")
    bench.arm()
    before = things(bench)
    assert create().vm_state == "ACTIVE"
    assert things(bench).by_name == before.by_name


def things(bench: Bench) -> Things:
    return look(bench.state)


def test_a_fault_that_does_not_go_off_is_a_finding(bench: Bench, tmp_path: Path) -> None:
    """A drill whose faults miss would find nothing, whatever leaks."""
    exploration = explore.explore(bench, tmp_path / "templates")
    point = next(point for point in exploration.points if point.call == "spawn")
    for mode in (Mode.ERROR, Mode.CRASH_AFTER, Mode.PAUSE):
        (result,) = Runner(bench, exploration).run([Case(replace(point, nth=99), mode, "abort")])
        assert "A9" in {problem.invariant for problem in result.problems}, mode


def test_every_defect_has_a_test_that_exists() -> None:
    text = (ROOT / "docs/defects.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("| system", "| ---"))]
    assert len(rows) == 40
    for row in rows:
        tests = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row)
        assert tests or "matrix:" in row or "none:" in row, row
        for file, function in tests:
            assert f"def {function}(" in (ROOT / file).read_text(), f"{file}::{function}"


@pytest.mark.parametrize(("page", "least"), [("faults", 40), ("guarantees", 20)])
def test_every_fault_and_every_promise_has_a_test_that_exists(page: str, least: int) -> None:
    text = (ROOT / f"docs/{page}.md").read_text()
    heads = ("| situation", "| promise", "| ---")
    rows = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(heads)]
    assert len(rows) > least
    for row in rows:
        tests = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", row)
        assert tests, row
        for file, function in tests:
            there = (ROOT / file).exists() if not function else f"def {function}(" in (ROOT / file).read_text()
            assert there, f"{file}::{function}"

"""What a worker left unfinished when it was killed, or let go, is found by the audit; what is worked on is not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from slipway import errors
from slipway.cli.main import main
from slipway.operations.audit import Finding
from slipway.orchestrator import Orchestrator
from slipway.testing import Fault, Faults, Mode, crashed
from tests.build.test_life_cycle import Place, file


def left(orchestrator: Orchestrator) -> list[Finding]:
    return [found for found in orchestrator.audit() if found.difference == "unfinished"]


def build(state: Path, fault: Fault) -> None:
    with Faults(fault).orchestrator(state) as orchestrator:
        orchestrator.run(file())


@pytest.mark.parametrize("call", ["create_disk", "spawn"])
def test_a_build_whose_worker_was_killed(tmp_path: Path, call: str, capsys: pytest.CaptureFixture[str]) -> None:
    crashed(partial(build, tmp_path, Fault(call, Mode.CRASH_AFTER)))
    with Orchestrator(tmp_path) as orchestrator:
        (found,) = left(orchestrator)
        assert (found.kind, found.name) == ("instance", "web-1")
        assert found.detail.startswith("it is BUILDING/")
        assert "slipway resume" in found.detail
        with pytest.raises(SystemExit) as ended:
            main(["audit", "--state", str(tmp_path)])
        assert ended.value.code == 5
        assert "unfinished" in capsys.readouterr().out
        orchestrator.resume()
        assert orchestrator.audit() == ()


@pytest.mark.parametrize("verb", ["stop", "reboot", "delete"])
def test_what_else_was_left(tmp_path: Path, verb: str) -> None:
    place = Place(tmp_path / "state")

    def change() -> None:
        with place.open(Fault("destroy" if verb == "delete" else "stop", Mode.CRASH_BEFORE)) as orchestrator:
            getattr(orchestrator, verb)("web-1")

    crashed(change)
    with Orchestrator(place.state) as orchestrator:
        (found,) = left(orchestrator)
        assert found.detail.startswith("it is ACTIVE/")
        orchestrator.resume()
        assert orchestrator.audit() == ()


def test_what_was_let_go(tmp_path: Path) -> None:
    steps = 0

    def stopping() -> bool:
        nonlocal steps
        steps += 1
        return steps > 5

    with Orchestrator(tmp_path) as orchestrator:
        orchestrator.run(file(), stopping=stopping)
        assert len(left(orchestrator)) == 1
        orchestrator.run(file())
        assert orchestrator.audit() == ()


def test_what_is_worked_on_is_no_finding(tmp_path: Path) -> None:
    place = Place(tmp_path / "state")
    seen: list[list[Finding]] = []
    with Orchestrator(place.state) as other, Orchestrator(place.state) as orchestrator:
        for verb in (orchestrator.reboot, orchestrator.stop, orchestrator.start, orchestrator.delete):
            verb("web-1", on_event=lambda _event: seen.append(left(other)))
    assert len(seen) > 10
    assert not any(seen)
    with pytest.raises(errors.InstanceNotFound), Orchestrator(place.state) as orchestrator:
        orchestrator.show("web-1")

"""A drill whose records are in PostgreSQL has the points that it has in SQLite, and no leak; no database is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from slipway.cli.drillverb import verb_of
from slipway.cli.main import main
from slipway.drill import campaign
from slipway.drill.bench import Plan
from slipway.drill.campaign import Wanted
from slipway.drill.cases import Selection
from slipway.drill.runner import Outcome
from slipway.drill.workflows.campaign import drill as drill_flow
from slipway.drill.workflows.plan import FlowPlan
from slipway.runfile import load, loads
from tests.drill.test_verb_drill import TWO
from tests.postgresql import PostgreSQL

EXAMPLES = Path(__file__).parents[2] / "examples"
FLOW = """
schema: 1
name: flow
steps:
  - {id: first, uses: assert, with: {that: true, message: no}}
  - {id: nap, uses: sleep, with: {for: 5s}}
"""


def verb_s(line: str, server: PostgreSQL) -> Plan:
    """The drill of a verb."""
    return Plan(loads(TWO, "demo.yaml"), verb=verb_of([line]), remote_network=True, database=server.url())


def left(server: PostgreSQL) -> list[str]:
    """The databases of drills."""
    return [name for (name,) in server.execute("SELECT datname FROM pg_database WHERE datname LIKE '%%drill%%'")]


def test_a_file_s_drill_has_the_same_points_and_leaks_nothing(postgresql: PostgreSQL) -> None:
    file = load(EXAMPLES / "smallest.yaml")
    there, here = Plan(file, database=postgresql.url()), Plan(file)
    assert campaign.points(there, Wanted()) == campaign.points(here, Wanted())
    report = campaign.drill(there, Wanted(sample=10, jobs=2))
    assert [problem for result in report.leaks for problem in result.problems] == []
    assert len(report.results) == 10
    assert report.totals[Outcome.RESUMED] > 0
    assert left(postgresql) == []


def test_a_workflow_s_drill_leaks_nothing(postgresql: PostgreSQL, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    report = drill_flow(FlowPlan(tmp_path / "flow.yaml", database=postgresql.url()), Wanted(sample=8))
    assert [problem for result in report.leaks for problem in result.problems] == []
    assert len(report.results) == 8
    assert left(postgresql) == []


@pytest.mark.parametrize("line", ["stop web-1 --force", "delete web-1", "rebuild web-1", "move web-1"])
def test_a_verb_s_drill_leaks_nothing(line: str, postgresql: PostgreSQL) -> None:
    report = campaign.drill(verb_s(line, postgresql), Wanted(sample=6, jobs=2))
    assert [problem for result in report.leaks for problem in result.problems] == []
    assert len(report.results) == 6
    assert left(postgresql) == []


def test_a_worker_of_another_boot_is_replaced_once_its_lease_has_passed(postgresql: PostgreSQL) -> None:
    """By the server's clock, which a drill puts forward with its own."""
    wanted = Wanted([Selection.parse("forward/commit:reboot")], sample=2)
    report = campaign.drill(verb_s("rename web-1 shop-1", postgresql), wanted)
    assert [problem for result in report.leaks for problem in result.problems] == []
    assert report.totals == {Outcome.RESUMED: 2}


def test_the_command_takes_a_server_and_never_the_user_s_own_record(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drill(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["drill", str(EXAMPLES / "smallest.yaml"), *words], prog_name="slipway")
        return done.exit_code, done.output

    code, said = drill("--only", "build/claim:crash_before", "--db", postgresql.url())
    assert (code, "1 run in" in said, "1 resumed" in said) == (0, True, True), said
    assert left(postgresql) == []
    code, said = drill("--db", "sqlite:////tmp/x.db")
    assert (code, "--db" in said) == (2, True)
    monkeypatch.setenv("SLIPWAY_DB", "postgresql://nobody@127.0.0.1:1/nothing")
    assert drill("--only", "build/claim:crash_before")[0] == 0

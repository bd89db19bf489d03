"""Each change, with each call and each commit going wrong in every way that a drill knows.

Whatever happens, the instance is then what it was before or what it was to become, and nothing is left over.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.drill.bench import Plan
from slipway.drill.campaign import Report, Wanted, drill
from slipway.drill.verb import Verb as Drilled
from tests.changes.verbs import VERBS, Verb
from tests.repair.conftest import Site, run_file
from tests.told import wrong_with

CASES = 8
"""How many of a verb's cases are run every time, from all over them; `-m slow` runs all."""

each = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)


@pytest.fixture
def site(verb: Verb, make_site: Callable[..., Site]) -> Site:
    made = make_site(**verb.says)
    with made.open() as orchestrator:
        verb.before(orchestrator)
    return made


@each
def test_it_is_done_and_goes_with_its_instance(verb: Verb, site: Site) -> None:
    with site.open() as orchestrator:
        before = orchestrator.list()[0]
        assert not verb.done(orchestrator, before)
        changed = verb.do(orchestrator)
        assert (changed.fault, changed.vm_state) == (None, before.vm_state)
        assert verb.done(orchestrator, changed), changed
        if verb.stuck:
            assert {one.difference.value for one in orchestrator.audit()} == {"stuck"}
            orchestrator.repair()
        assert orchestrator.audit() == ()
        gone = orchestrator.delete(changed.id)
        assert (gone.vm_state, orchestrator.audit()) == ("DELETED", ())
    assert not wrong_with(site.state / "slipway.db")


def plan_of(verb: Verb) -> Plan:
    """Its drill, with a network service that is elsewhere."""
    drilled = Drilled((), lambda slipway, _told: verb.do(slipway), lambda slipway, _: verb.before(slipway))
    return Plan(run_file(**verb.says), remote_network=True, verb=drilled)


def check(name: str, report: Report) -> None:
    totals = ", ".join(f"{number} {outcome}" for outcome, number in sorted(report.totals.items()))
    print(f"\n{name}: {report.points} points, {len(report.results)} runs, {report.seconds:.0f} s: {totals}")
    assert {one.case.name: [str(problem) for problem in one.problems] for one in report.leaks} == {}
    assert report.results


@each
def test_something_goes_wrong_and_it_is_done_or_nothing_is(verb: Verb) -> None:
    check(verb.name, drill(plan_of(verb), Wanted(sample=CASES)))


@pytest.mark.slow
@each
def test_whatever_goes_wrong_it_is_done_or_nothing_is(verb: Verb) -> None:
    check(verb.name, drill(plan_of(verb), Wanted(jobs=2)))

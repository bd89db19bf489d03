"""Each change, with each call failing, its reply lost, and kill -9 before and after each call and at each commit.

Whatever happens, the instance is then what it was before or what it was to become, and nothing is left over.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.errors import SlipwayError
from slipway.testing import Fault, Mode, crashed
from tests.changes.verbs import VERBS, Verb
from tests.repair.conftest import Site
from tests.told import wrong_with

EVERY = 4
"""Which part of the points is tried every time: one of so many, another one for each verb; `-m slow` tries all."""

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


@each
def test_something_goes_wrong_and_it_is_done_or_nothing_is(verb: Verb, site: Site, tmp_path: Path) -> None:
    sweep(verb, site, tmp_path / "ready", every=EVERY)


@pytest.mark.slow
@each
def test_whatever_goes_wrong_it_is_done_or_nothing_is(verb: Verb, site: Site, tmp_path: Path) -> None:
    sweep(verb, site, tmp_path / "ready", every=1)


def sweep(verb: Verb, site: Site, ready: Path, *, every: int) -> None:
    shutil.copytree(site.state, ready)
    seen = site.faults()
    with seen.orchestrator(site.state) as orchestrator:
        verb.do(orchestrator)
    points = [
        fault
        for mode in (Mode.ERROR, Mode.LOST_REPLY, Mode.CRASH_BEFORE, Mode.CRASH_AFTER)
        for fault in seen.possible(mode)
    ]
    points += seen.possible(Mode.CRASH_AFTER, commits=True)
    points = points[len(verb.name) % every :: every]
    wrong: dict[str, object] = {}
    ends: Counter[str] = Counter()
    for fault in points:
        shutil.rmtree(site.state)
        shutil.copytree(ready, site.state)
        problems, end = after(site, verb, fault)
        ends[end] += 1
        if problems:
            wrong[str(fault)] = problems
    print(f"\n{verb.name}: {len(points)} points, {len(wrong)} wrong, ends {dict(ends)}")
    assert not wrong
    assert points


def after(site: Site, verb: Verb, fault: Fault) -> tuple[list[object], str]:
    """What is wrong once the fault has come, and how it ended."""
    problems: list[object] = []
    if fault.mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER):
        if not crashed(partial(do, site, verb, fault)):
            problems.append("did not fire")
    else:
        do(site, verb, fault)
    with site.open() as orchestrator:
        orchestrator.resume()
        problems += look(orchestrator)
        (instance,) = orchestrator.list()
        done = verb.done(orchestrator, instance)
        orchestrator.delete(instance.id)
        problems += [*orchestrator.audit(), *orchestrator.list()]
    problems += wrong_with(site.state / "slipway.db")
    return problems, "done" if done else "as before"


def do(site: Site, verb: Verb, fault: Fault) -> None:
    with site.open(fault) as orchestrator, suppress(SlipwayError):
        verb.do(orchestrator)


def look(orchestrator: Orchestrator) -> list[object]:
    """What does not agree; something may be stuck where an undo failed as well, and a repair tries that again."""
    if orchestrator.audit():
        orchestrator.repair()
    return list(orchestrator.audit())

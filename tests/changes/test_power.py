"""Stops, starts, pauses, repairs and deletes, with each call and each commit going wrong in every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway import Orchestrator
from slipway.drill.bench import Plan
from slipway.drill.campaign import Wanted, drill
from slipway.drill.cases import Selection
from slipway.drill.verb import Verb
from slipway.errors import ComputeError
from slipway.testing import Fault, Mode
from tests.changes.test_every_change import CASES, check
from tests.repair.conftest import Site, run_file

Does = Callable[[Orchestrator], object]


def stop(slipway: Orchestrator) -> object:
    return slipway.stop("web-1", force=True)


def pause(slipway: Orchestrator) -> object:
    return slipway.pause("web-1")


def nothing(_slipway: Orchestrator) -> object:
    return None


POWER: dict[str, tuple[Does, Does]] = {
    "stop": (nothing, stop),
    "stop of a paused one": (pause, stop),
    "start": (stop, lambda slipway: slipway.start("web-1")),
    "reboot": (nothing, lambda slipway: slipway.reboot("web-1", force=True)),
    "pause": (nothing, pause),
    "unpause": (pause, lambda slipway: slipway.unpause("web-1")),
    "delete": (nothing, lambda slipway: slipway.delete("web-1")),
    "delete of a stopped one": (stop, lambda slipway: slipway.delete("web-1")),
}
MENDS: dict[str, Does] = {
    "repair": lambda slipway: slipway.repair("web-1"),
    "up": lambda slipway: slipway.up(),
}


def verb_of(name: str) -> Verb:
    if name in MENDS:
        return Verb((), lambda slipway, _told: MENDS[name](slipway), restarted=True)
    before, do = POWER[name]
    return Verb((), lambda slipway, _told: do(slipway), lambda slipway, _told: before(slipway))


each = pytest.mark.parametrize("name", [*POWER, *MENDS])


@each
def test_something_goes_wrong_and_it_is_done_or_nothing_is(name: str) -> None:
    check(name, drill(Plan(run_file(), remote_network=True, verb=verb_of(name)), Wanted(sample=CASES)))


def test_a_guest_that_a_replaced_worker_ends_late_runs_on() -> None:
    wanted = Wanted(only=(Selection.parse("stop:pause:0"),))
    check("reboot", drill(Plan(run_file(), remote_network=True, verb=verb_of("reboot")), wanted))


@pytest.mark.slow
@each
def test_whatever_goes_wrong_it_is_done_or_nothing_is(name: str) -> None:
    check(name, drill(Plan(run_file(), remote_network=True, verb=verb_of(name)), Wanted(jobs=2)))


@pytest.mark.parametrize(
    ("name", "seen", "state"), [("pause", 1, "PAUSED"), ("stop", 1, "STOPPED"), ("start", 3, "ACTIVE")]
)
def test_a_hypervisor_that_answers_no_more_did_what_was_seen_last(
    name: str, seen: int, state: str, make_site: Callable[..., Site]
) -> None:
    """`seen`: how often its domain is looked at before; whoever looks again is told that nobody knows."""
    site = make_site()
    before, do = POWER[name]
    with site.open() as slipway:
        before(slipway)
    mute = Fault("power_state", Mode.ERROR, seen, lambda: ComputeError("no answer"), 99)
    with site.open(mute) as slipway:
        do(slipway)
    with site.open() as slipway:
        (instance,) = slipway.list()
        assert (instance.vm_state, instance.fault and instance.fault.message) == (state, "no answer")
        assert slipway.audit() == ()

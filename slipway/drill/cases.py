"""What a drill does: the scenarios, their fault points, the modes that fit each, and the names of them all."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from slipway import errors
from slipway.drill.meanwhile import MEANWHILE
from slipway.testing import COMMIT, Fault, Mode


class Scenario(StrEnum):
    """Which part of an instance's life a fault falls into."""

    PREPARE = "prepare"
    """What a run does before its first instance: hosts, networks and ports are put on record."""
    BUILD = "build"
    """Everything goes forward."""
    RESCHEDULE = "reschedule"
    """The first host fails at its last step, the next one does not: back on one, forward on the other."""
    ROLLBACK = "rollback"
    """Every host fails at the last step of a build, so that all of it is undone."""
    DELETE = "delete"
    """What was built is deleted."""
    DESTROY = "destroy"
    """All that the file brought about is taken back, networks and all; there is no neighbour on them."""
    FORWARD = "forward"
    """A workflow's run goes forward to its end, or to its first pause."""
    APPROVE = "approve"
    """A run that is paused goes on to its end, as somebody has said."""
    REJECT = "reject"
    """A run that is paused is undone, as somebody has said."""
    BACK = "back"
    """A run's last step fails, so that all is undone."""
    CANCEL = "cancel"
    """A run is cancelled in its middle, or while it is paused."""
    UNDO = "undo"
    """What a run did that succeeded is taken back."""


MAIN = (Scenario.BUILD, Scenario.FORWARD)
"""Those that are meant where none is named."""


GOING = (Scenario.DELETE, Scenario.DESTROY)
"""The scenarios after which nothing of the instances is to be there."""


CALL_MODES = (
    Mode.ERROR,
    Mode.LOST_REPLY,
    Mode.CRASH_BEFORE,
    Mode.CRASH_AFTER,
    Mode.HANG,
    Mode.PAUSE,
    Mode.CLOCK_FORWARD,
    Mode.CLOCK_BACK,
    Mode.MEANWHILE,
)
COMMIT_MODES = (
    Mode.ERROR,
    Mode.LOCKED,
    Mode.FULL,
    Mode.CRASH_BEFORE,
    Mode.CRASH_AFTER,
    Mode.REBOOT,
    Mode.PAUSE,
    Mode.MEANWHILE,
)
CRASHES = frozenset({Mode.CRASH_BEFORE, Mode.CRASH_AFTER, Mode.REBOOT})

Raiser = Callable[[str], BaseException]

_FAMILIES: dict[str, dict[str, Raiser]] = {
    "network": {
        "abort": errors.BadRequest,
        "reschedule": errors.MechanismDriverError,
        "transient": errors.TransientNetworkError,
    },
    "compute": {"abort": errors.InvalidDomainXml, "reschedule": errors.ComputeError},
    "wiring": {"abort": errors.VirtualInterfaceCreateException, "reschedule": errors.WiringError},
    "disk": {"abort": errors.ImageUnacceptable, "reschedule": errors.DiskError},
    "task": {
        "abort": errors.UnexpectedAnswer,
        "reschedule": errors.StepTimeout,
        "transient": errors.ServerUnavailable,
    },
}
"""Each family's own error of each class that decides differently."""
_ANY: dict[str, Raiser] = {"transient": errors.TransientError, "bug": RuntimeError, "exit": SystemExit}
"""What any driver may raise: an error that passes, one that nobody foresaw, and one that ends the process."""

VARIANTS = {
    Mode.ERROR: ("abort", "reschedule", "transient", "bug", "exit"),
    Mode.LOST_REPLY: ("reschedule", "transient"),
    Mode.MEANWHILE: tuple(MEANWHILE),
}
"""The classes of errors of the modes that raise one, and what somebody else may do meanwhile."""

_LIVING = (Scenario.BUILD, Scenario.DELETE)
"""The scenarios in which somebody else does something meanwhile."""


class Point(Struct, frozen=True):
    """A call of a scenario's dry run: which one of its name, in which step, and whether that was being undone."""

    scenario: Scenario
    call: str
    nth: int
    family: str
    step: str
    undoing: bool
    in_transaction: bool
    """Whether a transaction of ours was open."""

    @property
    def row(self) -> str:
        """Where it stands in a report."""
        return f"undo {self.step}" if self.undoing else self.step


class Case(Struct, frozen=True):
    """One run of a drill: what goes wrong at which point, and what goes wrong after that when it recovers."""

    point: Point
    mode: Mode
    variant: str = ""
    second: str = ""
    """In a pair the fault of the recovery, as `call:mode:nth`; `?` where it is drawn by the seed."""

    @property
    def name(self) -> str:
        """`spawn:crash_after:0`, with the scenario before it where that is not one of `MAIN`."""
        where = "" if self.point.scenario in MAIN else f"{self.point.scenario}/"
        mode = f"{self.mode}.{self.variant}" if self.variant else self.mode.value
        return f"{where}{self.point.call}:{mode}:{self.point.nth}" + (f"+{self.second}" if self.second else "")

    @property
    def fault(self) -> Fault:
        """The fault itself."""
        point = self.point
        mode = Mode.CRASH_AFTER if self.mode is Mode.REBOOT else self.mode
        return Fault(point.call, mode, point.nth, raiser(point.family, self.variant, self.name))


def raiser(family: str, variant: str, name: str) -> Callable[[], BaseException]:
    """What makes the error of a case, by the family of the driver and the class; its text names the case."""
    kind = _FAMILIES.get(family, {}).get(variant) or _ANY.get(variant, errors.DatabaseUnavailable)
    return lambda: kind(f"injected {name}")


def cases_of(points: Sequence[Point], modes: frozenset[Mode]) -> Iterator[Case]:
    """Every case of these points, in the order of the run and of the modes."""
    for point in points:
        for mode in COMMIT_MODES if point.call == COMMIT else CALL_MODES:
            # While a transaction is open the whole database waits for its worker: nobody can take over.
            if mode not in modes or (mode in (Mode.PAUSE, Mode.MEANWHILE) and point.in_transaction):
                continue
            if mode is Mode.MEANWHILE and point.scenario not in _LIVING:
                continue
            if point.call == COMMIT and mode is Mode.ERROR:
                yield Case(point, mode)
                continue
            for variant in VARIANTS.get(mode, ("",)):
                yield Case(point, mode, variant)


def drawn_pairs(cases: Sequence[Case], number: int, seed: int) -> list[Case]:
    """So many crashes, each with a second fault in its recovery, drawn by the seed."""
    crashes = [case for case in cases if case.mode in CRASHES]
    rng = random.Random(seed)
    return [replace(rng.choice(crashes), second=f"?{rng.randrange(1 << 30)}") for _ in range(number if crashes else 0)]


_PATTERN = re.compile(r"(?:(?P<scenario>[^/:]*)/)?(?P<call>[^/:]*)(?::(?P<mode>[^:]*)(?::(?P<nth>\d+))?)?")


class Selection(Struct, frozen=True):
    """What `--only` names: `[SCENARIO/]CALL[:MODE[:N]]`. With N it is the name of one case, and of `MAIN` by default.

    Without N what is left out is any, and CALL may be a step. `+CALL:MODE:N` makes it a pair.
    """

    scenario: str
    call: str
    mode: str
    nth: int | None
    second: str

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Raises `ValueError` with what is wrong and what there is."""
        first, _, second = text.partition("+")
        match = _PATTERN.fullmatch(first)
        if match is None:
            raise ValueError(f"'{text}' names no fault point: it must be [SCENARIO/]CALL[:MODE[:N]]")
        scenario, mode = match["scenario"] or "", match["mode"] or ""
        for what, word, known in (("scenario", scenario, Scenario), ("mode", mode.partition(".")[0], Mode)):
            if word and word not in list(known):
                raise ValueError(f"'{text}': there is no {what} '{word}'; there are {', '.join(known)}")
        if second:
            parse_fault(second)
        return cls(scenario, match["call"], mode, int(match["nth"]) if match["nth"] else None, second)

    def holds(self, case: Case) -> bool:
        """Whether it names this case."""
        mode = f"{case.mode}.{case.variant}" if case.variant else case.mode.value
        if self.nth is not None:
            scenarios = (self.scenario,) if self.scenario else MAIN
            place = (self.call, self.nth) == (case.point.call, case.point.nth)
            return place and case.point.scenario in scenarios and self.mode in (case.mode, mode)
        return (
            self.scenario in ("", case.point.scenario)
            and self.call in ("", case.point.call, case.point.step)
            and self.mode in ("", case.mode, mode)
        )


def parse_fault(text: str, family: str = "") -> Fault:
    """The fault of a name such as `spawn:error.abort:0`; `family` says whose errors it raises. Raises `ValueError`."""
    try:
        call, mode, nth = text.split(":")
        kind, _, variant = mode.partition(".")
        return Fault(call, Mode(kind), int(nth), raiser(family, variant, text))
    except ValueError as error:
        raise ValueError(f"'{text}' names no fault: it must be CALL:MODE:N ({error})") from error

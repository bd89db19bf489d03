"""For the tests of users' own tasks, workflows and drivers: faults by name, a world, and a leak that fails the test.

`slipway_world` is a state directory with an orchestrator on it; when the test has passed, everything in it is audited
and a leak fails the test. `slipway_faults` sets faults off by name. The marker `slipway_every_fault(build=...)` runs a
test once for each fault point of `build(world)`. docs/drill.md has a complete example.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slipway.drill.campaign import Report
    from slipway.drill.problem import Problem
    from slipway.orchestrator import Orchestrator
    from slipway.testing import Fault

# A contract's assertions show what they compared, as those of the user's own tests do.
pytest.register_assert_rewrite("slipway.testing.contracts")

Holdings = Callable[[], Mapping[str, str]]

MARKER = "slipway_every_fault"
DEFAULT_MODES = ("error", "lost_reply", "crash_before", "crash_after")


class World:
    """A state directory, the faults that go off in it, and what exists there and wherever else the test watches."""

    def __init__(self, state: Path) -> None:
        from slipway.testing import Faults

        self.state = state
        self.faults = Faults()
        self._armed: tuple[Fault, ...] = ()
        self._watched: list[Holdings] = []

    def arm(self, *faults: Fault) -> None:
        """Let these go off in what `act` does."""
        self._armed = faults
        self.faults.arm(*faults)

    def orchestrator(self, **options: Any) -> Orchestrator:
        """An orchestrator on this world in which the faults go off; `options` as `Orchestrator` takes them."""
        return self.faults.orchestrator(self.state, **options)

    def watch(self, holdings: Holdings) -> None:
        """Have the audit see what your own tasks make: names of things and their contents.

        A thing must bear its instance's id in either, and belongs to the effect whose key, result or recorded argument
        it bears: it may be there while just that effect is on record as done.
        """
        self._watched.append(holdings)

    def act(self, action: Callable[[World], object]) -> bool:
        """Do `action(world)` with the faults, then go on without them where it was left; whether it was left.

        A crash happens in a forked process. What an error in the action raises is not raised here: that is the fault's
        doing. Raises `AssertionError` when a fault did not go off.
        """
        from slipway import errors
        from slipway.testing import Mode, crashed

        crashes = any(fault.mode in (Mode.CRASH_BEFORE, Mode.CRASH_AFTER) for fault in self._armed)
        if crashes:
            fired = crashed(lambda: action(self))
        else:
            try:
                action(self)
            except (Exception, errors.BuildInterrupted):
                if not self._armed:
                    raise
            fired = self.faults.fired
        assert fired, f"{', '.join(map(str, self._armed))} did not go off"
        self.faults.arm()
        with self.orchestrator() as orchestrator:
            return bool(orchestrator.resume())

    def problems(self) -> Sequence[Problem]:
        """Every leak, and every other breach of the invariants of docs/drill.md, that is there now."""
        from slipway.drill.auditor import WIRED, audit
        from slipway.drill.promises import lasting_kinds
        from slipway.drill.things import Things, look, set_up

        if not (self.state / "slipway.db").exists():
            return ()
        now = look(self.state)
        mine = {f"watched {name}": content for held in self._watched for name, content in held().items()}
        now = Things(now.rows, {**now.files, **mine})
        wired = WIRED if any("/taps/" in path for path in now.files) else frozenset[str]()
        return audit(now, set_up(now), wired=wired, lasting=lasting_kinds())


@pytest.fixture
def slipway_world(tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """A fresh world; it is audited when the test has passed."""
    world = World(tmp_path / "slipway")
    parameters = getattr(getattr(request.node, "callspec", None), "params", {})
    if "slipway_fault" in parameters:
        world.arm(_fault(parameters["slipway_fault"]))
    return world


@pytest.fixture
def drill_workflow() -> Callable[..., Report]:
    """Drills a workflow and fails the test where it leaks; see `slipway.drill.workflows.drill_workflow`.

    It gives the report.
    """
    from slipway.drill import workflows
    from slipway.drill.report import as_lines

    def drill(workflow: str | Path, inputs: Mapping[str, Any] | None = None, **options: Any) -> Report:
        report = workflows.drill_workflow(workflow, inputs, **options)
        if report.leaks:
            pytest.fail("\n".join(as_lines(report)), pytrace=False)
        return report

    return drill


@pytest.fixture
def slipway_faults(slipway_world: World) -> Callable[..., None]:
    """Sets faults off in the world: `slipway_faults("spawn:error:0", raises=ComputeError)`; `raises` is for all."""

    def arm(*names: str, raises: type[Exception] | None = None) -> None:
        slipway_world.arm(*(_fault(name, raises) for name in names))

    return arm


def _fault(name: str, raises: type[Exception] | None = None) -> Fault:
    from slipway import errors
    from slipway.testing import Fault, Mode

    call, mode, nth = name.split(":")
    kind = raises or errors.ComputeError
    return Fault(call, Mode(mode), int(nth), lambda: kind(f"injected {name}"))


# --- hooks --------------------------------------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    text = "(build=..., modes=..., commits=False): run the test once for each fault point of build(world)"
    config.addinivalue_line("markers", MARKER + text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Find the fault points of a marked test by building once without a fault."""
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None:
        return
    if "slipway_world" not in metafunc.fixturenames:
        pytest.fail(
            f"{metafunc.definition.nodeid}: a test with {MARKER} needs the fixture slipway_world", pytrace=False
        )
    names = fault_names(**marker.kwargs)
    if "slipway_fault" not in metafunc.fixturenames:
        metafunc.fixturenames.append("slipway_fault")
    metafunc.parametrize("slipway_fault", names)


def fault_names(
    *, build: Callable[[World], object], modes: Sequence[str] = DEFAULT_MODES, commits: bool = False
) -> list[str]:
    """The name of a fault for each driver call of `build`, with `commits` for each commit as well, in each mode."""
    from slipway.testing import Mode

    with tempfile.TemporaryDirectory(prefix="slipway-points-") as directory:
        world = World(Path(directory) / "slipway")
        build(world)
    names = [str(fault) for mode in modes for fault in world.faults.possible(Mode(mode))]
    if commits:
        crashes = [mode for mode in modes if mode.startswith("crash")]
        names += [str(fault) for mode in crashes for fault in world.faults.possible(Mode(mode), commits=True)]
    return names


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Audit the world of a test that passed: a leak is a failure of the test."""
    yield
    world = getattr(item, "funcargs", {}).get("slipway_world")
    if world is None:
        return
    problems = world.problems()
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        pytest.fail(f"the test passed, and its world is not as it should be:\n{lines}", pytrace=False)

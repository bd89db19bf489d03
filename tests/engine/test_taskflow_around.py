"""TaskFlow's own tests of what goes around an engine, with ours as the default one: listeners, progress, formatters,
conductors, helpers, and tasks made of functions."""

from __future__ import annotations

import functools
import os
import warnings
from typing import Any, ClassVar

os.environ["TAKSFLOW_TEST_URL"] = "zookeeper://"  # or they look for one for half a minute; zake stands in for it

import pytest
from taskflow import engines
from taskflow.engines import helpers
from taskflow.patterns import linear_flow
from taskflow.tests.unit import (
    test_conductors,
    test_engine_helpers,
    test_formatters,
    test_functor_task,
    test_listeners,
    test_mapfunctor_task,
    test_progress,
    test_reducefunctor_task,
)
from taskflow.utils import kazoo_utils

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it asks for its own version in a way that setuptools gives up
    from zake.fake_client import FakeClient

from slipway.flows.engine.engine import Engine

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have TaskFlow's helpers make our engine where none, the default or the serial one is asked for."""
    real = helpers.load

    @functools.wraps(real)
    def load(flow: Any, *positional: Any, engine: str | None = None, **more: Any) -> Any:
        return real(flow, *positional, engine="slipway" if engine in (None, "default", "serial") else engine, **more)

    monkeypatch.setattr(kazoo_utils, "make_client", lambda _config: FakeClient())
    monkeypatch.setattr(helpers, "load", load)
    monkeypatch.setattr(engines, "load", load)


class TestLoading(test_engine_helpers.EngineLoadingTestCase): ...  # type: ignore[misc]


class TestLoadingFromFactory(test_engine_helpers.LoadFromFactoryTestCase): ...  # type: ignore[misc]


class TestFormatters(test_formatters.FormattersTest): ...  # type: ignore[misc]


class TestFunctorTasks(test_functor_task.FunctorTaskTest): ...  # type: ignore[misc]


class TestMapFunctorTasks(test_mapfunctor_task.MapFunctorTaskTest): ...  # type: ignore[misc]


class TestReduceFunctorTasks(test_reducefunctor_task.ReduceFunctorTaskTest): ...  # type: ignore[misc]


class TestDurationListener(test_listeners.TestDurationListener): ...  # type: ignore[misc]


class TestEventTimeListener(test_listeners.TestEventTimeListener): ...  # type: ignore[misc]


class TestCapturingListeners(test_listeners.TestCapturingListeners): ...  # type: ignore[misc]


class TestLoggingListeners(test_listeners.TestLoggingListeners): ...  # type: ignore[misc]


class TestProgress(test_progress.TestProgress): ...  # type: ignore[misc]


class TestClaimListener(test_listeners.TestClaimListener): ...  # type: ignore[misc]


class TestBlockingConductor(test_conductors.ManyConductorTest):  # type: ignore[misc]
    scenarios = None
    kind = "blocking"
    conductor_kwargs: ClassVar[dict[str, Any]] = {"wait_timeout": 0.1}


class TestNonBlockingConductor(TestBlockingConductor):
    kind = "nonblocking"


class TestConductorOfOneThread(TestNonBlockingConductor):
    conductor_kwargs: ClassVar[dict[str, Any]] = {
        "wait_timeout": 0.1,
        "executor_factory": test_conductors.single_factory,
    }


class TestConductorsArguments(test_conductors.NonBlockingExecutorTest): ...  # type: ignore[misc]


def test_these_tests_have_our_engine() -> None:
    flow = linear_flow.Flow("flow")
    assert type(engines.load(flow)) is Engine
    assert type(engines.load(flow, engine="serial")) is Engine

"""Builds and runs as OpenTelemetry spans: one for each, and in it one for each step, undo and call of a driver.

The spans have names, hosts and the classes of errors, and neither arguments nor what an error says: there may be
secrets in those. Only who asks for it loads this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode, Tracer

from slipway.drivers.registry import Drivers, HostDrivers
from slipway.model.request import Host
from slipway.states.intent import Around

D = TypeVar("D")


class Tracing:
    """What is around builds, runs and their steps; a part of the caller's span where there is one."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def __call__(self, name: str, about: Mapping[str, str]) -> Iterator[Around]:
        """A span for a build or a run; gives what is around its steps, in whichever thread they are done."""
        with _span(self._tracer, name, about) as span:
            inside = trace.set_span_in_context(span)

            @contextmanager
            def around(verb: str, step: str, slot: int) -> Iterator[Callable[[str], None]]:
                known = {**about, "slipway.step": step, "slipway.slot": slot}
                with _span(self._tracer, f"{verb} {step}", known, inside) as one:
                    yield lambda why: _failed(one, why)

            yield around


@contextmanager
def _span(tracer: Tracer, name: str, about: Mapping[str, Any], context: Context | None = None) -> Iterator[Span]:
    with tracer.start_as_current_span(
        name, context=context, attributes=about, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            _failed(span, type(error).__name__)
            raise


def _failed(span: Span, why: str) -> None:
    span.set_attribute("error.type", why)
    span.set_status(StatusCode.ERROR, why)


class TracedDrivers(Drivers):
    """Drivers whose calls are spans, each in the span of its step. What is called outside of any span is none."""

    def __init__(self, inner: Drivers, state: Path, tracer: Tracer) -> None:
        super().__init__(_traced(inner.network, tracer, "network"), state)
        self._inner = inner
        self._tracer = tracer

    def make(self, host: Host) -> HostDrivers:
        """The host's own, traced."""
        made = self._inner.make(host)
        return HostDrivers(
            compute=_traced(made.compute, self._tracer, "compute", host.name),
            wiring=_traced(made.wiring, self._tracer, "wiring", host.name),
            disk=_traced(made.disk, self._tracer, "disk", host.name),
        )


def _traced(driver: D, tracer: Tracer, family: str, host: str | None = None) -> D:
    return cast("D", _Traced(driver, tracer, family, host))


class _Traced:
    """A driver whose every call is a span."""

    def __init__(self, driver: Any, tracer: Tracer, family: str, host: str | None) -> None:
        self._driver = driver
        self._tracer = tracer
        self._family = family
        self._about = {"slipway.driver": type(driver).__name__, **({} if host is None else {"slipway.host": host})}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._driver, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            if not trace.get_current_span().get_span_context().is_valid:
                return found(*args, **kwargs)
            with _span(self._tracer, f"{self._family}.{name}", self._about):
                return found(*args, **kwargs)

        return call

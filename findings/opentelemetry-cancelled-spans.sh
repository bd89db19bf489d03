#!/usr/bin/env bash
# opentelemetry-sdk 1.45.2. A span around work that a timeout or a cancellation ends (asyncio), beside work that fails.
# Guess: the exception passes through the span, so it is on record there and the span is an error.
# Behaviour: only subclasses of Exception count. What is cancelled, as by asyncio.timeout(), and what ends by SystemExit, leaves a
#   span like one that went well: no status, no event; only the span outside the timeout knows. A span set to OK before stays OK.
# Seen: failed ERROR and exception; cancelled UNSET and nothing; outside the timeout ERROR and exception; OK before a failure OK.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2
"$work/bin/python" - <<'PY'
import asyncio

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
span = provider.get_tracer("finding").start_as_current_span


def failing(name, error, status=None):
    try:
        with span(name) as current:
            if status:
                current.set_status(status)
            raise error
    except BaseException as same:
        assert same is error


async def timed_out():
    try:
        with span("outside"):
            async with asyncio.timeout(0.01):
                with span("cancelled"):
                    await asyncio.sleep(60)
    except TimeoutError:
        pass


failing("failed", ValueError("failed"))
failing("exit", SystemExit(1))
failing("ok", ValueError("failed"), StatusCode.OK)
asyncio.run(timed_out())
seen = {one.name: (one.status.status_code.name, [event.name for event in one.events]) for one in exporter.get_finished_spans()}
for name, (status, events) in seen.items():
    print(f"{name:<10} {status:<6} events {events}")
assert seen == {
    "failed": ("ERROR", ["exception"]),
    "exit": ("UNSET", []),
    "ok": ("OK", ["exception"]),
    "cancelled": ("UNSET", []),
    "outside": ("ERROR", ["exception"]),
}, "spans record otherwise now"
PY

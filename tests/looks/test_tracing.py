"""Builds and runs as spans of OpenTelemetry, by its SDK's own exporter into memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer, get_current_span

from slipway import Event, Orchestrator, errors
from slipway.runfile import loads
from slipway.testing import Fault, Faults, Mode
from tests.states.test_outbox import FILE


class Traced:
    """A tracer, and the spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer: Tracer = self._provider.get_tracer("test")

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def parent(self, span: ReadableSpan) -> ReadableSpan | None:
        return next((one for one in self.spans if span.parent and ids(one)[1] == span.parent.span_id), None)

    def close(self) -> None:
        self._provider.shutdown()


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.close()


def build(state: Path, traced: Traced, simulate: str = "", executor: ThreadPoolExecutor | None = None) -> None:
    file = loads(FILE.format(simulate=simulate), "traced.yaml")
    with Orchestrator(state, settings=file.settings, tracer=traced.tracer, executor=executor) as slipway:
        slipway.run(file)
    assert not get_current_span().get_span_context().is_valid, "nothing is left behind"


@pytest.mark.parametrize("branching", [False, True], ids=["one after the other", "side by side"])
def test_a_build_is_one_trace_through_its_steps_and_calls(tmp_path: Path, traced: Traced, branching: bool) -> None:
    with ThreadPoolExecutor(2) as executor:
        build(tmp_path, traced, executor=executor if branching else None)
        leftovers = [executor.submit(get_current_span).result() for _ in range(2)]
    assert not any(span.get_span_context().is_valid for span in leftovers)
    (root,) = traced.named("build")
    assert root.parent is None
    assert {ids(span)[0] for span in traced.spans} == {ids(root)[0]}
    assert root.attributes is not None
    assert root.attributes["slipway.instance.name"] == "web"
    steps = [span for span in traced.spans if span.name.startswith("step ")]
    assert {traced.parent(step) for step in steps} == {root}
    assert Counter(step.name for step in steps)["step ports"] == 2
    calls = {span.name: span for span in traced.spans if "." in span.name}
    for call, step in (("compute.spawn", "step spawn"), ("disk.create_disk", "step disks")):
        found = traced.parent(calls[call])
        assert found is not None
        assert found.name == step
    assert {span.name.partition(".")[0] for span in calls.values()} == {"compute", "disk", "network", "wiring"}
    spawn = calls["compute.spawn"].attributes
    assert spawn is not None
    assert spawn["slipway.host"] == "node-1"
    for span in traced.spans:
        assert span.end_time is not None
        parent = traced.parent(span)
        assert parent is None or (parent.start_time or 0) <= (span.start_time or 0)


def test_errors_attempts_and_undos_are_told_without_what_they_say(tmp_path: Path, traced: Traced) -> None:
    build(tmp_path, traced, "fail: [spawn, delete_disk]")
    (spawn,) = traced.named("step spawn")
    assert spawn.status.description == "ComputeError"
    assert not spawn.status.is_ok
    assert [span.status.is_ok for span in traced.named("compute.spawn")] == [False]
    (disks,) = traced.named("undo disks")
    assert disks.attributes is not None
    assert disks.attributes["error.type"] == "stuck"
    assert [span.status.is_ok for span in traced.named("undo bindings")] == [True, True]
    assert "told to fail" not in "".join(span.to_json() for span in traced.spans)
    assert not any(span.events for span in traced.spans)


def test_each_try_is_a_span(tmp_path: Path, traced: Traced) -> None:
    twice = Fault("list_networks", Mode.ERROR, last=1, raises=lambda: errors.TransientNetworkError("no"))
    faults = Faults()
    file = loads(FILE.format(simulate=""), "traced.yaml")

    def fail(event: Event) -> None:
        if (event.type, event.step) == ("step.start", "network"):
            faults.arm(twice)

    with Orchestrator(
        tmp_path, settings=file.settings, tracer=traced.tracer, drivers=faults.drivers, sleep=lambda _seconds: None
    ) as slipway:
        slipway.run(file, on_event=fail)
    assert [span.status.is_ok for span in traced.named("step network")] == [False, False, True]


def test_a_build_is_a_part_of_its_callers_span_and_of_none_otherwise(tmp_path: Path, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("request"):
        file = loads(FILE.format(simulate=""), "traced.yaml")
        with Orchestrator(tmp_path, settings=file.settings, tracer=traced.tracer) as slipway:
            slipway.run(file)
    (root,) = traced.named("build")
    request = traced.parent(root)
    assert request is not None
    assert request.name == "request"
    before = len(traced.spans)
    with Orchestrator(tmp_path, tracer=traced.tracer) as slipway:
        assert slipway.audit() == ()
        assert len(traced.spans) == before, "calls outside of any span are none"
        slipway.delete("web")
    assert {ids(span)[0] for span in traced.spans[before:]} == {ids(traced.named("build")[1])[0]}


def test_a_run_is_a_trace_without_its_secrets(tmp_path: Path, traced: Traced) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(
        "schema: 1\nname: flow\ninputs: {token: {type: secret, required: true}}\nsteps:\n"
        '  - {id: say, uses: log, with: {message: "it is ${{ inputs.token }}"}}\n'
        '  - {id: check, uses: assert, with: {that: false, message: "not ${{ inputs.token }}"}}\n'
    )
    with Orchestrator(tmp_path / "state", tracer=traced.tracer) as slipway:
        slipway.runs.run(str(flow), {"token": "hunter2hunter2"})
    (root,) = traced.named("run flow")
    assert [(span.name, span.status.is_ok) for span in traced.spans if span is not root][:2] == [
        ("step say", True),
        ("step check", False),
    ]
    assert {ids(span)[0] for span in traced.spans} == {ids(root)[0]}
    assert "hunter2" not in "".join(span.to_json() for span in traced.spans)


RUN = """
import sys
if sys.argv[1] == "without":
    sys.modules["opentelemetry"] = None
from slipway.cli.main import main
try:
    main(sys.argv[2:], prog_name="slipway")
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


def run(tmp_path: Path, how: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "traced.yaml").write_text(FILE.format(simulate=""))
    words = ["run", str(tmp_path / "traced.yaml"), "--state", str(tmp_path / "state"), "--parallel", "1"]
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", RUN, how, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_nothing_of_it_is_loaded_unless_it_is_asked_for(tmp_path: Path) -> None:
    plain = run(tmp_path, "plain")
    assert plain.returncode == 0
    assert not [name for name in plain.stderr.split() if name.startswith("opentelemetry")]
    assert "slipway.looks.tracing" not in plain.stderr
    asked = run(tmp_path, "plain", SLIPWAY_TRACE="1")
    assert asked.returncode == 0
    assert "opentelemetry.trace" in asked.stderr.split()
    assert "opentelemetry.sdk" not in asked.stderr.split()


def test_who_asks_for_what_is_not_installed_is_told_what_to_install(tmp_path: Path) -> None:
    refused = run(tmp_path, "without", SLIPWAY_TRACE="1")
    assert refused.returncode == 2
    assert "SLIPWAY_TRACE needs OpenTelemetry: pip install 'slipway[otel]'" in refused.stderr

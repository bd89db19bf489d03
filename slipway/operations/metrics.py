"""What monitoring asks for, by the record alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.flows.tasks.base import Tools
from slipway.model.metrics import Metric, Sample
from slipway.operations.taking import may_be_taken
from slipway.states import instances, measures, outbox, quotas
from slipway.states.machines import VmState
from slipway.states.run_machine import RunState
from slipway.states.store import Transaction

BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Seconds, for the histogram of builds."""


def metrics(tools: Tools) -> tuple[Metric, ...]:
    """All of them, as they are at one moment; whoever's states have none are told as 0."""
    with tools.store.read() as tx:
        return tuple(_metrics(tx, tools))


def _metrics(tx: Transaction, tools: Tools) -> Iterator[Metric]:
    by_state = measures.instances_by_state(tx)
    states = [state for state in VmState if state is not VmState.DELETED]
    number = {state: sum(n for (vm, _), n in by_state.items() if vm == state) for state in states}
    yield _gauge("slipway_instances", "Instances that are not deleted, by state.", "state", number)
    busy: dict[str, int] = {}
    for (_, task), n in by_state.items():
        if task:
            busy[task] = busy.get(task, 0) + n
    yield _gauge("slipway_instances_busy", "Instances with something going on, by what it is.", "task_state", busy)
    runs = measures.runs_by_state(tx)
    of_state = {state: sum(n for (_, one), n in runs.items() if one == state) for state in RunState}
    yield _gauge("slipway_runs", "Runs on record, by state.", "state", of_state)
    of_verb = [Sample({"name": name, "state": state}, n) for (name, state), n in sorted(runs.items())]
    yield Metric("slipway_runs_by_name", "gauge", "Runs on record, by name and state.", tuple(of_verb))
    yield from _of_hosts(tx)
    yield _gauge(
        "slipway_effects_stuck", "Effects that could not be undone, by kind.", "kind", measures.stuck_effects(tx)
    )
    left = sum(may_be_taken(tx, instance, tools) for instance in instances.unfinished(tx))
    yield _single("slipway_leases_expired", "Unfinished instances whose worker is gone or overdue.", left)
    yield _single("slipway_last_event", "The number of the newest event.", outbox.last(tx), "counter")
    yield from _of_projects(tx)
    counts, builds, seconds = measures.build_seconds(tx, BOUNDS)
    buckets = [Sample({"le": f"{bound:g}"}, n, "_bucket") for bound, n in zip(BOUNDS, counts, strict=True)]
    ends = [Sample({"le": "+Inf"}, builds, "_bucket"), Sample({}, seconds, "_sum"), Sample({}, builds, "_count")]
    text = "How long builds took that ended well, of instances on record."
    yield Metric("slipway_build_seconds", "histogram", text, (*buckets, *ends))


def _of_hosts(tx: Transaction) -> Iterator[Metric]:
    rows = measures.hosts_use(tx)
    for name, unit, what in (("vcpus", "", "vCPUs"), ("memory", "_bytes", "Memory"), ("disk", "_bytes", "Disk")):
        for kind, text in (("limit", "may be given out"), ("used", "has been given out")):
            samples = {row.name: getattr(row, f"{name}_{kind}") for row in rows}
            yield _gauge(f"slipway_host_{name}_{kind}{unit}", f"{what} that {text} of a host.", "host", samples)
    on_them = measures.instances_on_hosts(tx)
    yield _gauge(
        "slipway_host_instances", "Instances on a host.", "host", {r.name: on_them.get(r.name, 0) for r in rows}
    )
    enabled = {row.name: int(bool(row.enabled)) for row in rows}
    yield _gauge("slipway_host_enabled", "Whether a host may be given instances.", "host", enabled)
    failed = {row.name: row.failed_builds for row in rows}
    yield _gauge("slipway_host_failed_builds", "Builds that failed on a host since one did well.", "host", failed)


def _of_projects(tx: Transaction) -> Iterator[Metric]:
    found = quotas.used(tx)
    for name in ("instances", "vcpus", "memory", "disk"):
        unit = "_bytes" if name in ("memory", "disk") else ""
        used = {quota.project: getattr(quota.used, name) for quota in found}
        yield _gauge(f"slipway_project_{name}_used{unit}", f"What of {name} a project has.", "project", used)
        limits = {quota.project: limit for quota in found if (limit := getattr(quota, name)) >= 0}
        text = f"What of {name} a project may have, where it has a limit."
        yield _gauge(f"slipway_project_{name}_limit{unit}", text, "project", limits)


def _gauge(name: str, text: str, label: str, values: Mapping[Any, float]) -> Metric:
    return Metric(name, "gauge", text, tuple(Sample({label: str(key)}, value) for key, value in values.items()))


def _single(name: str, text: str, value: float, kind: str = "gauge") -> Metric:
    return Metric(name, kind, text, (Sample({}, value),))

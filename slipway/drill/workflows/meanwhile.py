"""What somebody else may do while a run goes on: to the run, or to an instance that it has built or works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from slipway import errors
from slipway.drill.workflows.bench import FlowBench
from slipway.model.record import Instance
from slipway.states.run_machine import RunState


def do(variant: str, bench: FlowBench) -> None:
    """Do it. That it is refused is an answer as well."""
    with suppress(errors.NetworkError, errors.AbortBuild, errors.RunRefused, errors.UnexpectedState):
        MEANWHILE[variant](bench)


def _cancelled(bench: FlowBench) -> None:
    run = bench.run_drilled
    if run is not None and not RunState(run.state).has_ended:
        bench.another.runs.ask_to_cancel(run.id)


def _retried(bench: FlowBench) -> None:
    """It has not failed, so this is refused."""
    run = bench.run_drilled
    if run is not None and run.state == RunState.RUNNING:
        bench.another.runs.retry(run.id)


def _resumed(bench: FlowBench) -> None:
    """Its worker is alive, so this leaves it alone."""
    bench.another.runs.resume()


def _instance_deleted(bench: FlowBench) -> None:
    for instance in _at_rest(bench):
        bench.another.delete(instance.id)
        return


def _port_deleted(bench: FlowBench) -> None:
    for instance in _at_rest(bench):
        for port in bench.another.network.list_ports(device_id=instance.id, sort_key="id")[:1]:
            bench.another.network.delete_port(port.id)
        return


MEANWHILE: dict[str, Callable[[FlowBench], None]] = {
    "cancelled": _cancelled,
    "retried": _retried,
    "resumed": _resumed,
    "instance_deleted": _instance_deleted,
    "port_deleted": _port_deleted,
}


def _at_rest(bench: FlowBench) -> Iterator[Instance]:
    """The instances at which nobody is, the latest first: what the run has built, or what it works on."""
    there = bench.another.list(project=bench.file.project)
    yield from (one for one in reversed(there) if one.task_state is None)

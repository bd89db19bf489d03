"""Each change of an instance: how it is brought about, and what the instance is like when it has come about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slipway import NetworkRequest, Orchestrator
from slipway.model.record import Instance


@dataclass(frozen=True)
class Verb:
    """`says` is what the run file has besides; `before` is done to the instance first.

    `done` says whether an instance is changed: after whatever went wrong it is, wholly, or is what it was before.
    """

    name: str
    do: Callable[[Orchestrator], Instance]
    done: Callable[[Orchestrator, Instance], bool]
    before: Callable[[Orchestrator], Any] = lambda _slipway: None
    says: dict[str, str] = field(default_factory=dict)


def _nics(instance: Instance) -> int:
    return len(instance.addresses)


def _stop(slipway: Orchestrator) -> None:
    slipway.stop("web-1", force=True)


def _attach(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_interface("web-1", NetworkRequest(network="a"))


def _bring(slipway: Orchestrator) -> Instance:
    return slipway.changes.attach_interface("web-1", NetworkRequest(port="mine"))


def _detach(slipway: Orchestrator) -> Instance:
    return slipway.changes.detach_interface("web-1", "10.0.0.2")


VERBS = (
    Verb("attach-interface", _attach, lambda _, instance: _nics(instance) == 2),
    Verb("attach-interface of a stopped one", _attach, lambda _, instance: _nics(instance) == 2, before=_stop),
    Verb("attach-interface by a port", _bring, lambda _, instance: "10.0.0.77" in instance.addresses),
    Verb("detach-interface", _detach, lambda _, instance: _nics(instance) == 0),
    Verb(
        "detach-interface of a port",
        lambda s: s.changes.detach_interface("web-1", "mine"),
        lambda _, instance: _nics(instance) == 1,
        before=_bring,
    ),
)

"""Slipway builds virtual machine instances, and takes back what it did when a step fails."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.drivers.network.embedded.common.transactions import NetworkEvent
    from slipway.model.network import Context
    from slipway.networks import Networks
    from slipway.orchestrator import BuildFailed, Orchestrator, RunResult
    from slipway.runfile import RunFile, load
    from slipway.settings import Settings

__version__ = "0.1.0"
__all__ = [
    "BuildFailed",
    "Context",
    "NetworkEvent",
    "Networks",
    "Orchestrator",
    "RunFile",
    "RunResult",
    "Settings",
    "load",
]

_HOMES = {
    "BuildFailed": "slipway.orchestrator",
    "Context": "slipway.model.network",
    "NetworkEvent": "slipway.drivers.network.embedded.common.transactions",
    "Networks": "slipway.networks",
    "Orchestrator": "slipway.orchestrator",
    "RunFile": "slipway.runfile",
    "RunResult": "slipway.orchestrator",
    "Settings": "slipway.settings",
    "load": "slipway.runfile",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `slipway --help` need not load TaskFlow and SQLAlchemy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'slipway' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)

"""Run files: what should exist, read from YAML and checked."""

from slipway.runfile.entries import (
    DEFAULT_GATEWAY,
    FaultEntry,
    InstanceEntry,
    NetworkEntry,
    PortEntry,
    RuleEntry,
    RunFile,
    SecurityGroupEntry,
    SubnetEntry,
)
from slipway.runfile.loader import load, loads

__all__ = [
    "DEFAULT_GATEWAY",
    "FaultEntry",
    "InstanceEntry",
    "NetworkEntry",
    "PortEntry",
    "RuleEntry",
    "RunFile",
    "SecurityGroupEntry",
    "SubnetEntry",
    "load",
    "loads",
]

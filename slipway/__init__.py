"""Slipway builds virtual machine instances, and takes back what it did when a step fails.

The names below are all that programs need; each is imported when it is first used. `slipway.errors` has every error,
`slipway.testing` faults for tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway import errors
    from slipway.drivers.network.embedded.common.transactions import NetworkEvent
    from slipway.drivers.registry import Drivers, HostDrivers
    from slipway.flows.runs.prepared import Given
    from slipway.model.deed import Deed, Pruned
    from slipway.model.limits import GiB, KiB, MiB, TiB
    from slipway.model.machine import Claim, GuestNic, Lease, PowerState
    from slipway.model.metrics import Metric, Sample
    from slipway.model.network import (
        AddressPair,
        AllocationPool,
        Context,
        DhcpOption,
        FixedIp,
        HostRoute,
        Network,
        Port,
        Quota,
        QuotaUse,
        SecurityGroup,
        SecurityGroupRule,
        Subnet,
    )
    from slipway.model.quota import InstanceQuota, InstanceUse
    from slipway.model.record import (
        Effect,
        EffectState,
        Event,
        Fault,
        HistoryEntry,
        Instance,
        RecordedEvent,
        Scope,
        Stack,
    )
    from slipway.model.request import (
        Boot,
        CpuMode,
        Firmware,
        Flavor,
        Host,
        Image,
        InjectedFile,
        InstanceRequest,
        NetworkRequest,
        Readiness,
        ServerGroup,
        Share,
        Sign,
        Simulation,
        Volume,
    )
    from slipway.model.run import RunRecord
    from slipway.model.selection import Order, SortKey
    from slipway.networks import Networks
    from slipway.operations.addresses import NicAddresses, SeenAddresses
    from slipway.operations.audit import Difference, Finding
    from slipway.operations.batch import Ended, Status
    from slipway.operations.explain import Explanation, Fit, Then, Verdict
    from slipway.operations.handle import RunHandle
    from slipway.operations.hosts import HostChanges, HostDetails
    from slipway.operations.quotas import InstanceQuotas
    from slipway.operations.runs import Runs
    from slipway.operations.several import Several
    from slipway.orchestrator import BuildFailed, Orchestrator
    from slipway.runfile import RunFile, load, loads
    from slipway.runfile.entries import InstanceEntry
    from slipway.settings import Settings
    from slipway.stacks.changes import Changes, RunResult
    from slipway.stacks.plan import Change, How, Plan
    from slipway.states.details import Details
    from slipway.states.hosts import HostUsage
    from slipway.states.machines import TaskState, VmState
    from slipway.states.run_machine import RunState
    from slipway.states.store import Store
else:
    _HOMES = (
        *("slipway.model.request", "slipway.model.record", "slipway.model.network", "slipway.model.machine"),
        "slipway.model.limits",
        *("slipway.settings", "slipway.orchestrator", "slipway.networks", "slipway.runfile", "slipway.stacks.changes"),
        *("slipway.operations.addresses", "slipway.operations.audit", "slipway.operations.batch"),
        *("slipway.states.machines", "slipway.drivers.registry", "slipway.model.run", "slipway.states.run_machine"),
        *("slipway.operations.handle", "slipway.operations.runs", "slipway.operations.several"),
        *("slipway.operations.hosts", "slipway.operations.explain"),
        *("slipway.model.deed", "slipway.model.metrics"),
        *("slipway.model.selection", "slipway.model.quota", "slipway.operations.quotas"),
        "slipway.drivers.network.embedded.common.transactions",
        "slipway.stacks.plan",
    )
    """The modules that have the names; what is loaded quickly comes first."""

    def __getattr__(name):
        """Load a public name when it is first used, so that `slipway --help` need not load TaskFlow and SQLAlchemy.

        Type checkers do not see this: to them a name that is not there would be of any type.
        """
        from importlib import import_module

        if name == "errors":
            return import_module("slipway.errors")
        for home in _HOMES if name in __all__ else ():
            if name in vars(module := import_module(home)):
                return globals().setdefault(name, vars(module)[name])
        raise AttributeError(f"module 'slipway' has no attribute '{name}'")

    def __dir__():
        return sorted({*globals(), *__all__})


__version__ = "0.1.0"
__all__ = [
    "AddressPair",
    "AllocationPool",
    "Boot",
    "BuildFailed",
    "Change",
    "Changes",
    "Claim",
    "Context",
    "CpuMode",
    "Deed",
    "Details",
    "DhcpOption",
    "Difference",
    "Drivers",
    "Effect",
    "EffectState",
    "Ended",
    "Event",
    "Explanation",
    "Fault",
    "Finding",
    "Firmware",
    "Fit",
    "FixedIp",
    "Flavor",
    "GiB",
    "Given",
    "GuestNic",
    "HistoryEntry",
    "Host",
    "HostChanges",
    "HostDetails",
    "HostDrivers",
    "HostRoute",
    "HostUsage",
    "How",
    "Image",
    "InjectedFile",
    "Instance",
    "InstanceEntry",
    "InstanceQuota",
    "InstanceQuotas",
    "InstanceRequest",
    "InstanceUse",
    "KiB",
    "Lease",
    "Metric",
    "MiB",
    "Network",
    "NetworkEvent",
    "NetworkRequest",
    "Networks",
    "NicAddresses",
    "Orchestrator",
    "Order",
    "Plan",
    "Port",
    "PowerState",
    "Pruned",
    "Quota",
    "QuotaUse",
    "Readiness",
    "RecordedEvent",
    "RunFile",
    "RunHandle",
    "RunRecord",
    "RunResult",
    "RunState",
    "Runs",
    "Sample",
    "Scope",
    "SecurityGroup",
    "SecurityGroupRule",
    "SeenAddresses",
    "ServerGroup",
    "Settings",
    "Several",
    "Share",
    "Sign",
    "Simulation",
    "SortKey",
    "Stack",
    "Status",
    "Store",
    "Subnet",
    "TaskState",
    "Then",
    "TiB",
    "Verdict",
    "VmState",
    "Volume",
    "__version__",
    "errors",
    "load",
    "loads",
]

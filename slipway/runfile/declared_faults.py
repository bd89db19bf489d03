"""Checks of a run file's `faults`: the calls are calls of drivers, the errors are errors of ours."""

from __future__ import annotations

from typing import Any

from slipway import errors
from slipway.yamlfile.document import Document
from slipway.yamlfile.mistakes import quoted


def check_faults(document: Document) -> None:
    """Note each fault at something that is never called, and each error of an unknown class."""
    tree: dict[str, Any] = document.value
    for index, fault in enumerate(tree.get("faults", ())):
        if not isinstance(fault, dict):
            continue
        for key, kind, known in (("at", "call", _calls()), ("raise", "error", _errors())):
            wrong = fault.get(key)
            if isinstance(wrong, str) and wrong not in known:
                document.problem(("faults", index, key), f"unknown {kind} {quoted(wrong)}", wrong=wrong, known=known)


def _calls() -> list[str]:
    # Imported where a file has faults: the network's protocol knows SQLAlchemy, which takes long to load.
    from slipway.drivers.compute.base import ComputeDriver
    from slipway.drivers.disk.base import DiskDriver
    from slipway.drivers.network.base import NetworkDriver
    from slipway.drivers.wiring.base import WiringDriver

    families = {"compute": ComputeDriver, "disk": DiskDriver, "network": NetworkDriver, "wiring": WiringDriver}
    calls = [
        f"{family}.{name}"
        for family, protocol in families.items()
        for name, member in vars(protocol).items()
        if callable(member) and not name.startswith("_")
    ]
    return ["commit", *calls]


def _errors() -> list[str]:
    return [name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)]

"""What a wiring driver must do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from slipway.model import Vif


class WiringDriver(Protocol):
    """The bridges and taps of one host. Every call is safe to repeat; a tap is found by its port.

    Raises `WiringError` for what this host cannot do.
    """

    local: ClassVar[bool]

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the VIF's tap and put it into its network's bridge. There already: nothing happens."""

    def unplug(self, instance_id: str, devname: str) -> None:
        """Delete the tap, and the bridge when nothing else is in it. Absent: nothing happens."""

    def list_taps(self) -> Sequence[str]:
        """The names of all taps that bear our tag."""

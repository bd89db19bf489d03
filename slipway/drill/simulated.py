"""The drivers that a drill gives to every host, whatever its entry says: nothing outside the world is touched."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from slipway.drivers.compute.sim import SimCompute
from slipway.drivers.disk.sim import SimDisk
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.model import Host, Vif
from slipway.settings import Settings
from slipway.states.store import Store


class TapFiles:
    """A tap is a file `world/<host>/taps/<name>.json`: outside the record, as a real one is."""

    local: ClassVar[bool] = False

    def __init__(self, host: Host, state: Path) -> None:
        """Nothing is made before the first tap."""
        self._directory = state.absolute() / "world" / host.name / "taps"

    def plug(self, instance_id: str, vif: Vif) -> None:
        """Make the file, or make it again."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file(vif.devname).write_text(json.dumps({"instance_id": instance_id, "bridge": vif.bridge}))

    def unplug(self, instance_id: str, devname: str) -> None:
        """Delete the file. Absent: nothing happens."""
        self._file(devname).unlink(missing_ok=True)

    def list_taps(self) -> Sequence[str]:
        """The names of all taps."""
        return sorted(path.stem for path in self._directory.glob("*.json"))

    def _file(self, devname: str) -> Path:
        return self._directory / f"{devname}.json"


class RemoteNetwork(EmbeddedNetwork):
    """The embedded network as if it were a service elsewhere, as Neutron is: it never gets our transaction."""

    local: ClassVar[bool] = False


class SimulatedDrivers(Drivers):
    """The simulated hypervisor and disks and taps that are files, for each host."""

    def __init__(self, network: EmbeddedNetwork, state: Path, sleep: Callable[[float], None]) -> None:
        """`sleep` is what a host's `simulate: delay` uses."""
        super().__init__(network, state)
        self._sleep = sleep

    def make(self, host: Host) -> HostDrivers:
        """The three of them, whatever drivers the host names."""
        return HostDrivers(
            compute=SimCompute(host, self._state, sleep=self._sleep),
            wiring=TapFiles(host, self._state),
            disk=SimDisk(host, self._state, sleep=self._sleep),
        )


def simulated_drivers(
    rng: random.Random, sleep: Callable[[float], None], *, remote_network: bool = False
) -> Callable[[Store, Settings, Path], Drivers]:
    """What makes such drivers; `rng` draws the MACs, so that a drill can be repeated."""
    network = RemoteNetwork if remote_network else EmbeddedNetwork

    def make(store: Store, settings: Settings, state: Path) -> Drivers:
        return SimulatedDrivers(network(store, settings, rng=rng), state, sleep)

    return make

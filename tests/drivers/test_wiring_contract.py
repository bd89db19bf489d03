"""The contract of wiring drivers, over all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway.drill.simulated import WiringFiles
from slipway.drivers.wiring.linuxbridge.driver import LinuxBridgeWiring
from slipway.drivers.wiring.null import NullWiring
from slipway.testing.contracts.samples import HOST
from slipway.testing.contracts.wiring import Make, WiringContract

INSTALLATION = "5a1b2c3d-0000-4000-8000-000000000000"


class TestNull(WiringContract):
    compares = False

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Make:
        return lambda: NullWiring(HOST, tmp_path, INSTALLATION)


class TestFilesOfADrill(WiringContract):
    """They keep no more than that something is there."""

    compares = False

    @pytest.fixture
    def make_driver(self, tmp_path: Path) -> Make:
        return lambda: WiringFiles(HOST, tmp_path)


@pytest.mark.host
class TestLinuxBridge(WiringContract):
    @pytest.fixture
    def make_driver(self, tmp_path: Path, netns: str) -> Make:
        return lambda: LinuxBridgeWiring(replace(HOST, netns=netns), tmp_path, INSTALLATION)

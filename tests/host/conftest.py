from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.model.record import Instance
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.conftest import Guest
from tests.drivers.conftest import make_domain as make_domain
from tests.drivers.conftest import make_instance as make_instance
from tests.drivers.conftest import make_vif as make_vif
from tests.host.hosts import RealHost, two_hosts
from tests.host.lan import Lan
from tests.host.libvirtd import Libvirtd, missing
from tests.host.routed import Site, routed_site

pytestmark = pytest.mark.host


@dataclass
class Machines:
    """A host with real machines, and a state directory of its own."""

    libvirtd: Libvirtd
    state: Path
    guest: Guest

    def file(self, **says: Any) -> RunFile:
        return loads(self.text(**says), "machines.yaml")

    def text(
        self,
        memory: str = "128MiB",
        kernel: Path | None = None,
        entry: str = "",
        image: str = "",
        accel: str = "tcg",
        flavor: str = "vcpus: 1",
    ) -> str:
        host = f'compute: libvirt, disks: qcow2, uri: "{self.libvirtd.uri}", accel: {accel}'
        plain = (self.guest if kernel is None else self.guest._replace(kernel=kernel)).image
        image = f"{plain}{image}" if image.startswith(",") else image or plain
        return f"""
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 1000TiB, disk: 1TiB, {host}}}
flavors: {{tiny: {{{flavor}, memory: {memory}, disk: 1GiB}}}}
images: {{guest: {{{image}}}}}
instances: {{one: {{flavor: tiny, image: guest, networks: [], {entry}}}}}
"""

    @contextmanager
    def open(self) -> Iterator[Orchestrator]:
        with Orchestrator(self.state) as orchestrator:
            yield orchestrator

    def console(self, instance: Instance) -> str:
        """What the guest has written."""
        log = self.state / "instances" / "node-1" / f"{instance.id}.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def files(self) -> set[str]:
        """What is kept of instances: definitions, logs and disks."""
        return {
            str(path.relative_to(self.state))
            for top in ("instances", "disks")
            for path in (self.state / top).rglob("*")
            if path.is_file() and path.name != ".lock"
        }


@pytest.fixture
def lan() -> Iterator[Lan]:
    """Hosts and guests that are namespaces, gone at the end."""
    made = Lan()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def real_hosts() -> Iterator[tuple[RealHost, RealHost]]:
    """Two hosts with wiring that are ours alone."""
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    if reason := missing():
        pytest.skip(reason)
    with two_hosts() as hosts:
        yield hosts


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A host with an uplink to the outside, for routers."""
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    with routed_site(tmp_path / "state") as made:
        yield made


@pytest.fixture
def machines(libvirtd: Libvirtd, guest: Guest, tmp_path: Path) -> Iterator[Machines]:
    yield Machines(libvirtd, tmp_path / "state", guest)
    libvirtd.ensure_running()
    libvirtd.clear()

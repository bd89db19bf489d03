"""An instance whose ports a real Neutron has goes to another host, cold and live: Neutron says where they are."""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from slipway import Orchestrator
from slipway.errors import SlipwayError
from slipway.runfile import RunFile, loads
from slipway.testing import Fault, Faults, Mode, crashed
from tests.neutron.process import VIF_TYPE, Neutron
from tests.waiting import PATIENCE

COLD, LIVE = pytest.param(False, id="cold"), pytest.param(True, id="live")


class Site:
    """An instance on node-1 with a port that was made for it, and one that was brought along."""

    def __init__(self, neutron: Neutron, state: Path) -> None:
        self.endpoint, self.state = neutron.endpoint, state
        self.project = f"demo-{uuid.uuid4().hex[:8]}"
        self.file: RunFile = loads(
            f"""
schema: 1
project: {self.project}
settings: {{network: neutron, endpoint: "{self.endpoint}"}}
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
  node-2: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
  node-9: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks: {{front: {{subnets: {{front-4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.0.0.77}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web-1: {{flavor: small, image: tiny, host: node-1, networks: [front, {{port: mine}}]}}}}
""",
            "moves.yaml",
        )
        with self.open() as slipway:
            (ended,) = slipway.run(self.file).ended
            assert ended.status.value == "built", ended
        self.ports = self.in_neutron()

    @contextmanager
    def open(self, *faults: Fault) -> Iterator[Orchestrator]:
        with Faults(*faults).orchestrator(self.state, settings=self.file.settings) as slipway:
            yield slipway

    def ask(self, path: str) -> dict[str, Any]:
        headers = {"X-Project-Id": self.project, "X-User-Id": "test", "X-Roles": "admin"}
        request = urllib.request.Request(f"{self.endpoint}/v2.0/{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            said: dict[str, Any] = json.load(answer)
            return said

    def in_neutron(self) -> dict[str, Any]:
        """What stays of each port whatever host it is on."""
        stays = ("mac_address", "fixed_ips", "device_id", "device_owner", "security_groups", "binding:profile")
        found = self.ask(f"ports?project_id={self.project}")["ports"]
        return {port["id"]: {name: port[name] for name in stays} for port in found}

    def is_on(self, host: str) -> None:
        """Each port has one binding, to this host, and is otherwise what it was; record and reality agree."""
        assert self.in_neutron() == self.ports
        for port in self.ports:
            bindings = self.ask(f"ports/{port}/bindings")["bindings"]
            assert [(one["host"], one["status"], one["vif_type"]) for one in bindings] == [(host, "ACTIVE", VIF_TYPE)]
        with self.open() as slipway:
            assert (slipway.show("web-1").instance.host, slipway.audit()) == (host, ())


@pytest.fixture(scope="module")
def ready(neutron: Neutron, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(neutron, tmp_path_factory.mktemp("moves") / "state")


@pytest.fixture
def site(ready: Site) -> Site:
    """On node-1 again, wherever the test before has left it."""
    with ready.open() as slipway:
        slipway.resume()
        if slipway.show("web-1").instance.host != "node-1":
            slipway.changes.move("web-1", to="node-1")
    ready.is_on("node-1")
    return ready


@pytest.mark.parametrize("live", [COLD, LIVE])
def test_its_ports_go_along_and_come_back(live: bool, site: Site) -> None:
    for host in ("node-2", "node-1"):
        with site.open() as slipway:
            moved = slipway.changes.move("web-1", to=host, live=live)
            assert (moved.fault, moved.host, moved.vm_state) == (None, host, "ACTIVE")
        site.is_on(host)


@pytest.mark.parametrize("live", [COLD, LIVE])
def test_a_host_whose_agent_neutron_does_not_know_takes_nothing(live: bool, site: Site) -> None:
    with site.open() as slipway:
        failed = slipway.changes.move("web-1", to="node-9", live=live)
        assert failed.fault is not None
        assert (failed.fault.type, failed.host, failed.vm_state) == ("PortBindingFailed", "node-1", "ACTIVE")
    site.is_on("node-1")


MODES = (Mode.ERROR, Mode.LOST_REPLY, Mode.CRASH_BEFORE, Mode.CRASH_AFTER)
CALLS = {
    False: ("create_binding", "delete_binding", "update_port", "spawn", "destroy"),
    True: ("create_binding", "activate_binding", "delete_binding", "migrate", "destroy"),
}
EVERY_TIME = {(True, "activate_binding", Mode.ERROR), (True, "migrate", Mode.CRASH_AFTER)}


def points() -> Iterator[Any]:
    """Each call of each kind of move with each thing that may go wrong; two of them every time."""
    for live, calls in CALLS.items():
        for call, mode in product(calls, MODES):
            marks = () if (live, call, mode) in EVERY_TIME else pytest.mark.slow
            yield pytest.param(live, call, mode, marks=marks, id=f"{'live' if live else 'cold'}-{call}-{mode}")


@pytest.mark.parametrize(("live", "call", "mode"), tuple(points()))
def test_whatever_goes_wrong_its_ports_are_bound_once(live: bool, call: str, mode: Mode, site: Site) -> None:
    fault = Fault(call, mode=mode)

    def move() -> None:
        with site.open(fault) as slipway, suppress(SlipwayError):
            slipway.changes.move("web-1", to="node-2", live=live)

    does: Callable[[], object] = partial(crashed, move) if mode.value.startswith("crash") else move
    does()
    with site.open() as slipway:
        slipway.resume()
        if slipway.audit():
            slipway.repair()
        host = slipway.show("web-1").instance.host
        assert host is not None
    site.is_on(host)

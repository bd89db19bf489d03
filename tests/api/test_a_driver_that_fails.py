"""A host whose driver fails keeps no other host from being asked, and nothing else from being looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import Orchestrator, errors
from slipway.drill.simulated import WiringFiles
from slipway.drivers.network.embedded.driver import EmbeddedNetwork
from slipway.drivers.registry import Drivers, HostDrivers
from slipway.model.machine import Vif
from slipway.model.network import DhcpOption, Port
from slipway.model.request import Host
from slipway.networks.attributes import DhcpOptionRequest
from slipway.runfile import loads
from slipway.settings import Settings
from slipway.states.store import Store

FILE = loads(
    """
schema: 1
hosts: {broken: {vcpus: 8, memory: 8GiB, disk: 100GiB}, sound: {vcpus: 8, memory: 8GiB, disk: 100GiB, zone: z}}
networks: {net: {subnets: {v4: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances: {web: {flavor: small, image: tiny, networks: [net], zone: z}}
""",
    "failing.yaml",
)


class Refusing(WiringFiles):
    """Knows no option 252, and has a fault where it is asked what is outdated."""

    def check_dhcp_options(self, options: Sequence[DhcpOption]) -> None:
        if any(option.opt_name == "252" for option in options):
            raise errors.InvalidInput("option 252 is none")

    def tap_is_current(self, vif: Vif) -> bool:
        raise ZeroDivisionError("a fault of the driver")

    def outdated_dhcp(self, vifs: Sequence[Vif], server: Port) -> Sequence[str]:
        return [vif.port_id for vif in vifs]


class Failing(Drivers):
    """Those of `broken` cannot be made."""

    def make(self, host: Host) -> HostDrivers:
        if host.name == "broken":
            raise errors.UnknownDriver("its package is gone")
        return replace(super().make(host), wiring=Refusing(host, self._state))


def failing(store: Store, settings: Settings, state: Path) -> Drivers:
    return Failing(EmbeddedNetwork(store, settings), state)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Everything was built while all drivers could be made."""
    with Orchestrator(tmp_path, drivers=working) as slipway:
        assert [ended.status.value for ended in slipway.run(FILE).ended] == ["built"]
    return tmp_path


class Working(Drivers):
    def make(self, host: Host) -> HostDrivers:
        return replace(super().make(host), wiring=WiringFiles(host, self._state))


def working(store: Store, settings: Settings, state: Path) -> Drivers:
    return Working(EmbeddedNetwork(store, settings), state)


def test_of_dhcp_options_the_other_hosts_are_asked(state: Path) -> None:
    with Orchestrator(state, drivers=failing) as slipway:
        (network,) = slipway.network.list_networks()
        taken: list[DhcpOptionRequest] = [{"opt_name": "42", "opt_value": "10.0.0.9"}]
        port = slipway.network.create_port(network_id=network.id, extra_dhcp_opts=taken)
        with pytest.raises(errors.InvalidInput, match="option 252 is none"):
            slipway.network.update_port(port.id, extra_dhcp_opts=[{"opt_name": "252", "opt_value": "x"}])
        assert slipway.network.show_port(port.id).extra_dhcp_opts == port.extra_dhcp_opts


def test_an_audit_looks_at_the_rest(state: Path) -> None:
    with Orchestrator(state, drivers=failing) as slipway:
        (web,) = slipway.network.list_ports(device_id=slipway.show("web").instance.id)
        found = [finding for finding in slipway.audit() if finding.host == "sound"]
    assert [(finding.kind, finding.name) for finding in found] == [("dhcp", web.id)]


def test_a_host_that_does_not_answer_holds_up_nobody(tmp_path: Path) -> None:
    slow = "{vcpus: 8, memory: 8GiB, disk: 100GiB, simulate: {delay: 1h}}"
    file = loads(f"schema: 1\nhosts: {{slow: {slow}}}", "slow.yaml")
    with Orchestrator(tmp_path, settings=Settings(step_timeout=0.5)) as slipway:
        slipway.run(file)
        found = slipway.audit()
    assert {finding.difference.value for finding in found} == {"unreachable"}
    assert {"domain", "definition", "disk"} <= {finding.kind for finding in found}

"""The addresses that real guests have, as their host's DHCP server and their agents tell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.conftest import Guest
from tests.host.agent import with_agent
from tests.host.hosts import RealHost
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.host


@pytest.fixture
def host(real_hosts: tuple[RealHost, RealHost]) -> Iterator[RealHost]:
    yield real_hosts[0]
    real_hosts[0].clear()


def show(state: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("slipway")), "show", "one", "--state", str(state), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def test_what_the_dhcp_server_and_the_guest_say(host: RealHost, guest: Guest, tmp_path: Path) -> None:
    """Nothing before it has booted. A libvirtd that hangs takes only the agent's word away, and not for long."""
    speaking = with_agent(guest)
    file = loads(host.file(speaking).replace("memory: 64MiB", "memory: 128MiB"), "addresses.yaml")
    state = tmp_path / "state"
    with Orchestrator(state, settings=file.settings) as orchestrator:
        (ended,) = orchestrator.run(file).ended
        assert ended.instance is not None
        (address,) = ended.instance.addresses
        before = orchestrator.addresses("one")
        assert (before.nics[0].leases, before.nics[0].guest, before.unasked) == ((), None, ())
        until(lambda: orchestrator.addresses("one").nics[0].leases, "the lease")
        until(lambda: orchestrator.addresses("one").nics[0].guest, "the agent's answer")
        assert re.search(rf"^{address} .* {address} +{address}$", show(state), re.MULTILINE)

        with host.libvirtd.hanging():
            began = time.monotonic()
            silent = json.loads(show(state, "--output", "json"))
            assert time.monotonic() - began < 60
        (port,) = silent["ports"]
        assert [lease["ip_address"] for lease in port["leases"]] == port["addresses"] == [address]
        assert port["guest_addresses"] is None
        (line,) = silent["unasked"]
        assert line.startswith(f"HypervisorUnavailable: {host.name}: ")
        orchestrator.destroy(file)


WAITING = """
schema: 1
name: waiting
inputs: {name: {type: string, required: true}}
steps:
  - {id: lease, uses: wait-for, timeout: %s, with: {lease: "${{ inputs.name }}", interval: 200ms}}
outputs: {address: "${{ steps.lease.outputs }}"}
"""


def test_a_workflow_waits_for_the_lease_of_a_guest(host: RealHost, guest: Guest, tmp_path: Path) -> None:
    """From the DHCP server on the guest's host: none while the guest is off, and the address once it has booted."""
    file = loads(host.file(with_agent(guest)).replace("memory: 64MiB", "memory: 128MiB"), "addresses.yaml")
    flow, hasty = tmp_path / "flow.yaml", tmp_path / "hasty.yaml"
    flow.write_text(WAITING % "5m")
    hasty.write_text(WAITING % "2s")
    with Orchestrator(tmp_path / "state", settings=file.settings) as orchestrator:
        (ended,) = orchestrator.run(file).ended
        assert ended.instance is not None
        run = orchestrator.runs.run(str(flow), {"name": "one"})
        assert (run.state, run.fault) == ("SUCCEEDED", None)
        assert run.outputs is not None
        assert json.loads(run.outputs) == {"address": ended.instance.addresses[0]}
        seen = orchestrator.addresses("one").nics[0].leases
        assert [lease.ip_address for lease in seen or ()] == list(ended.instance.addresses)
        orchestrator.destroy(file)
        orchestrator.run(file)
        orchestrator.stop("one")
        late = orchestrator.runs.run(str(hasty), {"name": "one"})
        assert late.fault is not None
        assert (late.fault.type, late.fault.message) == ("StepTimeout", "wait-for lease one: not seen in time")
        orchestrator.destroy(file)

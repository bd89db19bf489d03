"""An instance is ACTIVE only when its guest is seen to be ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.model.record import Event
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.conftest import BOOT, Guest
from tests.host.hosts import RealHost, things

pytestmark = pytest.mark.host

Hosts = tuple[RealHost, RealHost]


@pytest.fixture
def host(real_hosts: Hosts) -> Iterator[RealHost]:
    yield real_hosts[0]
    real_hosts[0].clear()


def file_of(host: RealHost, guest: Guest, wait_for: str) -> RunFile:
    return loads(
        f"""
schema: 1
hosts: {{{host.entry()}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.10.0.0/24}}}}}}}}
security_groups: {{ping: {{rules: [{{protocol: icmp, from: 10.10.0.0/24}}]}}}}
flavors: {{tiny: {{vcpus: 1, memory: 128MiB, disk: 1GiB}}}}
images: {{guest: {{{guest.image.replace(BOOT, f"{BOOT} quiet")}}}}}
instances:
  one: {{flavor: tiny, image: guest, networks: [net], security_groups: [ping], wait_for: {{{wait_for}}}}}
settings: {{poll_interval: 100ms, max_attempts: 1}}
""",
        "ready.yaml",
    )


def test_it_is_waited_for(host: RealHost, guest: Guest, tmp_path: Path) -> None:
    file = file_of(host, guest, 'ping: 5m, lease: 5m, marker: {text: "slipway-guest: ready", within: 5m}')
    said = b""

    def listen(event: Event) -> None:
        nonlocal said
        if (event.type, event.step) == ("step.start", "finish"):
            said = b"".join(orchestrator.console("one"))

    with Orchestrator(tmp_path, settings=file.settings) as orchestrator:
        before = things([host], tmp_path)
        (ended,) = orchestrator.run(file, on_event=listen).ended
        assert ended.instance is not None
        assert (ended.instance.vm_state, ended.instance.fault) == ("ACTIVE", None)
        assert b"slipway-guest: ready" in said
        assert f" {ended.instance.addresses[0]}/24".encode() in said
        orchestrator.delete("one")
        assert things([host], tmp_path) == before


def test_a_marker_that_virtlogd_has_put_aside_is_seen(host: RealHost, guest: Guest, tmp_path: Path) -> None:
    def put_aside(event: Event) -> None:
        if (event.type, event.step) == ("step.start", "ready"):
            (log,) = tmp_path.rglob("*.log")
            log.with_name(f"{log.name}.0").write_text("what it said ear")
            log.write_text(f"lier{log.read_text(errors='replace')}")

    file = file_of(host, guest, "marker: {text: said earlier, within: 5m}")
    with Orchestrator(tmp_path, settings=file.settings) as orchestrator:
        (ended,) = orchestrator.run(file, on_event=put_aside).ended
        assert ended.instance is not None
        assert (ended.instance.vm_state, ended.instance.fault) == ("ACTIVE", None)
        orchestrator.delete("one")
        assert not list(tmp_path.rglob("*.log*"))


@pytest.mark.parametrize(
    ("sign", "said"),
    [
        ("ssh: 1s", "one: no answer of an SSH server within 1 s"),
        ("marker: {text: no such, within: 1s}", "one: no text 'no such' in the console log within 1 s"),
    ],
)
def test_a_sign_that_does_not_come_fails_the_build(
    host: RealHost, guest: Guest, tmp_path: Path, sign: str, said: str
) -> None:
    file = file_of(host, guest, sign)
    with Orchestrator(tmp_path, settings=file.settings) as orchestrator:
        before = things([host], tmp_path)
        (ended,) = orchestrator.run(file).ended
        assert ended.instance is not None
        assert ended.instance.fault is not None
        fault = ended.instance.fault
        assert (ended.instance.vm_state, fault.type, fault.step, fault.message) == (
            "ERROR",
            "StepTimeout",
            "ready",
            said,
        )
        assert ended.stuck == ()
        assert things([host], tmp_path) == before

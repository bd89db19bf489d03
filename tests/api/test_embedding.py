"""Slipway inside of other programs: nothing global, several at once, the same request twice, nothing secret kept."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from msgspec.structs import replace

from slipway import BuildFailed, Orchestrator, RunFile
from slipway.model.request import InstanceRequest
from slipway.runfile import loads

FILE = """
schema: 1
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim{more}}}}}
networks: {{a: {{subnets: {{a4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  web-1: {{flavor: small, image: tiny, networks: [a], user_data: "password: {secret}"}}
"""
SECRET = "correct horse battery staple"


def file(more: str = "") -> RunFile:
    return loads(FILE.format(more=more, secret=SECRET), "embedding.yaml")


def request(name: str = "web-1") -> InstanceRequest:
    return replace(file().instances[0].request, name=name)


def test_no_threads_no_signal_handlers_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_STATE", str(tmp_path / "not-read"))
    monkeypatch.setenv("SLIPWAY_DB", "sqlite:////not/read.db")
    threads = threading.enumerate()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    environment = dict(os.environ)
    seen: list[list[threading.Thread]] = []
    with Orchestrator(tmp_path / "state") as slipway:
        slipway.run(file(), on_event=lambda _event: seen.append(threading.enumerate()))
        slipway.destroy(file())
    assert all(now == threads for now in seen)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == handlers
    assert dict(os.environ) == environment
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_several_at_once_on_different_databases(tmp_path: Path) -> None:
    def build(name: str) -> list[str]:
        with Orchestrator(tmp_path / name) as slipway:
            slipway.run(file())
            slipway.create(request(name))
            assert not slipway.audit()
            return [instance.name for instance in slipway.list()]

    with ThreadPoolExecutor(3) as executor:
        assert list(executor.map(build, ["one", "two", "three"])) == [
            ["one", "web-1"],
            ["two", "web-1"],
            ["three", "web-1"],
        ]


def test_a_dhcp_servers_port_does_not_keep_a_network(tmp_path: Path) -> None:
    """Neutron: it goes with the network, as those of its own agents do."""
    with Orchestrator(tmp_path) as slipway:
        slipway.run(file())
        (network,) = slipway.network.list_networks()
        slipway.network.create_port(network_id=network.id, device_owner="network:dhcp", device_id="dhcp-elsewhere")
        _, changes = slipway.destroy(file())
        assert changes.kept == ()
        assert list(slipway.network.list_networks()) == []


def test_a_repeated_request_gives_the_first_ones_instance(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        slipway.run(file())
        again = replace(request("web-2"), idempotency_key="order-66")
        first = slipway.create(again)
        assert slipway.create(again) == first
        assert [instance.name for instance in slipway.list()] == ["web-1", "web-2"]


def test_a_failed_build_says_what_failed_and_what_became_of_its_effects(tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        slipway.run(file(", simulate: {fail: [spawn, destroy]}"))
        with pytest.raises(BuildFailed, match="told to fail in spawn") as caught:
            slipway.create(request("web-2"))
        failed = caught.value
        assert failed.cause is not None
        assert (failed.cause.type, failed.cause.step) == ("ComputeError", "spawn")
        stuck = {effect.kind: effect.held_by for effect in failed.stuck}
        (domain,) = [effect.key for effect in failed.stuck if effect.kind == "domain"]
        assert stuck.pop("domain") is None
        assert set(stuck.values()) == {domain}
        assert set(stuck) == {"claim", "port", "binding", "disk", "seed", "definition"}
        assert failed.undone == ()


def test_a_listener_that_fails_does_not_fail_the_build(tmp_path: Path) -> None:
    def listener(_event: object) -> None:
        raise ValueError("not my day")

    with Orchestrator(tmp_path) as slipway:
        (ended,) = slipway.run(file(), on_event=listener).ended
        assert ended.instance is not None
        assert ended.instance.vm_state == "ACTIVE"


@pytest.mark.parametrize("more", ["", ", simulate: {fail: [spawn]}"], ids=["active", "error"])
def test_no_secret_stays_on_record_or_in_the_world(more: str, tmp_path: Path) -> None:
    with Orchestrator(tmp_path) as slipway:
        slipway.run(file(more))
        kept = slipway.list()[0].request
        assert (kept.user_data, len(kept.user_data_sha256 or "")) == (None, 64)
        told = slipway.run(file(more)).ended[0].kept
        assert ["it has failed and is left alone" in line for line in told] == ([True] if more else [])
    found = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert not found


def test_an_executor_for_builds_and_branches_at_once_is_refused(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as executor, Orchestrator(tmp_path, executor=executor) as slipway:
        with pytest.raises(ValueError, match="two executors"):
            slipway.run(file(), executor=executor)
        assert slipway.run(file()).ended[0].status == "built"

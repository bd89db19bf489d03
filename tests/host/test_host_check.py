"""`slipway host check` beside a libvirtd of the tests' own: what works, what does not, and that nothing is left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.drivers.hostcheck.finding import Finding, Result
from slipway.drivers.hostcheck.links import NAMES, check_network
from tests.host.libvirtd import Libvirtd
from tests.waiting import PATIENCE

pytestmark = pytest.mark.host

SLIPWAY = str(Path(sys.executable).with_name("slipway"))


@pytest.fixture
def daemon(libvirtd: Libvirtd) -> Iterator[Libvirtd]:
    yield libvirtd
    libvirtd.ensure_running()
    libvirtd.clear()


def check(uri: str, state: Path, *before: str) -> tuple[int, dict[str, dict[str, Any]]]:
    command = [*before, SLIPWAY, "host", "check", "--uri", uri, "--state", str(state), "--output", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert err == ""
    assert not Path(f"/run/netns/slipway-check-{process.pid}").exists()
    return process.returncode, {one["name"]: one for one in json.loads(out)}


def traces() -> set[str]:
    """What of the links and rules outside of namespaces looks like ours; other tests make theirs at the same time."""
    commands = (("ip", "-o", "link"), ("nft", "list", "tables"))
    texts = [subprocess.run(one, capture_output=True, text=True, check=True).stdout for one in commands]
    return set(re.findall(r"slipway-check\S*|\bbridge0\S*|\btap0\b", "".join(texts)))


def test_what_is_needed_works_and_nothing_is_left(daemon: Libvirtd, tmp_path: Path) -> None:
    """Only what is optional may fail: a kernel may have no VLANs, and a processor no virtualization for us."""
    code, found = check(daemon.uri, tmp_path)
    assert list(found) == ["libvirt", "kvm", "tcg", "qemu-img", *NAMES]
    assert {name for name, one in found.items() if not one["needed"]} == {"kvm", "vlan", "connection tracking"}
    assert {one["result"] for one in found.values() if one["needed"]} == {"works"}, found
    assert code == 0
    assert all(one["remedy"] for one in found.values() if one["result"] == "fails")
    assert "iptables" not in json.dumps(found), "decision 0008: nftables alone"
    assert traces() == set()
    assert daemon.machines() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_a_libvirtd_no_guest_is_tried(daemon: Libvirtd, tmp_path: Path) -> None:
    daemon.kill()
    code, found = check(daemon.uri, tmp_path)
    assert code == 5
    assert [found[name]["result"] for name in ("libvirt", "kvm", "tcg")] == ["fails", "untried", "untried"]
    assert "apt-get install" in found["libvirt"]["remedy"]
    assert found["dnsmasq"]["result"] == "works"


def test_without_root_it_says_what_it_could_not_try(tmp_path: Path) -> None:
    code, found = check("test:///default", tmp_path, "setpriv", "--reuid=65534")
    assert code == 5
    assert {found[name]["result"] for name in NAMES} == {"untried"}
    assert found["namespaces"]["remedy"] == "run it once more as root"
    assert found["libvirt"]["result"] == "works"
    assert found["tcg"]["result"] == "fails", "nothing boots in libvirt's test driver"


@pytest.mark.parametrize(
    ("absent", "fails", "untried"),
    [("nft", ["nftables", "connection tracking"], []), ("dnsmasq", ["dnsmasq"], []), ("ip", ["namespaces"], NAMES[1:])],
)
def test_a_program_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, absent: str, fails: list[str], untried: list[str]
) -> None:
    for program in {"ip", "nft", "dnsmasq"} - {absent}:
        path = shutil.which(program)
        assert path is not None
        (tmp_path / program).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path))
    found: dict[str, Finding] = {one.name: one for one in check_network()}
    assert [found[name].result for name in fails] == [Result.FAILS] * len(fails)
    assert all(absent in found[name].detail and found[name].remedy for name in fails)
    assert {name for name, one in found.items() if one.result is Result.UNTRIED} == set(untried)
    assert not Path(f"/run/netns/slipway-check-{os.getpid()}").exists()


def test_it_is_cleaned_up_when_it_is_left_half_way() -> None:
    checks = check_network()
    assert [next(checks).name, next(checks).name] == ["namespaces", "bridges"]
    assert Path(f"/run/netns/slipway-check-{os.getpid()}").exists()
    checks.close()  # type: ignore[attr-defined]  # it is a generator
    assert not Path(f"/run/netns/slipway-check-{os.getpid()}").exists()

"""What a real cloud-init makes of the seed: `examples/real/cloud-init.yaml`, on hosts of the tests' own."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from examples.real import debian_image
from slipway.drivers.files import locked
from slipway.orchestrator import Orchestrator
from slipway.runfile import RunFile, loads
from tests.host.hosts import RealHost, things
from tests.waiting import until

pytestmark = [pytest.mark.host, pytest.mark.slow]

EXAMPLE = Path("examples/real/cloud-init.yaml")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMcDyzZvKPxxUnpDLp92gCsvV/BLvejDPdKBu63Mffqs me"

WEB = {
    "host web",
    "nic eth0 UP 10.10.0.2/24 metric 100",
    "nic eth1 UP 10.20.0.11/24",
    "nic lo UNKNOWN 127.0.0.1/8",
    "default route 10.10.0.1 eth0",
    "name servers eth0: 10.10.0.53 eth1: 10.20.0.53",
    "logs in by me",
    "file 640 root /etc/greeting",
    "file 755 root /usr/local/bin/report",
    "greeting good day",
    "disk of 2989M for /",
    "reaches 10.20.0.12",
    "end",
}
DB = {
    "host db-1",
    "nic eth0 UP 10.20.0.12/24",
    "nic lo UNKNOWN 127.0.0.1/8",
    "default route",
    "name servers eth0: 10.20.0.53",
    "logs in by me",
    "file 644 root /etc/greeting",
    "file 755 root /usr/local/bin/report",
    "greeting good night",
    "disk of 2989M for /",
    "reaches 10.20.0.11",
    "end",
}


@pytest.fixture
def image(pytestconfig: pytest.Config) -> tuple[Path, Path, Path]:
    """Made once for all runs from this checkout, in one to two minutes."""
    if absent := [program for program in debian_image.PROGRAMS if shutil.which(program) is None]:
        pytest.skip(f"not installed: {', '.join(absent)}")
    script = Path(debian_image.__file__).read_bytes()
    directory = pytestconfig.cache.mkdir(f"debian-{hashlib.sha256(script).hexdigest()[:8]}")
    with locked(directory):
        return debian_image.make(directory)


def example(hosts: tuple[RealHost, RealHost], image: tuple[Path, Path, Path]) -> RunFile:
    tree = yaml.safe_load(EXAMPLE.read_text())
    tree["hosts"] = {name: entry for host in hosts for name, entry in yaml.safe_load(host.entry()).items()}
    tree["images"]["debian"] |= dict(zip(("path", "kernel", "initrd"), map(str, image), strict=True))
    tree["keypairs"]["me"] = KEY
    return loads(json.dumps(tree), str(EXAMPLE))


def reported(orchestrator: Orchestrator, instance: str) -> set[str]:
    lines = b"".join(orchestrator.console(instance)).decode(errors="replace").splitlines()
    return {" ".join(line.split()[1:]) for line in lines if line.startswith("report: ")}


def told(orchestrator: Orchestrator, instance: str) -> list[list[str]]:
    """The IPv4 addresses of each NIC, by the guest's agent."""
    nics = orchestrator.addresses(instance).nics
    return [[address for address in nic.guest or () if ":" not in address] for nic in nics]


def test_a_guest_is_what_its_seed_says(
    real_hosts: tuple[RealHost, RealHost], image: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    file = example(real_hosts, image)
    before = things(real_hosts, tmp_path)
    # Side by side, for each waits until the other answers it.
    with Orchestrator(tmp_path, settings=file.settings) as orchestrator, ThreadPoolExecutor(2) as executor:
        ended = orchestrator.run(file, executor=executor).ended
        assert [one.instance.fault for one in ended if one.instance] == [None, None]
        assert reported(orchestrator, "web") == WEB
        assert reported(orchestrator, "db_1") == DB
        until(lambda: told(orchestrator, "web") == [["10.10.0.2"], ["10.20.0.11"]], "what the agent in it tells")
        assert orchestrator.audit() == ()
        orchestrator.destroy(file)
    assert things(real_hosts, tmp_path) == before

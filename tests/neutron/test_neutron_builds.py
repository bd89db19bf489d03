"""A run file on simulated hosts whose networks a real Neutron has, from the command to Neutron's own answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from slipway.operations.audit import Difference
from slipway.orchestrator import Orchestrator
from slipway.runfile import loads
from tests.neutron.process import VIF_TYPE, Neutron
from tests.waiting import PATIENCE

RUN_FILE = """
schema: 1
project: {project}
settings: {{network: neutron, endpoint: "{endpoint}"}}
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
  node-2: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
networks:
  front: {{subnets: {{front-4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.0.0.77}}}}}}
security_groups:
  web: {{rules: [{{protocol: tcp, ports: 80, from: 0.0.0.0/0}}, {{protocol: 6, ports: 80}}, {{to: 0.0.0.0/0}}]}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances:
  web-1:
    flavor: small
    image: tiny
    networks: [{{network: front, fixed_ip: 10.0.0.10}}, {{port: mine}}]
    security_groups: [web]
  web-2: {{flavor: small, image: tiny, networks: [front]}}
faults: {faults}
"""


class Place:
    """A state directory and a project of its own in Neutron."""

    def __init__(self, directory: Path, endpoint: str) -> None:
        self.directory, self.endpoint = directory, endpoint
        self.project = f"demo-{uuid.uuid4().hex[:8]}"
        self.file = directory / "run.yaml"

    def says(self, faults: str = "[]", endpoint: str | None = None) -> None:
        text = RUN_FILE.format(project=self.project, endpoint=endpoint or self.endpoint, faults=faults)
        self.file.write_text(text)

    def slipway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("slipway")), "--state", str(self.directory / "state"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)

    def differences(self) -> list[dict[str, Any]]:
        """What audit finds; other tests' ports are not ours."""
        findings: list[dict[str, Any]] = json.loads(self.slipway("audit", "--output", "json").stdout)
        return findings

    def in_neutron(self, collection: str) -> list[dict[str, Any]]:
        """What Neutron itself says the project has."""
        answer = self.ask("GET", f"{collection}?project_id={self.project}")
        found: list[dict[str, Any]] = answer[collection.replace("-", "_")]
        return found

    def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """What Neutron itself answers."""
        headers = {"X-Project-Id": self.project, "X-User-Id": "test", "X-Roles": "admin"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.endpoint}/v2.0/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            said: dict[str, Any] = json.load(answer)
            return said


@pytest.fixture
def place(neutron: Neutron, tmp_path: Path) -> Place:
    return Place(tmp_path, neutron.endpoint)


def test_two_instances_survive_a_kill_in_create_port(place: Place) -> None:
    """Killed with -9 when Neutron has made the second instance's port and nothing of it is on record."""
    place.says("[{at: network.create_port, call: 3, mode: crash_after}]")
    killed = place.slipway("run", str(place.file), "--allow-faults")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = place.slipway("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr

    place.says()
    again = place.slipway("run", str(place.file))
    assert again.returncode == 0, again.stdout + again.stderr
    listed = json.loads(place.slipway("list", "--output", "json").stdout)
    assert {each["name"]: each["vm_state"] for each in listed} == {"web-1": "ACTIVE", "web-2": "ACTIVE"}
    ports = place.in_neutron("ports")
    on_record = {address for each in listed for address in each["addresses"]}
    assert {ip["ip_address"] for port in ports for ip in port["fixed_ips"]} == on_record
    assert {"10.0.0.10", "10.0.0.77"} < on_record
    assert [(port["binding:vif_type"], port["device_owner"]) for port in ports] == [(VIF_TYPE, "compute:nova")] * 3
    assert {port["device_id"] for port in ports} == {each["id"] for each in listed}
    assert sorted(port["dns_name"] for port in ports if port["name"] != "mine") == ["web-1", "web-2"]
    assert place.differences() == []

    for name in ("web-1", "web-2"):
        deleted = place.slipway("delete", name)
        assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    (brought_along,) = place.in_neutron("ports")
    assert (brought_along["name"], brought_along["device_id"], brought_along["binding:host_id"]) == ("mine", "", "")
    destroyed = place.slipway("destroy", str(place.file))
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert place.in_neutron("ports") == place.in_neutron("networks") == place.in_neutron("subnets") == []
    assert [group["name"] for group in place.in_neutron("security-groups")] == ["default"]


def test_only_what_is_ours_is_orphaned(place: Place, tmp_path: Path) -> None:
    """Two installations and a Nova in one Neutron; what came late of ours is found."""
    file = loads(
        f"""
schema: 1
project: {place.project}
settings: {{network: neutron, endpoint: "{place.endpoint}"}}
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [net]}}}}
""",
        "shared.yaml",
    )
    with (
        Orchestrator(tmp_path / "ours", settings=file.settings) as ours,
        Orchestrator(tmp_path / "theirs", settings=file.settings) as theirs,
    ):
        for one in (ours, theirs):
            assert [ended.status.value for ended in one.run(file).ended] == ["built"]
        (network,) = place.in_neutron("networks")
        ports = {port["device_id"]: port for port in place.in_neutron("ports")}
        web = ours.show("web").instance
        tag, _, _ = ports[web.id]["description"].rpartition(":")

        def make(**says: str) -> str:
            port = {"network_id": network["id"], "device_id": str(uuid.uuid4()), **says}
            return str(place.ask("POST", "ports", port=port)["port"]["id"])

        make(device_owner="compute:nova", **{"binding:host_id": "node-1"})
        assert ours.audit() == theirs.audit() == ()
        late = make(description=f"{tag}:{uuid.uuid4()}")
        brought = ports[""]["id"]
        place.ask("PUT", f"ports/{brought}", port={"device_id": web.id})
        assert {(each.difference, each.kind, each.name) for each in ours.audit()} == {
            (Difference.ORPHANED, "port", late),
            (Difference.ORPHANED, "port", brought),
        }
        assert theirs.audit() == ()


@pytest.mark.parametrize(
    "call", ["create_network", "create_subnet", "create_security_group", "create_security_group_rule", "create_port"]
)
def test_only_what_a_run_made_is_taken_back_whenever_it_was_cut_off(call: str, place: Place) -> None:
    """Neutron has it, and nothing of it is on record; what was there before bears no mark."""
    group = place.ask("POST", "security-groups", security_group={"name": "before", "project_id": place.project})
    theirs = {"name": "theirs", "project_id": place.project}
    network = place.ask("POST", "networks", network=theirs)["network"]["id"]
    subnet = {"network_id": network, "ip_version": 4, "cidr": "10.3.0.0/24", "name": "s", "project_id": place.project}
    place.ask("POST", "subnets", subnet=subnet)
    collections = ("networks", "subnets", "security-groups", "ports")
    before = {name: {each["id"] for each in place.in_neutron(name)} for name in collections}
    place.says(f"[{{at: network.{call}, mode: crash_after}}]")
    text = place.file.read_text().replace(
        "networks:\n", "networks:\n  theirs: {subnets: {s: {cidr: 10.3.0.0/24}}}\n", 1
    )
    place.file.write_text(text)
    killed = place.slipway("run", str(place.file), "--allow-faults")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    destroyed = place.slipway("destroy", str(place.file), "--output", "json")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert {name: {each["id"] for each in place.in_neutron(name)} for name in collections} == before
    assert group["security_group"]["id"] in before["security-groups"]
    assert json.loads(destroyed.stdout.splitlines()[-1])["changes"]["kept"] == [
        "network theirs: it stays, for no stack made it",
        "subnet s: it stays, for no stack made it",
    ]


def test_a_port_that_was_given_away_in_neutron_stays(place: Place) -> None:
    place.says()
    assert place.slipway("run", str(place.file)).returncode == 0
    web = json.loads(place.slipway("show", "web-2", "--output", "json").stdout)["id"]
    (port,) = [each["id"] for each in place.in_neutron("ports") if each["device_id"] == web]
    refused = place.slipway("port", "delete", port, "--project", place.project)
    assert (refused.returncode, "instance web-2" in refused.stderr) == (1, True), refused.stderr
    place.ask("PUT", f"ports/{port}", port={"device_id": "vip", "device_owner": "user:own"})
    assert place.slipway("delete", "web-2").returncode == 0
    assert place.ask("GET", f"ports/{port}")["port"]["device_id"] == "vip"
    assert place.differences() == []
    assert place.slipway("port", "delete", port).returncode == 0
    assert place.slipway("destroy", str(place.file)).returncode == 0
    assert place.in_neutron("ports") == place.in_neutron("networks") == []


@pytest.mark.skipif(VIF_TYPE != "ovs", reason="this Neutron binds to Linux bridges")
def test_a_guest_is_plugged_into_open_vswitch(place: Place, tmp_path: Path) -> None:
    """A host whose agent wants more than libvirt does is an error that says what to change, and leaves nothing."""
    text = f"""
schema: 1
project: {place.project}
settings: {{network: neutron, endpoint: "{place.endpoint}"}}
hosts:
  node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}
  hybrid: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim, zone: hybrid}}
networks: {{net: {{subnets: {{v4: {{cidr: 10.0.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2, vpn: true}}}}
instances:
  web: {{flavor: small, image: tiny, networks: [net], zone: nova}}
  odd: {{flavor: small, image: tiny, networks: [net], zone: hybrid}}
"""
    file = loads(text, "ovs.yaml")
    with Orchestrator(tmp_path / "state", settings=file.settings) as slipway:
        ended = {one.instance.name: one for one in slipway.run(file).ended if one.instance is not None}
        web, odd = ended["web"].instance, ended["odd"].instance
        assert web is not None
        assert odd is not None
        assert (web.vm_state, odd.vm_state) == ("ACTIVE", "ERROR")
        assert odd.fault is not None
        assert odd.fault.type == "VirtualInterfaceCreateException"
        assert "firewall_driver = openvswitch" in odd.fault.message
        (port,) = place.in_neutron("ports")
        assert (port["device_id"], port["binding:profile"]) == (web.id, {"vpn": True})
        (xml,) = (path.read_text() for path in (tmp_path / "state").rglob("*.xml") if web.id in path.read_text())
        assert "<source bridge='br-int'/>" in xml.replace('"', "'")
        assert f"interfaceid='{port['id']}'" in xml.replace('"', "'")
        assert slipway.audit() == ()


def test_a_build_that_fails_leaves_no_port(place: Place) -> None:
    place.says("[{at: compute.spawn, call: 1, mode: error, raise: InvalidDomainXml}]")
    failed = place.slipway("run", str(place.file), "--allow-faults")
    assert failed.returncode == 3, failed.stdout + failed.stderr
    listed = json.loads(place.slipway("list", "--output", "json").stdout)
    (active,) = (each for each in listed if each["vm_state"] == "ACTIVE")
    assert {port["device_id"] for port in place.in_neutron("ports") if port["name"] != "mine"} == {active["id"]}
    assert place.differences() == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("{cloud: x}", "network"),
        ('{network: neutron, endpoint: "http://user:secret@127.0.0.1"}', "without user or password"),
        ("{network: neutron, endpoint: 127.0.0.1}", "http or https URL"),
        ("{network: nothing}", "nothing"),
        ("{network: neutron}", "either `cloud`"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, settings: str, said: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(f"schema: 1\nsettings: {settings}\n")
    command = [str(Path(sys.executable).with_name("slipway")), "--state", str(tmp_path / "state"), "run", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode not in (0, -6), done.stdout
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr

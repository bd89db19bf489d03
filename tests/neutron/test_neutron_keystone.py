"""Networks of a Neutron behind a Keystone, both real, found and entered by clouds.yaml."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway import errors
from slipway.drivers.network.neutron.driver import NeutronNetwork
from slipway.model.network import Context
from slipway.settings import Settings
from slipway.states.store import Store
from tests.neutron.process import HOSTS, PYTHON, serving
from tests.waiting import PATIENCE

PASSWORD = "of-the-administrator"

RUN_FILE = """
schema: 1
project: demo
settings: {{network: neutron, cloud: lab}}
hosts: {{node-1: {{vcpus: 8, memory: 8GiB, disk: 100GiB, compute: sim}}}}
networks: {{front: {{subnets: {{front-4: {{cidr: 10.0.0.0/24}}}}, ports: {{mine: {{fixed_ip: 10.0.0.77}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [front, {{port: mine}}]}}}}
faults: {faults}
"""

Entry = dict[str, Any]
"""What clouds.yaml says of a cloud."""


class Caller:
    """Who is in a cloud's entry, and asks Keystone and Neutron without us."""

    def __init__(self, entry: Entry) -> None:
        import openstack

        self.keystone = entry["auth"]["auth_url"]
        self.session = openstack.connect(**entry, load_yaml_config=False, load_envvars=False).session

    @property
    def project_id(self) -> str:
        return str(self.session.get_project_id())

    def make(self, kind: str, path: str = "", **says: Any) -> dict[str, Any]:
        """A service, a user, ... of Keystone's."""
        made: dict[str, Any] = self.session.post(f"{self.keystone}{path}/{kind}s", json={kind: says}).json()[kind]
        return made

    def in_neutron(self, collection: str) -> list[dict[str, Any]]:
        """What Neutron says the project has."""
        where = {"service_type": "network", "interface": "public"}
        path = f"/v2.0/{collection}?project_id={self.project_id}"
        found: list[dict[str, Any]] = self.session.get(path, endpoint_filter=where).json()[collection]
        return found


@dataclass(frozen=True)
class Lab:
    """A Keystone and what its administrator can do there; Neutron is in its catalog."""

    keystone: str
    admin: Caller

    def user(self, role: str) -> Entry:
        """A new user with a project of its own, of which it has the role."""
        name = f"demo-{uuid.uuid4().hex[:8]}"
        project = self.admin.make("project", name=name, domain_id="default")["id"]
        user = self.admin.make("user", name=name, password=name, domain_id="default")["id"]
        (found,) = self.admin.session.get(f"{self.keystone}/roles?name={role}").json()["roles"]
        self.admin.session.put(f"{self.keystone}/projects/{project}/users/{user}/roles/{found['id']}")
        return entry_of(self.keystone, name, name, name)


def entry_of(keystone: str, project: str, user: str, password: str) -> Entry:
    domains = {"user_domain_id": "default", "project_domain_id": "default"}
    who = {"username": user, "password": password, "project_name": project}
    return {"auth": {"auth_url": keystone, **who, **domains}}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    pytest.importorskip("openstack", reason="openstacksdk is not installed")
    if not PYTHON.exists():
        pytest.skip(f"no Keystone is installed in {PYTHON.parents[1].name}; tests/run installs it")
    with (
        serving("identity.py", PASSWORD) as keystone,
        serving("server.py", "--keystone", keystone, PASSWORD, *HOSTS) as neutron,
    ):
        admin = Caller(entry_of(keystone, "admin", "admin", PASSWORD))
        service = admin.make("service", name="neutron", type="network")["id"]
        admin.make("endpoint", service_id=service, interface="public", url=neutron)
        yield Lab(keystone, admin)


@dataclass
class Place:
    """A directory with a clouds.yaml and a run file, where the command is called."""

    directory: Path

    def says(self, entry: Entry, faults: str = "[]") -> None:
        (self.directory / "clouds.yaml").write_text(json.dumps({"clouds": {"lab": entry}}))
        (self.directory / "run.yaml").write_text(RUN_FILE.format(faults=faults))

    def slipway(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("slipway")), "--state", "state", *arguments]
        return subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, check=False, timeout=PATIENCE
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_build_that_is_killed_in_create_port_goes_on(lab: Lab, place: Place) -> None:
    entry = lab.user("admin")
    place.says(entry, "[{at: network.create_port, call: 2, mode: crash_after}]")
    killed = place.slipway("run", "run.yaml", "--allow-faults")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = place.slipway("resume")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    (listed,) = json.loads(place.slipway("list", "--output", "json").stdout)
    assert listed["vm_state"] == "ACTIVE"
    user = Caller(entry)
    ports = user.in_neutron("ports")
    assert {ip["ip_address"] for port in ports for ip in port["fixed_ips"]} == set(listed["addresses"])
    assert "10.0.0.77" in listed["addresses"]
    assert {(port["binding:host_id"], port["device_id"]) for port in ports} == {("node-1", listed["id"])}
    assert json.loads(place.slipway("audit", "--output", "json").stdout) == []
    kept = [path.read_bytes() for path in (place.directory / "state").rglob("*") if path.is_file()]
    assert kept
    assert not any(f'"{entry["auth"]["password"]}"'.encode() in content for content in kept)
    destroyed = place.slipway("destroy", "run.yaml")
    assert destroyed.returncode == 0, destroyed.stdout + destroyed.stderr
    assert user.in_neutron("ports") == user.in_neutron("networks") == user.in_neutron("subnets") == []


# --- what may be wrong ----------------------------------------------------------------------------------------------

CONTEXT = Context("demo", is_admin=True)


@pytest.fixture
def driver(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[NeutronNetwork]:
    # The SDK looks where it was when it was imported.
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [str(place.directory / "clouds.yaml")])
    store = Store(f"sqlite:///{place.directory}/slipway.db")
    yield NeutronNetwork(store, Settings(network="neutron", cloud="lab"))
    store.close()


def test_a_token_that_was_revoked_is_had_anew(lab: Lab, place: Place, driver: NeutronNetwork) -> None:
    place.says(lab.user("admin"))
    network = driver.create_network(CONTEXT, name="net")
    token = driver._service._connection().session.get_token()
    revoked = lab.admin.session.delete(f"{lab.keystone}/auth/tokens", headers={"X-Subject-Token": token})
    assert revoked.status_code == 204
    assert driver.show_network(CONTEXT, network.id) == network
    assert network.project_id == "demo"


def test_an_application_credential(lab: Lab, place: Place, driver: NeutronNetwork) -> None:
    user = Caller(lab.user("admin"))
    made = user.make("application_credential", f"/users/{user.session.get_user_id()}", name="slipway")
    who = {f"application_credential_{name}": made[name] for name in ("id", "secret")}
    place.says({"auth_type": "v3applicationcredential", "auth": {"auth_url": lab.keystone, **who}})
    network = driver.create_network(CONTEXT, name="net")
    assert [found["id"] for found in user.in_neutron("networks")] == [network.id]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"auth": {"password": "wrong"}}, errors.Forbidden, "Keystone refuses the credentials of cloud lab"),
        ({"auth": {"project_name": "nobody's"}}, errors.Forbidden, "Keystone refuses the credentials of cloud lab"),
        ({"auth": {"auth_url": "http://127.0.0.1:9/v3"}}, errors.TransientNetworkError, "127.0.0.1"),
        ({"region_name": "nowhere"}, errors.InvalidInput, "cloud lab cannot be used: .* in nowhere region not found"),
        ({"network_service_type": "nets"}, errors.InvalidInput, "cloud lab cannot be used: .* nets service not found"),
        ({"auth": {"username": None}}, errors.InvalidInput, "cloud lab cannot be used: .*name must be present"),
    ],
)
def test_a_cloud_that_cannot_be_used(
    lab: Lab, place: Place, driver: NeutronNetwork, change: Entry, error: type[Exception], text: str
) -> None:
    entry = lab.user("admin")
    place.says({**entry, **change, "auth": {**entry["auth"], **change.get("auth", {})}})
    with pytest.raises(error, match=text) as raised:
        driver.list_networks(CONTEXT)
    assert "wrong" not in str(raised.value)


def test_who_is_no_administrator_is_told_so_and_nothing_is_left(lab: Lab, place: Place) -> None:
    entry = lab.user("member")
    place.says(entry)
    done = place.slipway("run", "run.yaml")
    assert done.returncode != 0
    assert "web  ERROR, PolicyNotAuthorized: PUT /ports/" in done.stdout
    assert "update_port:binding:host_id) is disallowed by policy" in done.stdout
    assert "stuck" not in done.stdout
    (mine,) = Caller(entry).in_neutron("ports")
    assert (mine["name"], mine["device_id"]) == ("mine", "")

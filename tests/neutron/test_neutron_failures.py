"""What goes wrong between the driver and a real Neutron, and what must come of it."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from slipway import errors
from slipway.drivers.network.neutron.driver import NeutronNetwork
from slipway.model.network import Context, Network
from slipway.settings import Settings
from slipway.states.store import Store
from tests.neutron.process import Answer, Neutron, Wire

Meddle = Callable[[str, str, Callable[[], Answer]], Answer | None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'slipway.db'}", synchronous="OFF")
    yield store
    store.close()


@pytest.fixture
def driver(wire: Wire, store: Store) -> NeutronNetwork:
    return NeutronNetwork(store, Settings(network="neutron", endpoint=wire.endpoint))


@pytest.fixture
def user() -> Context:
    return Context(f"demo-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def network(driver: NeutronNetwork, user: Context) -> Network:
    return driver.create_network(user, name="net")


def instead_of(method: str, answer: Answer | None) -> Meddle:
    return lambda asked, _path, ask: answer if asked == method else ask()


def test_a_reply_that_is_lost_leaves_one_port(
    driver: NeutronNetwork, wire: Wire, user: Context, network: Network
) -> None:
    made: list[Answer] = []

    def lose(method: str, _path: str, ask: Callable[[], Answer]) -> Answer | None:
        if method == "POST":
            made.append(ask())
            return None
        return ask()

    wire.meddle = lose
    key = f"{network.id}/0"
    with pytest.raises(errors.TransientNetworkError):
        driver.create_port(user, network_id=network.id, key=key)
    assert [status for status, _ in made] == [201]
    port = driver.create_port(user, network_id=network.id, key=key)
    assert port.id == json.loads(made[0][1])["port"]["id"]
    assert [each.id for each in driver.list_ports(user)] == [port.id]


def test_a_builds_port_goes_without_a_dns_name_where_neutron_has_none(
    driver: NeutronNetwork, wire: Wire, user: Context, network: Network
) -> None:
    """Without its DNS extension Neutron refuses the attribute; which extensions there are is asked once."""
    asked: list[str] = []

    def without_dns(_method: str, path: str, ask: Callable[[], Answer]) -> Answer | None:
        asked.append(path)
        status, body = ask()
        if path.startswith("/v2.0/extensions"):
            said = [each for each in json.loads(body)["extensions"] if each["alias"] != "dns-integration"]
            return status, json.dumps({"extensions": said}).encode()
        return status, body

    wire.meddle = without_dns
    for number in range(2):
        made = driver.create_port(user, network_id=network.id, key=f"{network.id}/{number}", dns_name="web")
        assert made.dns_name == ""
    assert len([path for path in asked if path.startswith("/v2.0/extensions")]) == 1


def test_a_worker_that_dies_between_two_ports_of_a_key_is_mended(
    driver: NeutronNetwork, wire: Wire, user: Context, network: Network
) -> None:
    """Both saw none, both made one, and neither looked again: whoever looks next leaves the first one."""
    key = f"{network.id}/0"
    blind = b'{"ports": []}'

    def see_nothing(method: str, _path: str, ask: Callable[[], Answer]) -> Answer | None:
        return (200, blind) if method == "GET" else ask()

    for _ in range(2):
        wire.meddle = see_nothing
        with pytest.raises(errors.TransientNetworkError, match="not there any more"):
            driver.create_port(user, network_id=network.id, key=key)
    wire.meddle = lambda _method, _path, ask: ask()
    assert len(driver.list_ports(user)) == 2
    found = driver.find_port(user, key)
    assert found is not None
    assert [port.id for port in driver.list_ports(user)] == [found.id]
    assert driver.find_port(user, key) == found


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (None, errors.TransientNetworkError),
        ((502, b"<html>Bad Gateway</html>"), errors.TransientNetworkError),
        ((503, b'{"NeutronError": {"type": "ServiceUnavailable", "message": "later"}}'), errors.TransientNetworkError),
        ((500, b'{"NeutronError": {"type": "HTTPInternalServerError", "message": "x"}}'), errors.TransientNetworkError),
        ((429, b"{}"), errors.TransientNetworkError),
        ((200, b""), errors.TransientNetworkError),
        ((200, b"{}"), errors.TransientNetworkError),
        ((200, b'{"port": null}'), errors.TransientNetworkError),
        ((200, b'{"port": {}}'), errors.TransientNetworkError),
        ((401, b'{"error": {"code": 401}}'), errors.Forbidden),
        ((404, b"<html>Not Found</html>"), errors.NotFound),
        ((404, b'{"message": "no such page"}'), errors.NotFound),
    ],
    ids=str,
)
def test_a_look_up_that_fails_is_no_absence(
    driver: NeutronNetwork, wire: Wire, user: Context, answer: Answer | None, kind: type[errors.NetworkError]
) -> None:
    wire.meddle = instead_of("GET", answer)
    looks: list[Callable[[], object]] = [
        lambda: driver.show_port(user, str(uuid.uuid4())),
        lambda: driver.find_port(user, "key"),
    ]
    for look in looks:
        with pytest.raises(errors.NetworkError) as caught:
            look()
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (503, "NoNetworkAvailable", errors.NoNetworkAvailable),
        (500, "MechanismDriverError", errors.MechanismDriverError),
        (409, "OverQuota", errors.OverQuota),
        (409, "SomethingNewInNeutron", errors.Conflict),
        (400, "SomethingNewInNeutron", errors.BadRequest),
        (403, "SomethingNewInNeutron", errors.Forbidden),
        (404, "SomethingNewInNeutron", errors.NotFound),
        (501, "SomethingNewInNeutron", errors.HTTPNotImplemented),
        (500, "SlipwayError", errors.TransientNetworkError),
    ],
)
def test_an_error_is_of_the_class_that_neutron_names(
    driver: NeutronNetwork, wire: Wire, user: Context, status: int, said: str, kind: type[errors.NetworkError]
) -> None:
    body = json.dumps({"NeutronError": {"type": said, "message": "two\nlines", "detail": ""}}).encode()
    wire.meddle = instead_of("POST", (status, body))
    with pytest.raises(errors.NetworkError, match="two lines") as caught:
        driver.create_network(user, name="net")
    assert type(caught.value) is kind


def test_nobody_is_there(store: Store, user: Context) -> None:
    driver = NeutronNetwork(store, Settings(network="neutron", endpoint="http://127.0.0.1:9"))
    with pytest.raises(errors.TransientNetworkError) as caught:
        driver.find_port(user, "key")
    assert caught.value.__cause__ is not None


def test_a_list_is_whole_where_the_server_gives_pages(
    driver: NeutronNetwork, wire: Wire, user: Context, network: Network
) -> None:
    """As a Neutron with `pagination_max_limit = 2` does: each page with a link to the next."""
    made = sorted(driver.create_port(user, network_id=network.id).id for _ in range(5))
    asked: list[str] = []

    def in_pages(_method: str, path: str, ask: Callable[[], Answer]) -> Answer | None:
        asked.append(path)
        (marker,) = parse_qs(urlsplit(path).query).get("marker", [""])
        status, body = ask()
        # This Neutron has no such limit, and then heeds no marker.
        ports = sorted((p for p in json.loads(body)["ports"] if p["id"] > marker), key=lambda port: str(port["id"]))
        links = [{"rel": "next", "href": "elsewhere"}] if len(ports) > 2 else []
        return status, json.dumps({"ports": ports[:2], "ports_links": links}).encode()

    wire.meddle = in_pages
    listed = driver.list_ports(user, network_id=network.id, sort_key="id")
    assert [port.id for port in listed] == made
    assert len(asked) == 3


def test_a_server_that_heeds_no_marker_is_not_asked_for_ever(
    driver: NeutronNetwork, wire: Wire, user: Context, network: Network
) -> None:
    driver.create_port(user, network_id=network.id)

    def for_ever(_method: str, _path: str, ask: Callable[[], Answer]) -> Answer | None:
        status, body = ask()
        links = [{"rel": "next", "href": "elsewhere"}]
        return status, json.dumps({**json.loads(body), "ports_links": links}).encode()

    wire.meddle = for_ever
    with pytest.raises(errors.TransientNetworkError, match="again and again"):
        driver.list_ports(user, network_id=network.id)


# --- which Neutron --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"cloud": "a", "endpoint": "http://b"}])
def test_it_must_be_said_which(store: Store, settings: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidInput, match="either `cloud`"):
        NeutronNetwork(store, Settings(network="neutron", **settings))  # type: ignore[arg-type]


def test_a_cloud_of_clouds_yaml(
    neutron: Neutron, store: Store, user: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name leads to the URL there; one that is not there is the user's mistake."""
    clouds = tmp_path / "clouds.yaml"
    # The SDK looks where it was when it was imported.
    monkeypatch.setattr("openstack.config.loader.CONFIG_FILES", [str(clouds)])
    clouds.write_text(
        json.dumps({"clouds": {"here": {"auth_type": "none", "auth": {"endpoint": f"{neutron.endpoint}/nothing"}}}})
    )
    here = NeutronNetwork(store, Settings(network="neutron", cloud="here"))
    with pytest.raises(errors.NetworkError):
        here.list_networks(user)
    nowhere = NeutronNetwork(store, Settings(network="neutron", cloud="nowhere"))
    with pytest.raises(errors.InvalidInput, match="nowhere"):
        nowhere.list_networks(user)


def test_the_sdk_is_loaded_when_it_is_needed() -> None:
    code = "import sys, slipway.drivers.network.neutron.driver; sys.exit('openstack' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""A row on record that cannot be read hides no other one, is named, and can be got rid of."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from slipway import BuildFailed, Orchestrator, RunFile, errors
from slipway.cli.main import main
from slipway.runfile import loads
from tests import record

FILE = """
schema: 1
hosts:
  node-1: {vcpus: 8, memory: 8GiB, disk: 100GiB}
  node-2: {vcpus: 8, memory: 8GiB, disk: 100GiB}
networks: {a: {subnets: {a4: {cidr: 10.0.0.0/24}}}}
flavors: {small: {vcpus: 1, memory: 512MiB, disk: 2GiB}}
images: {tiny: {path: ./tiny.qcow2, format: qcow2}}
instances:
  bad: {flavor: small, image: tiny, networks: [a], host: node-1, files: {/etc/motd: {content: hello}}}
  good: {flavor: small, image: tiny, networks: [a], host: node-2}
"""


def file() -> RunFile:
    return loads(FILE, "damaged.yaml")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with Orchestrator(tmp_path) as slipway:
        slipway.run(file())
    return tmp_path


def damage(state: Path, statement: str, *values: object) -> None:
    with closing(record.opened(state / "slipway.db")) as database, database:
        assert database.execute(statement, values).rowcount == 1


def poisoned(state: Path) -> bytes:
    """The request as an earlier build took it: with a float for the vCPUs."""
    with closing(record.opened(state / "slipway.db")) as database:
        (request,) = database.execute("SELECT request FROM instances WHERE name = 'bad'").fetchone()
    known = json.loads(request)
    known["flavor"]["vcpus"] = 2.0
    return json.dumps(known).encode()


refused = pytest.mark.sqlite("damage that PostgreSQL refuses")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("request", None),
        ("request", b"\xff\x00"),
        ("request", "typed by hand"),
        pytest.param("request", 17, marks=refused),
        ("request", "{}"),
        ("addresses", b"10.0.0.2"),
        ("fault", b'{"type": 1}'),
        ("user_data", "half of {"),
        ("user_data", '{"user_data": null, "files": []}'),
    ],
)
def test_a_damaged_instance(state: Path, column: str, value: object) -> None:
    found = poisoned(state) if value is None else value
    damage(state, f"UPDATE instances SET {column} = ? WHERE name = 'bad'", found)
    with Orchestrator(state) as slipway:
        bad, good = slipway.list()
        assert (bad.name, bad.vm_state, bad.host, good.damage) == ("bad", "ACTIVE", "node-1", "")
        assert "its row is damaged" in bad.damage
        assert bad.fault is not None
        assert (bad.fault.type, bad.fault.message) == ("RecordDamaged", bad.damage)
        assert slipway.show("bad").instance == slipway.get(bad.id) == bad
        (finding,) = slipway.audit()
        assert (finding.difference, finding.kind, finding.name) == ("damaged", "instance", "bad")
        assert slipway.resume() == ()
        again = slipway.run(file()).ended
        assert [one.status for one in again] == ["unchanged", "unchanged"]
        assert [one.kept for one in again] == [(f"instance bad: {bad.damage}",), ()]
        assert slipway.create(replace(file().instances[1].request, name="other")).vm_state == "ACTIVE"
        assert slipway.stop("bad").vm_state == "STOPPED"
        assert slipway.delete("bad").vm_state == "DELETED"
        assert [one.name for one in slipway.list()] == ["good", "other"]
        assert slipway.audit() == ()
        ended, _ = slipway.destroy(file())
        assert [one.status for one in ended] == ["deleted", "unchanged"]


@pytest.mark.parametrize("time", [pytest.param("yesterday", marks=refused), 2**62, -(2**62)])
def test_a_damaged_time_is_no_reason_to_show_nothing(state: Path, time: object) -> None:
    damage(state, "UPDATE instances SET created_at = ? WHERE name = 'bad'", time)
    with Orchestrator(state) as slipway:
        assert [one.created_at.year > 1970 for one in slipway.list()] == [False, True]
        assert slipway.delete("bad").vm_state == "DELETED"


def test_what_is_damaged_while_it_is_built_is_undone_and_never_built_of_nothing(state: Path) -> None:
    request = replace(file().instances[0].request, name="half")

    def stop_after_claim(event: object) -> None:
        if "claim" in str(event):
            raise KeyboardInterrupt

    with Orchestrator(state) as slipway, pytest.raises(KeyboardInterrupt):
        slipway.create(request, on_event=stop_after_claim)
    damage(state, "UPDATE instances SET request = '{', worker = NULL WHERE name = 'half'")
    with Orchestrator(state) as slipway:
        (ended,) = slipway.resume()
        assert ended.instance is not None
        assert (ended.status, ended.instance.vm_state) == ("failed", "ERROR")
        assert [one.kind for one in slipway.audit()] == ["instance"]
        assert slipway.delete("half").vm_state == "DELETED"


@pytest.mark.parametrize("column", ["args", "result"])
@pytest.mark.parametrize("kind", ["placement", "claim", "port", "binding", "disk", "seed", "domain", "launch"])
def test_a_damaged_effect(state: Path, kind: str, column: str) -> None:
    with Orchestrator(state) as slipway:
        bad, _ = slipway.list()
    damage(state, f"UPDATE effects SET {column} = ? WHERE kind = ? AND instance_id = ?", "?", kind, bad.id)
    with Orchestrator(state) as slipway:
        assert [one.name for one in slipway.list()] == ["bad", "good"]
        assert len(slipway.show("bad").effects) == len(slipway.show("good").effects) + 1
        assert {one.kind for one in slipway.audit()} <= {"disk" if kind == "seed" else kind}
        assert slipway.delete("good").vm_state == "DELETED"
        gone = slipway.delete("bad")
        stuck = [one for one in slipway.show(bad.id).effects if one.state == "stuck"]
        assert gone.vm_state == ("ERROR" if stuck else "DELETED")
        assert all("cannot be read" in str(one.error) for one in stuck if one.held_by is None)


def test_a_damaged_host(state: Path) -> None:
    damage(state, "UPDATE hosts SET spec = '{' WHERE name = 'node-1'")
    with Orchestrator(state) as slipway:
        assert [one.name for one in slipway.list()] == ["bad", "good"]
        findings = slipway.audit()
        assert {(one.difference, one.host) for one in findings} == {("unreachable", "node-1")}
        assert slipway.addresses("bad").unasked
        assert slipway.create(replace(file().instances[1].request, name="other")).host == "node-2"
        with pytest.raises(BuildFailed, match="NoValidHost"):
            slipway.create(replace(file().instances[0].request, name="nowhere"))
        slipway.run(file())
        assert slipway.audit() == ()
        assert slipway.delete("bad").vm_state == "DELETED"


def test_damaged_settings(state: Path) -> None:
    damage(state, "UPDATE meta SET settings = '{'")
    with pytest.raises(errors.RecordDamaged, match="Settings"):
        Orchestrator(state)
    with Orchestrator(state, settings=file().settings) as slipway:
        (mend,) = slipway.plan(file()).acts
        assert (mend.label, mend.how) == ("settings", "mend")
        slipway.run(file())
        assert slipway.plan(file()).acts == ()
    with Orchestrator(state) as slipway:
        assert len(slipway.list()) == 2


def test_the_commands_name_it(state: Path) -> None:
    damage(state, "UPDATE instances SET request = '{' WHERE name = 'bad'")

    def slipway(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--state", str(state)])

    listed = slipway("list").stdout
    assert "RecordDamaged" in listed
    assert "good" in listed
    assert "damaged" in slipway("audit").stdout
    assert slipway("show", "bad").exit_code == 0
    assert slipway("delete", "bad").exit_code == 0
    assert "no differences" in slipway("audit").stdout

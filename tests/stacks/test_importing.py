"""What is there already is brought under a stack, and is then what a run of the stack's file would have made."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from slipway import Orchestrator, errors
from slipway.cli.main import main
from slipway.drill.simulated import simulated_drivers
from slipway.stacks.plan import How
from slipway.testing import Fault, Faults, Mode, crashed
from tests.stacks.planned import agreed, done, file, of


def opened(directory: Path, *, remote: bool) -> Orchestrator:
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=remote)
    return Orchestrator(directory, project="p", drivers=drivers)


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    """With all that the file has, made by hand."""
    with opened(tmp_path, remote=request.param == "remote") as made:
        make(made)
        yield made


def make(slipway: Orchestrator) -> None:
    wanted, network = file(), slipway.network
    slipway.add_host(wanted.hosts[0])
    net = network.create_network(name="net")
    network.create_subnet(network_id=net.id, name="sub", ip_version=4, cidr="10.0.0.0/24")
    for group in wanted.security_groups:
        network.create_security_group(name=group.name)
    network.create_port(network_id=net.id, name="spare", fixed_ips=[{"ip_address": "10.0.0.99"}])
    slipway.create(wanted.instances[0].request)


ALL = (("web", "instance"), ("net", None), ("spare", None), ("other", None), ("a", None))


def test_what_was_made_by_hand_is_the_stacks_and_is_changed_and_taken_back_with_it(slipway: Orchestrator) -> None:
    before = slipway.show("web").instance
    assert done(slipway.plan(file())) == {}
    found = [slipway.import_into("mine", name, kind=kind) for name, kind in ALL]
    assert [one.kind for one in found] == ["instance", "network", "port", "security group", "host"]
    assert [name for _, name in found[1].parts] == ["sub"]
    assert replace(slipway.show("web").instance, stack=None) == before
    assert not any(slipway.import_into("mine", name, kind=kind).changed for name, kind in ALL)
    wanted = file(network="mtu: 1400, ", more=", disks: [1GiB]", host="{vcpus: 9, memory: 16GiB, disk: 100GiB}")
    assert done(slipway.plan(wanted)) == {
        "host a": How.CHANGE,
        "network net": How.CHANGE,
        "instance web": How.CHANGE,
    }
    agreed(slipway, wanted)
    assert slipway.show("web").instance.id == before.id
    remote = not slipway._drivers.network.local
    ended, changes = slipway.destroy(wanted)
    assert str(ended[0].status) == "deleted"
    assert slipway.audit() == ()
    if remote:
        given = {line.partition(":")[0] for line in changes.kept if "it was imported, and is given back" in line}
        assert given == {"network net", "subnet sub", "port spare", "security group other"}
        assert [one.name for one in slipway.network.list_networks()] == ["net"]
        assert slipway.stack_of("network", slipway.network.list_networks()[0].id) is None
    else:
        assert {"network net", "subnet sub", "port spare"} <= {*changes.removed}
        assert slipway.network.list_networks() == ()
    assert not slipway.hosts()


def test_what_cannot_be_imported_is_refused_and_nothing_is_done(slipway: Orchestrator) -> None:
    cases: tuple[tuple[str, dict[str, Any], type[Exception], str], ...]
    slipway.import_into("theirs", "net")
    (port,) = slipway.network.list_ports(device_id=slipway.show("web").instance.id)
    cases = (
        ("none", {}, errors.NothingToImport, "project p has no instance, network, .* or host none"),
        ("none", {"kind": "port"}, errors.NothingToImport, "project p has no port none"),
        ("web", {"project": "q"}, errors.NothingToImport, "project q has no"),
        ("sub", {}, errors.ImportRefused, "subnet sub stays what it is: stack theirs made it"),
        (port.id, {}, errors.ImportRefused, "was made for instance .*, and goes with it: import the instance"),
        ("web", {}, errors.NoUniqueMatch, "web means several things: security group .*, instance .*; say its kind"),
        ("net", {"kind": "thing"}, errors.InvalidRequest, "kind: must be one of instance"),
    )
    for name, how, error, says in cases:
        with pytest.raises(error, match=says):
            slipway.import_into("mine", name, **how)
    with pytest.raises(errors.InvalidRequest, match="stack"):
        slipway.import_into("", "web")
    assert slipway.show("web").instance.stack is None
    assert of(slipway.plan(file(network="mtu: 1400, ")), "network net").how is How.KEEP


def test_an_import_that_is_killed_is_done_or_is_not(tmp_path: Path) -> None:
    with opened(tmp_path, remote=False) as made:
        make(made)

    def importing() -> None:
        faults = Faults(Fault("commit", Mode.CRASH_BEFORE), drivers=simulated_drivers(random.Random(1), time.sleep))
        with faults.orchestrator(tmp_path, project="p") as slipway:
            slipway.import_into("mine", "net")

    assert crashed(importing)
    with opened(tmp_path, remote=False) as slipway:
        (net,) = slipway.network.list_networks()
        (sub,) = slipway.network.list_subnets()
        assert slipway.stack_of("network", net.id) == slipway.stack_of("subnet", sub.id) is None
        assert slipway.import_into("mine", "net").changed


def test_the_command(tmp_path: Path) -> None:
    with opened(tmp_path, remote=False) as made:
        make(made)

    def slipway(*words: str) -> Any:
        return CliRunner().invoke(main, ["import", *words, "--project", "p", "--state", str(tmp_path)])

    assert (
        slipway("net", "--stack", "mine").stdout
        == "network net is of stack mine of project p by now, with subnet sub\n"
    )
    assert slipway("net", "--stack", "mine").stdout == "Nothing to do: network net is of stack mine of project p.\n"
    said = json.loads(slipway("web", "--kind", "instance", "--stack", "mine", "--output", "json").stdout)
    assert (said["kind"], said["stack"], said["parts"], said["changed"]) == ("instance", "mine", [], True)
    refused = slipway("web", "--stack", "another", "--kind", "instance")
    assert (refused.exit_code, "stack mine made it; one thing is of one stack" in refused.output) == (1, True)
    assert slipway("nothing", "--stack", "mine").exit_code == 1
    assert slipway("web").exit_code == 2

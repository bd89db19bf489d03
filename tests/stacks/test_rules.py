"""Rules in run files that say in other words what is there already: Neutron refuses them, a run leaves them out."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway import Orchestrator
from slipway.drill.simulated import simulated_drivers
from slipway.runfile import RunFile, loads
from slipway.stacks.changes import Changes


def file(rules: str) -> RunFile:
    return loads(f"schema: 1\nproject: p\nsecurity_groups: {{web: {{rules: [{rules}]}}}}\n", "mine.yaml")


@pytest.fixture(params=["local", "remote"])
def slipway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Orchestrator]:
    drivers = simulated_drivers(random.Random(1), time.sleep, remote_network=request.param == "remote")
    with Orchestrator(tmp_path, project="p", drivers=drivers) as made:
        yield made


@pytest.mark.parametrize(
    ("rules", "made"),
    [
        ("{to: 0.0.0.0/0}", 0),
        ("{direction: egress, protocol: any}, {to: '::/0'}", 0),
        ("{protocol: tcp, ports: 80}, {protocol: 6, ports: 80, from: 0.0.0.0/0}", 1),
        ("{protocol: icmp}, {protocol: 1}, {protocol: ICMP}", 1),
        ("{protocol: icmp, ethertype: IPv6}, {protocol: icmpv6}, {protocol: 58, from: '::/0'}", 1),
        ("{from: '2001:db8:0::/32'}, {from: '2001:DB8::/32'}", 1),
        ("{protocol: tcp, ports: 80}, {protocol: udp, ports: 80}, {protocol: tcp, ports: 80-81}", 3),
    ],
)
def test_what_a_group_says_already_is_not_said_again(rules: str, made: int, slipway: Orchestrator) -> None:
    ended = slipway.run(file(rules))
    (group,) = slipway.network.list_security_groups(name="web")
    assert len(group.rules) == 2 + made
    assert ended.changes.kept == ()
    again = slipway.run(file(rules))
    assert again.changes.kept == again.changes.created == ()


def test_a_groups_rules_become_those_of_the_file(slipway: Orchestrator) -> None:
    """And what let everything out from the beginning stays, and so does a rule about another group."""
    slipway.run(file("{protocol: tcp, ports: 80}"))
    (group,) = slipway.network.list_security_groups(name="web")
    slipway.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", ethertype="IPv4", remote_group_id=group.id
    )
    assert slipway.run(file("{protocol: 6, ports: 80}")).changes == Changes()
    done = slipway.run(file("{protocol: udp, ports: 80}")).changes
    assert (done.changed, done.kept) == (("security group web",), ())
    (group,) = slipway.network.list_security_groups(name="web")
    told = sorted((rule.direction, rule.protocol or "", rule.remote_group_id is not None) for rule in group.rules)
    assert told == [("egress", "", False), ("egress", "", False), ("ingress", "", True), ("ingress", "udp", False)]
    assert slipway.run(file("{protocol: udp, ports: 80}")).changes == Changes()


def test_a_group_that_no_run_made_keeps_its_rules(slipway: Orchestrator) -> None:
    slipway.network.create_security_group(name="web")
    (kept,) = slipway.run(file("{protocol: udp, ports: 80}")).changes.kept
    assert kept == ("security group web: rules stays no rules (the file says ingress IPv4 udp 80): no stack made it")

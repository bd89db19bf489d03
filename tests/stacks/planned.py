"""A run file of which each part can be said otherwise, for tests of plans."""

from __future__ import annotations

from typing import Any

from slipway import Orchestrator
from slipway.runfile import RunFile, loads
from slipway.stacks.plan import ACTS, Change, How, Plan

HOST = "{vcpus: 8, memory: 16GiB, disk: 100GiB}"
FILE = """
schema: 1
project: p
hosts: {{a: {host}{hosts}}}
networks:
  net: {{{network}subnets: {{sub: {{{subnet}}}{subnets}}}, ports: {{spare: {{{port}}}}}}}
  {networks}
flavors: {{s: {{{flavor}}}, t: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{i: {{{image}}}, j: {{kernel: ./k}}}}
server_groups: {{apart: {{policy: anti-affinity}}, soft: {{policy: soft-affinity}}}}
security_groups: {{web: {{rules: [{rules}]}}, other: {{rules: []}}}}
instances:
  web: {{flavor: {has_flavor}, image: {has_image}, networks: [{nics}]{more}}}
  {instances}
{end}
"""
SAYS = {
    "host": HOST,
    "hosts": "",
    "network": "",
    "subnet": "cidr: 10.0.0.0/24",
    "subnets": "",
    "port": "fixed_ip: 10.0.0.99",
    "networks": "",
    "flavor": "vcpus: 1, memory: 512MiB, disk: 2GiB",
    "image": "kernel: ./k",
    "rules": "{protocol: tcp, ports: 80}",
    "has_flavor": "s",
    "has_image": "i",
    "nics": "net",
    "more": "",
    "instances": "",
    "end": "",
}


def file(**says: str) -> RunFile:
    """The run file of a stack `mine`, with what is said otherwise."""
    return loads(FILE.format(**{**SAYS, **says}), "mine.yaml")


def done(plan: Plan) -> dict[str, How]:
    """What would be done, by label."""
    return {change.label: change.how for change in plan.changes if change.how in ACTS}


def of(plan: Plan, label: str) -> Change:
    """The change of a thing."""
    (found,) = (change for change in plan.changes if change.label == label)
    return found


def agreed(slipway: Orchestrator, wanted: RunFile, **how: Any) -> Any:
    """The result of a run to which somebody has agreed, after which nothing is left to do but what stays."""
    result = slipway.run(wanted, yes=True, **how)
    assert slipway.audit() == ()
    assert done(slipway.plan(wanted, **how)) == {}
    return result

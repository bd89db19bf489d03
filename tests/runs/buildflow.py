"""Workflows of an instance's build that have more in them than the build, and where they are carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from slipway.flows.loader import find_definition
from slipway.runfile import RunFile, loads

FILE = """
schema: 1
hosts:
  node-1: {{vcpus: 8, memory: 32GiB, disk: 500GiB, compute: sim, simulate: {{{simulate}}}}}
  node-2: {{vcpus: 4, memory: 16GiB, disk: 500GiB, compute: sim}}
networks: {{net: {{subnets: {{subnet: {{cidr: 192.168.0.0/24}}}}}}}}
flavors: {{small: {{vcpus: 1, memory: 512MiB, disk: 2GiB}}}}
images: {{tiny: {{path: ./tiny.qcow2, format: qcow2}}}}
instances: {{web: {{flavor: small, image: tiny, networks: [net]}}}}
workflow: {flow}
"""


ADDRESS = "${{ steps.bindings.outputs[0].fixed_ips[0].ip_address }}"


URL = "${{ inputs.dns }}/records/${{ inputs.instance.name }}/"


def record(by: str = ADDRESS, **more: Any) -> dict[str, Any]:
    """A step that has the instance's name and first address recorded, and taken back `by` the address."""
    back = {"method": "DELETE", "url": URL + by, "expect": [200, 204, 404]}
    return {
        "id": "record",
        "uses": "http",
        "with": {"method": "PUT", "url": URL + ADDRESS, "json": {"a": ADDRESS}},
        "revert": {"uses": "http", "with": back},
        **more,
    }


def flow_of(path: Path, dns: str, *steps: dict[str, Any], before: str = "spawn", last: Any = None, **more: Any) -> Path:
    """The build as it comes along, one step after the other, with these before one of its own; `more` stands beside.

    They have the URL of a service as the input `dns`. `last`: the step at the end.
    """
    text = yaml.safe_load(find_definition("build-instance").read_text())
    at = next(number for number, step in enumerate(text["steps"]) if step["id"] == before)
    text["steps"][at:at] = steps
    for number, step in enumerate(text["steps"]):
        step["needs"] = [text["steps"][number - 1]["id"]] if number else []
    text["inputs"]["dns"] = {"type": "string", "default": dns}
    if last is not None:
        text["finally"] = [last] if isinstance(last, dict) else last
    path.write_text(yaml.safe_dump({**text, "name": "mine", **more}, sort_keys=False))
    return path


def run_file(flow: Path, simulate: str = "") -> RunFile:
    """One instance that is built by the workflow."""
    return loads(FILE.format(simulate=simulate, flow=flow), str(flow.with_name("run.yaml")))

"""`slipway quota` for instances, beside those of the network service."""

from __future__ import annotations

import json
from collections.abc import Callable

from click.testing import Result

Call = Callable[..., Result]
FileWriter = Callable[..., str]


def test_quotas_of_instances(slipway: Call, run_file: FileWriter) -> None:
    scope = ("--project", "demo")
    done = slipway("quota", "set", *scope, "--instances", "1", "--memory", "4GiB", "--port", "7", "--output", "json")
    said = json.loads(done.stdout)
    assert (said["instances"], said["vcpus"], said["memory"], said["port"]) == (1, -1, 4 * 1024**3, 7)
    assert said["used"]["instances"] == 0
    done = slipway("run", run_file())
    assert done.exit_code == 1
    assert "project demo: quota exceeded: 1 more of instances wanted, 1 of 1 used" in done.stdout
    shown = slipway("quota", "show", *scope).stdout
    assert [line.split() for line in shown.splitlines()[2:4]] == [["instances", "1", "1"], ["vcpus", "none", "1"]]
    assert "4 GiB" in shown
    assert [one["project_id"] for one in json.loads(slipway("quota", "list", "--output", "json").stdout)] == ["demo"]
    refused = slipway("quota", "set", *scope, "--instances", "0")
    assert (refused.exit_code, refused.stderr) == (
        2,
        "slipway: instances: 0 is less than the 1 that project demo has\n",
    )
    assert slipway("quota", "set", *scope, "--instances", "0", "--force").exit_code == 0
    assert json.loads(slipway("quota", "delete", *scope, "--output", "json").stdout)["instances"] == -1
    assert slipway("run", run_file()).exit_code == 0
    assert slipway("audit").exit_code == 0


def test_of_what_is_set_together_all_is_or_nothing(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file(project="default")).exit_code == 0
    refused = slipway("quota", "set", "--instances", "5", "--port", "0")
    assert refused.exit_code == 1
    assert json.loads(slipway("quota", "show", "--output", "json").stdout)["instances"] == -1
    wrong = slipway("quota", "set", "--memory", "64 GB")
    assert (wrong.exit_code, "did you mean 64GiB?" in wrong.stderr) == (2, True)

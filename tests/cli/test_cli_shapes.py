"""What commands write with `--output json` is what their JSON Schemas say: no member less, and none left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import Result
from jsonschema import Draft202012Validator

from slipway.cli.shapes import COMMANDS, LINES, schema_of

Call = Callable[..., Result]
FileWriter = Callable[..., str]

OPEN = {"EndedInstance"}
"""Shapes of which those that are there have more."""


def check(command: str, done: Result) -> list[Any]:
    """Validate what was written; gives it, a value a line."""
    schema = schema_of(command)
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    values = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(values) == 1 or command in LINES
    for value in values:
        validator.validate(value)
        assert list(unsaid(schema, schema, value)) == []
    return values


def unsaid(schema: dict[str, Any], shape: dict[str, Any], value: Any) -> Iterator[str]:
    """Members of a value that its schema does not have."""
    if "$ref" in shape:
        shape = schema["$defs"][shape["$ref"].rpartition("/")[2]]
    if "anyOf" in shape:
        fitting = [
            one for one in shape["anyOf"] if Draft202012Validator({**one, "$defs": schema["$defs"]}).is_valid(value)
        ]
        yield from unsaid(schema, fitting[0], value)
    elif isinstance(value, dict) and "properties" in shape and shape["title"] not in OPEN:
        yield from (f"{shape['title']}.{name}" for name in value.keys() - shape["properties"].keys())
        for name in value.keys() & shape["properties"].keys():
            yield from unsaid(schema, shape["properties"][name], value[name])
    elif isinstance(value, list) and isinstance(shape.get("items"), dict):
        for one in value:
            yield from unsaid(schema, shape["items"], one)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_schema_is_one_and_is_printed(command: str, slipway: Call) -> None:
    printed = json.loads(slipway("schema", "--of", command).stdout)
    Draft202012Validator.check_schema(printed)
    assert printed == json.loads(json.dumps(schema_of(command)))


def test_what_is_written_is_as_the_schemas_say(slipway: Call, run_file: FileWriter) -> None:
    file = run_file()
    for words, command in (
        (("run", file), "run"),
        (("list",), "list"),
        (("show", "web"), "show"),
        (("stop", "web"), "stop"),
        (("start", "web"), "start"),
        (("reboot", "web"), "reboot"),
        (("reboot", "web", "gate"), "reboot"),
        (("runs", "list"), "runs list"),
        (("events",), "events"),
        (("timeline", "web"), "timeline"),
        (("graph", "--instance", "web"), "graph"),
        (("audit",), "audit"),
        (("metrics",), "metrics"),
        (("workers",), "workers"),
        (("db", "check"), "db check"),
        (("db", "upgrade"), "db upgrade"),
        (("db", "history"), "db history"),
        (("quota", "show"), "quota show"),
        (("quota", "set", "--instances", "9"), "quota set"),
        (("quota", "list"), "quota list"),
        (("delete", "web"), "delete"),
        (("history",), "history"),
        (("list", "--deleted"), "list"),
        (("resume",), "resume"),
        (("destroy", file), "destroy"),
        (("runs", "prune", "--older-than", "1d"), "runs prune"),
        (("prune", "--older-than", "0s"), "prune"),
        (("show", "nobody"), "error"),
        (("list", "--nope"), "error"),
    ):
        assert check(command, slipway(*words, "--output", "json")), words


def test_a_run_and_its_steps(slipway: Call, run_file: FileWriter) -> None:
    assert slipway("run", run_file()).exit_code == 0
    (runs,) = check("runs list", slipway("runs", "list", "--output", "json"))
    check("runs show", slipway("runs", "show", runs[0]["id"], "--output", "json"))


def test_failures_findings_and_what_is_stuck(slipway: Call, run_file: FileWriter) -> None:
    check("run", slipway("run", run_file("fail: [spawn, delete_disk]"), "--output", "json"))
    (found,) = check("audit", slipway("audit", "--output", "json"))
    assert found
    check("list", slipway("list", "--output", "json"))
    check("show", slipway("show", "web", "--output", "json"))
    check("error", slipway("run", "/nowhere.yaml", "--output", "json"))


def test_routers_and_floating_ips(slipway: Call) -> None:
    for words in (
        "network create public --router-external",
        "subnet create public-4 --network public --cidr 203.0.113.0/24",
        "network create inside",
        "subnet create inside-4 --network inside --cidr 10.0.0.0/24",
        "port create web --network inside",
        "port create second --network inside",
    ):
        assert slipway(*words.split()).exit_code == 0, words
    for words in (
        "router create edge --external-network public",
        "router add-subnet edge inside-4",
        "router create other",
        "router add-port other second",
        "router set edge --route destination=10.9.0.0/16,nexthop=10.0.0.7",
        "router list",
        "router show edge",
        "router unset edge --route destination=10.9.0.0/16,nexthop=10.0.0.7",
        "floating-ip create public --port web --address 203.0.113.50",
        "floating-ip set 203.0.113.50 --port web",
        "floating-ip unset 203.0.113.50",
        "floating-ip forward add 203.0.113.50 --port web --external-port 80 --internal-port 8080",
        "floating-ip list",
        "floating-ip show 203.0.113.50",
    ):
        (value,) = check(_command(words), slipway(*words.split(), "--output", "json"))
    (forwarding,) = value["port_forwardings"]
    for words in (
        f"floating-ip forward remove 203.0.113.50 {forwarding['id']}",
        "floating-ip delete 203.0.113.50",
        "router remove-port other second",
        "router remove-subnet edge inside-4",
        "router delete other edge",
    ):
        assert check(_command(words), slipway(*words.split(), "--output", "json")), words


def _command(words: str) -> str:
    return max((one for one in COMMANDS if f"{words} ".startswith(f"{one} ")), key=len)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "name a kind of file, run or workflow, or a command with --of"),
        (("run", "--of", "list"), "name a kind of file"),
        (("--of", "lsit"), "there is no schema of 'lsit', did you mean \"list\"?"),
    ],
)
def test_bad_usage(words: tuple[str, ...], text: str, slipway: Call) -> None:
    done = slipway("schema", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr

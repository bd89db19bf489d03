from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import InvalidRequest
from slipway.flows.definition import InputDefinition
from slipway.flows.inputs import checked_inputs
from slipway.flows.inputtypes import TYPES
from slipway.texts import Secret

DEFINITIONS = (
    InputDefinition("zone", "string", default="example.org", minimum=1),
    InputDefinition("count", "integer", required=True, minimum=0, maximum=10),
    InputDefinition("ratio", "number", minimum=0.5),
    InputDefinition("on", "boolean"),
    InputDefinition("memory", "size", minimum=2**27),
    InputDefinition("wait", "duration", default=30.0, maximum=3600),
    InputDefinition("at", "address"),
    InputDefinition("net", "cidr"),
    InputDefinition("mac", "mac"),
    InputDefinition("vm", "instance"),
    InputDefinition("names", "list", maximum=2),
    InputDefinition("tags", "map"),
    InputDefinition("password", "secret", minimum=8),
    InputDefinition("color", "string", enum=("red", "green")),
    InputDefinition("code", "string", pattern="[a-z]+"),
    InputDefinition("slow", "string", pattern="(a+)+"),
)
BAD = Path(__file__).with_name("bad_inputs.txt").read_text()


def _cases() -> list[tuple[str, str, str]]:
    blocks = [block.partition("\n") for block in BAD.split("=== ")[1:]]
    return [(name, *rest.partition(">>>\n")[::2]) for name, _, rest in blocks]


@pytest.mark.parametrize(("texts", "expected"), [case[1:] for case in _cases()], ids=[case[0] for case in _cases()])
def test_wrong_texts_are_told_all_at_once(texts: str, expected: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidRequest) as caught:
        checked_inputs(DEFINITIONS, texts=texts.splitlines())
    assert "".join(f"{problem}\n" for problem in caught.value.problems) == expected
    assert time.process_time() - began < 1


def test_every_type_is_read_from_a_text() -> None:
    texts = (
        "zone=a=b", "count=0x0A", "ratio=1e1", "on=true", "memory=1GiB", "wait=500ms", "at=2001:DB8::1",
        "net=10.0.0.0/8", "mac=FA-16-3E-00-00-01", "vm=web-1", "names=[a, {b: 1}]", "tags={a: no}",
        "password=hunter2hunter2",
        "color=red", "code=abc",
    )  # fmt: skip
    found = checked_inputs(DEFINITIONS, texts=texts)
    assert found == {
        "zone": "a=b", "count": 10, "ratio": 10.0, "on": True, "memory": 2**30, "wait": 0.5, "at": "2001:db8::1",
        "net": "10.0.0.0/8", "mac": "fa:16:3e:00:00:01", "vm": "web-1", "names": ["a", {"b": 1}], "tags": {"a": "no"},
        "password": "hunter2hunter2", "color": "red", "code": "abc", "slow": None,
    }  # fmt: skip
    assert {definition.type for definition in DEFINITIONS} == set(TYPES)
    assert "hunter2" not in repr(found)


def test_python_gives_values_and_what_is_not_given_has_its_default() -> None:
    values = {
        "count": 1,
        "memory": 2**28,
        "wait": timedelta(minutes=1),
        "names": ("a",),
        "password": Secret("hunter2hunter2"),
    }
    found = checked_inputs(DEFINITIONS, values=values)
    assert (found["memory"], found["wait"], found["names"], found["zone"], found["on"]) == (
        2**28,
        60.0,
        ["a"],
        "example.org",
        None,
    )
    assert isinstance(found["password"], Secret)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"count": True}, "count: must be an integer, not true"),
        ({"count": 2**70}, "count: is out of bounds: integers go to 9223372036854775807"),
        ({"count": 1, "ratio": float("inf")}, "ratio: must be a number, not inf"),
        ({"count": 1, "zone": 5}, "zone: must be a text, not 5"),
        ({"count": 1, "zone": "a\0b"}, "zone: is wrong: character U+0000 is not allowed in a text"),
        ({"count": 1, "memory": -1}, "memory: must be a size with a unit, such as 512MiB, not -1"),
        ({"count": 1, "names": "abc"}, 'names: must be a list, not "abc"'),
        ({"count": 1, "names": [object()]}, "names: has a object in it, which no input may have"),
        ({"count": 1, "tags": {1: 2}}, "tags: must have texts for keys"),
        ({"count": None}, "count: must be an integer, not empty"),
        ({"count": 1, "password": 12345678}, "password: must be a text"),
        ({"count": 1, "vm": object()}, "vm: must be the name of an instance, not a object"),
    ],
)
def test_wrong_values_of_python(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked_inputs(DEFINITIONS, values=values)
    assert caught.value.problems == (problem,)


def test_a_file_has_places_and_texts_count_more(tmp_path: Path) -> None:
    file = tmp_path / "in.yaml"
    file.write_text("count: 3\nmemory: 1GiB\nmac: fa:16:3e:00:00:01\nnames: [a]\non: null\n")
    found = checked_inputs(DEFINITIONS, file=file, texts=["count=4"])
    assert (found["count"], found["memory"], found["mac"], found["names"], found["on"]) == (
        4,
        2**30,
        "fa:16:3e:00:00:01",
        ["a"],
        None,
    )
    file.write_text("count: three\nzoen: a\nwait: 30\nnames: [&a x]\ntags: *a\npassword: short\n")
    with pytest.raises(InvalidRequest) as caught:
        checked_inputs(DEFINITIONS, file=file, texts=["color=blue"])
    assert [problem.removeprefix(f"{file}:") for problem in caught.value.problems] == [
        '1:8: count must be an integer, not "three"',
        '2:1: unknown input "zoen", did you mean "zone"?',
        '3:7: wait must be a duration with a unit, such as 30s, not "30"',
        "4:9: anchors (&a) are not allowed",
        "5:7: aliases (*a) are not allowed: write the value out",
        "6:11: password must have at least 8 characters, not 5",
        'color: must be one of "red", "green", not "blue"',
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"- a\n", ":1:1: the file must be a mapping of inputs, not a list"),
        (b"", ": the file is empty"),
        (b"count: \xff\n", ":1:8: the file is not UTF-8 (byte 0xff)"),
        (b"count: [" * 40, ":1:129: nested more than 32 levels deep"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "in.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest) as caught:
        checked_inputs(DEFINITIONS, file=file, values={"count": 1})
    assert caught.value.problems == (f"{file}{problem}",)
    with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
        checked_inputs(DEFINITIONS, file=tmp_path / "none.yaml", values={"count": 1})

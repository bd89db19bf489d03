from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import slipway.runfile
from slipway.errors import InvalidFile
from slipway.runfile import RunFile, loads

SCHEMA = json.loads(Path(slipway.runfile.__file__).with_name("schema.json").read_text())
BAD = Path(__file__).with_name("bad_run_files.txt").read_text()
QUICK = settings(max_examples=200, deadline=20_000, suppress_health_check=[HealthCheck.too_slow])
JUNK = st.sampled_from(["", "\n", "é", "a b", 0, -1, 2**63, 1.5, True, False, None, [], {}, [1], {"a": 1}])
NAMES = st.sampled_from(["a", "b", "a-1", "web"])
BY_FORMAT: dict[str, list[Any]] = {
    "slipway-address": ["10.0.0.1", "10.0.0.5", "10.0.0.255", "::1", "2001:db8::5", "2001:DB8:0::5"],
    "slipway-cidr": ["10.0.0.0/24", "10.0.0.0/31", "10.0.0.5/32", "10.0.0.0/16", "2001:db8::/64", "::/0", "0.0.0.0/0"],
    "slipway-duration": ["30s", "0s", "1.5h"],
    "slipway-duration-above-zero": ["30s", "0s", "5d"],
    "slipway-mac": ["fa:16:3e:00:00:01", "FA-16-3E-00-00-01", "01:00:00:00:00:00"],
    "slipway-ports": [80, "80", "80-90", "90-80"],
    "slipway-protocol": ["tcp", "ipv6-icmp", 6, "255"],
    "slipway-range": ["10.0.0.5-10.0.0.9", "10.0.0.0-10.0.0.255", "2001:db8::1-2001:db8::2"],
    "slipway-size": ["512MiB", "0B", "7PB", "99999PiB"],
    "slipway-size-above-zero": ["512MiB", "0B", "0.5KiB"],
}
BY_TYPE: dict[str, list[Any]] = {
    "string": ["a", "b", "a-1", "web", "build-instance", "sim"],
    "integer": [1, 2, 68],
    "number": [1, 0.5],
}


def _loads_or_is_refused(text: str) -> None:
    try:
        loaded: RunFile | tuple[str, ...] = loads(text, "f")
    except InvalidFile as error:
        loaded = error.problems
    if isinstance(loaded, tuple):
        assert loaded
        assert all(problem.startswith("f:") and problem.isprintable() for problem in loaded)


def _like(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that mostly are what the schema wants, so that the checks behind it are reached, and sometimes not."""
    good = _wanted(schema)
    return st.integers(0, 39).flatmap(lambda number: JUNK if number == 39 else good)


def _wanted(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    choices: list[st.SearchStrategy[Any]] = []
    types = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    if "const" in schema or "enum" in schema:
        choices.append(st.sampled_from(schema.get("enum", [schema.get("const")])))
    if "properties" in schema:
        properties = {key: _like(value) for key, value in schema["properties"].items()}
        needed = {key: properties.pop(key) for key in schema.get("required", ())}
        choices.append(st.fixed_dictionaries(needed, optional=properties))
    elif "object" in types:
        choices.append(st.dictionaries(NAMES, _like(schema["additionalProperties"]), min_size=1, max_size=3))
    if "items" in schema:
        choices.append(st.lists(_like(schema["items"]), max_size=3))
    if "format" in schema:
        choices.append(st.sampled_from(BY_FORMAT[schema["format"]]))
    elif "boolean" in types:
        choices.append(st.booleans())
    else:
        choices += [st.sampled_from(BY_TYPE[name]) for name in types if name in BY_TYPE]
    return st.one_of(choices)


@QUICK
@given(st.text())
@example("&")
@example("\ud800")
@example("? ")
@example("a: !")
@example("%")
def test_any_text(text: str) -> None:
    _loads_or_is_refused(text)


@QUICK
@given(st.integers(0, len(BAD)), st.integers(0, 300), st.text("abc01 :-[]{},\n\t\"'&*!#|>%@?~\x00", max_size=5))
def test_pieces_of_run_files(start: int, length: int, inserted: str) -> None:
    piece = BAD[start : start + length]
    _loads_or_is_refused(piece[: length // 2] + inserted + piece[length // 2 :])


@QUICK
@given(_like(SCHEMA))
def test_trees_that_nearly_fit_the_schema(tree: Any) -> None:
    _loads_or_is_refused(json.dumps(tree))

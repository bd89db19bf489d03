"""The schema that editors use and the records that programs make say the same of what a value may be."""

from __future__ import annotations

import json
from enum import Enum
from importlib import resources
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest

from slipway.model.limits import AtMost, Between, Matching, OneOf
from slipway.model.request import Flavor, Host, Image, InstanceRequest, NetworkRequest, ServerGroup, Simulation
from slipway.runfile.entries import NetworkEntry, PortEntry
from slipway.settings import Settings

SCHEMA = json.loads(resources.files("slipway.runfile").joinpath("schema.json").read_text())
RECORDS = {
    "flavor": Flavor,
    "host": Host,
    "image": Image,
    "instance": InstanceRequest,
    "network": NetworkEntry,
    "port": PortEntry,
    "server_group": ServerGroup,
    "settings": Settings,
    "simulation": Simulation,
}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def bare(pattern: str) -> str:
    return pattern.removeprefix("^").removesuffix("$")


def said_by_the_schema(schema: dict[str, Any]) -> set[Any]:
    schema = resolved(schema)
    types = schema.get("type", ())
    said: set[Any] = set()
    if types in ("integer", "number") or types == ["integer", "null"]:
        above = "exclusiveMinimum" in schema
        low = schema.get("exclusiveMinimum" if above else "minimum")
        said.add(Between(low, schema.get("maximum"), above))
    if "enum" in schema and schema["enum"] != ["2MiB", "1GiB"]:
        said.add(tuple(schema["enum"]))
    if types == "string" and "pattern" in schema and "format" not in schema:
        said.add(bare(schema["pattern"]))
    if "maxItems" in schema:
        said.add(AtMost(schema["maxItems"]))
    if isinstance(schema.get("items"), dict):
        said |= {one for one in said_by_the_schema(schema["items"]) if types == "array"}
    return said


def said_by_the_record(hint: Any) -> set[Any]:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        said = said_by_the_record(parts[0])
        for limit in parts[1:]:
            if isinstance(limit, (Between, AtMost)):
                said.add(limit)
            elif isinstance(limit, OneOf):
                said.add(limit.values)
            elif isinstance(limit, Matching):
                said.add(bare(limit.pattern))
        return said
    if origin in (Union, UnionType, tuple):
        return set().union(*(said_by_the_record(part) for part in parts if part is not ...))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {tuple(one.value for one in hint)}
    return set()


CASES = [
    (record, name)
    for record, kind in RECORDS.items()
    for name in SCHEMA["$defs"][record]["properties"]
    if name in kind.__struct_fields__ and said_by_the_schema(SCHEMA["$defs"][record]["properties"][name])
]


@pytest.mark.parametrize(("record", "name"), CASES)
def test_the_schema_and_the_record_say_the_same(record: str, name: str) -> None:
    schema = said_by_the_schema(SCHEMA["$defs"][record]["properties"][name])
    hints = get_type_hints(RECORDS[record], include_extras=True)
    said = said_by_the_record(hints[name])
    # The record's number has a largest value where the schema leaves it to the largest that a file may have.
    said = {Between(one.low, None, one.above) if _endless(one, schema) else one for one in said}
    # None of a flavor's cells is 0, of which a file says nothing.
    said = {Between(1, 64) if one == Between(0, 64) and name == "numa_cells" else one for one in said}
    assert schema <= said


def _endless(limit: object, schema: set[Any]) -> bool:
    return isinstance(limit, Between) and Between(limit.low, None, limit.above) in schema


def test_enough_is_compared() -> None:
    assert len(CASES) > 30
    assert NetworkRequest.__struct_fields__ == ("network", "fixed_ip", "port")

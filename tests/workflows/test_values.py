from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from msgspec import Struct

from slipway.errors import AbortBuild, ExpressionFailed
from slipway.flows.definition import Cel, ListValue, MapValue, Reference, Template, Value
from slipway.flows.values import Scope, holds, items_of, resolve, resolve_all
from slipway.texts import Secret


class Nic(Struct, frozen=True):
    mac: str
    addresses: tuple[str, ...]

    def method(self) -> str:
        return "never"


@dataclass
class Disk:
    size: int


class Pair(NamedTuple):
    left: int
    right: int


SCOPE = Scope(
    outputs={
        "nics": (Nic("fa:16:3e:00:00:01", ("10.0.0.2",)), Nic("fa:16:3e:00:00:02", ())),
        "disk": Disk(5),
        "pair": Pair(1, 2),
        "a-b": {"k-1": [{"x": 1}]},
        "skipped": None,
        "gone": None,
    },
    inputs={"zone": "example.org", "count": 3, "ratio": 1.5, "none": None, "on": True, "password": Secret("hunter2")},
    statuses={"nics": "succeeded", "skipped": "skipped", "gone": "failed"},
    item={"name": "web"},
    index=4,
    run_id="r-1",
    run_name="dns",
)


def path(text: str) -> Reference:
    return Reference(tuple(text.split("/")))


def cel(text: str) -> Cel:
    from slipway.flows.celtext import paths_in

    return Cel(text, tuple(Reference(found.parts) for found in paths_in(text)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("plain", "plain"),
        (path("steps/nics/outputs/0/mac"), "fa:16:3e:00:00:01"),
        (path("steps/nics/outputs/1/addresses"), ()),
        (path("steps/disk/outputs/size"), 5),
        (path("steps/pair/outputs/right"), 2),
        (path("steps/pair/outputs/0"), 1),
        (path("steps/a-b/outputs/k-1/0/x"), 1),
        (path("steps/skipped/outputs"), None),
        (path("steps/skipped/status"), "skipped"),
        (path("steps/disk/status"), "succeeded"),
        (path("inputs/count"), 3),
        (path("item/name"), "web"),
        (path("index"), 4),
        (path("run/id"), "r-1"),
        (path("run/name"), "dns"),
        (cel("inputs.count + 1"), 4),
        (cel("steps.nics.outputs.map(n, n.mac)"), ["fa:16:3e:00:00:01", "fa:16:3e:00:00:02"]),
        (cel("steps['a-b'].outputs['k-1'][0].x == 1 && has(inputs.zone) && !has(steps.pair.outputs.x)"), True),
        (cel("steps.skipped.outputs == null ? 'none' : 'some'"), "none"),
        (cel("{'a': [inputs.ratio, null]}"), {"a": [1.5, None]}),
        (Template(("http://", path("inputs/zone"), "/", cel("inputs.count * 2"))), "http://example.org/6"),
        (Template((path("inputs/on"), " ", path("inputs/ratio"), " ", path("steps/pair/outputs/0"))), "true 1.5 1"),
        (Template(("nets: ", path("steps/nics/outputs/0/addresses"))), 'nets: ["10.0.0.2"]'),
        (ListValue((1, path("inputs/count"), MapValue((("k", path("index")),)))), [1, 3, {"k": 4}]),
    ],
)  # fmt: skip
def test_a_value_stands_for(value: Value, expected: object) -> None:
    found = resolve(value, SCOPE)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (path("steps/nics/outputs/2"), "${{ steps.nics.outputs[2] }}: there is no item 2 in a list of 2"),
        (path("steps/nics/outputs/0/method"), '${{ steps.nics.outputs[0].method }}: there is no "method" in a Nic'),
        (path("steps/nics/outputs/count"), '${{ steps.nics.outputs.count }}: there is no "count" in a list of 2'),
        (path("steps/a-b/outputs/keys"), '${{ steps["a-b"].outputs.keys }}: there is no "keys" in a mapping'),
        (path("inputs/zone/upper"), '${{ inputs.zone.upper }}: there is no "upper" in a text'),
        (path("inputs/password/upper"), '${{ inputs.password.upper }}: there is no "upper" in a text'),
        (
            path("steps/skipped/outputs/x"),
            "${{ steps.skipped.outputs.x }}: step skipped has no outputs: it was skipped",
        ),
        (path("steps/gone/outputs/x"), "${{ steps.gone.outputs.x }}: step gone has no outputs: it failed"),
        (path("steps/later/outputs"), "${{ steps.later.outputs }}: step later has not ended"),
        (path("inputs/nothing"), "${{ inputs.nothing }}: there is no inputs.nothing"),
        (path("inputs/none/x"), '${{ inputs.none.x }}: what should have "x" is null'),
        (Template(("a", path("inputs/none"))), "${{ inputs.none }} is null, which cannot be put into a text"),
        (cel("inputs.count + inputs.ratio"), "${{ inputs.count + inputs.ratio }}: + cannot take integer and number"),
        (cel("inputs.zone.x"), "${{ inputs.zone.x }}: what something is asked of is null, or no mapping"),
        (cel("steps.pair.outputs.x"), '${{ steps.pair.outputs.x }}: there is no "x" in the mapping'),
        (cel("steps.later.outputs == 1"), "${{ steps.later.outputs }}: step later has not ended"),
        (cel("inputs.password + 1"), "${{ inputs.password + 1 }}: it failed"),
    ],
)  # fmt: skip
def test_what_stands_for_nothing_is_named(value: Value, message: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        resolve(value, SCOPE)
    assert str(caught.value) == message
    assert isinstance(caught.value, AbortBuild)


def test_an_argument_says_where_it_stands() -> None:
    with pytest.raises(ExpressionFailed, match=r"^w\.yaml:3:5: url: \$\{\{ inputs\.nothing \}\}: there is no inputs"):
        resolve_all((("url", path("inputs/nothing")),), SCOPE, "w.yaml:3:5")


def test_a_build_has_its_instance_for_every_input() -> None:
    scope = Scope({}, instance=Disk(7))
    assert resolve(path("inputs/instance/size"), scope) == 7
    assert resolve(cel("inputs.instance.size + 1"), scope) == 8


def test_conditions_are_true_or_false() -> None:
    assert holds(True, SCOPE)
    assert not holds(cel("inputs.count > 3"), SCOPE)
    with pytest.raises(
        ExpressionFailed, match=r"^w:1:1: if: \$\{\{ inputs\.count \}\} is neither true nor false, but an"
    ):
        holds(path("inputs/count"), SCOPE, "w:1:1")


def test_lists_and_mappings_are_gone_over() -> None:
    assert items_of(ListValue(("a", path("inputs/count"))), SCOPE) == [(0, "a"), (1, 3)]
    assert items_of(path("steps/a-b/outputs"), SCOPE) == [("k-1", [{"x": 1}])]
    with pytest.raises(ExpressionFailed, match=r"^for_each: .* is neither a list nor a mapping, but a text$"):
        items_of(path("inputs/zone"), SCOPE)


@pytest.mark.parametrize(
    "value",
    [
        path("inputs/password"),
        Template(("user:", path("inputs/password"))),
        cel("inputs.password + '!'"),
        cel("[{'header': 'Bearer ' + inputs.password}]"),
        cel("inputs.map(k, inputs[k]).size() > 0 ? string(inputs.password) : ''"),
    ],
)
def test_what_is_made_of_a_secret_is_one(value: Value) -> None:
    found = resolve(value, SCOPE)
    assert "hunter2" not in repr(found)
    assert "***" in repr(found)


def test_an_error_about_a_secret_does_not_show_it() -> None:
    scope = Scope({}, inputs={"m": {}, "password": Secret("hunter2")})
    for text in ("inputs.m[inputs.password]", "int(inputs.password)", "inputs.password.matches('(' + inputs.password)"):
        with pytest.raises(ExpressionFailed) as caught:
            resolve(cel(text), scope)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_what_expressions_cannot_take_is_said() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    wrong = {
        "a": (2**63, "inputs.a has an integer of more than 64 bits in it, which no expression can take"),
        "b": (b"x", "inputs.b has bytes in it, which no expression can take"),
        "c": (object(), "inputs.c has a object in it, which no expression can take"),
        "d": (deep, "inputs.d has a value that is nested more than 64 levels deep in it, which no expression can take"),
        "e": (list(range(300_000)), "inputs.e has more than 200000 values in it, which no expression can take"),
    }
    for name, (value, message) in wrong.items():
        with pytest.raises(ExpressionFailed) as caught:
            resolve(cel(f"inputs.{name} == 1"), Scope({}, inputs={name: value}))
        assert str(caught.value) == f"${{{{ inputs.{name} == 1 }}}}: {message}"

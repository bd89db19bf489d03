"""What expressions answer is pinned here, so that another release of the library does not change it unseen."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from slipway.errors import ExpressionFailed
from slipway.flows.celtext import paths_in
from slipway.flows.expressions import check, evaluate

X: tuple[str, ...] = ("inputs", "x")

ANSWERS: list[tuple[str, Any, object]] = [
    # numbers
    ("1 + 2 * 3 - 4 / 2 % 3", None, 5),
    ("inputs.x / 2", -3, -1),
    ("inputs.x % 2", -3, -1),
    ("inputs.x + 1", 2**63 - 2, 2**63 - 1),
    ("inputs.x + 1", 2**63 - 1, "integer overflow"),
    ("-inputs.x", -(2**63), "integer overflow"),
    ("inputs.x * inputs.x", 2**62, "integer overflow"),
    ("inputs.x", 2**63, "inputs.x has an integer of more than 64 bits in it, which no expression can take"),
    ("inputs.x", 10**400, "inputs.x has an integer of more than 64 bits in it, which no expression can take"),
    ("inputs.x / 0", 1, "divide by zero"),
    ("inputs.x % 0", 1, "modulus by zero"),
    ("1.0 / 0.0 > 1e308", None, True),
    ("inputs.x > 1.5", 2, True),
    ("inputs.x == 2.0", 2, True),
    ("inputs.x == 2u", 2, True),
    ("inputs.x + 1.5", 1, "+ cannot take integer and number"),
    ("inputs.x + 1u", 1, "+ cannot take integer and uint"),
    ("double(inputs.x) + 1.5", 1, 2.5),
    ("int(inputs.x)", 1.9, 1),
    ("int(inputs.x)", "12", 12),
    ("int(inputs.x)", "0x10", "cannot convert string to int"),
    ("0x1F", None, 31),
    # texts
    ("size(inputs.x)", "é", 1),
    ("size(inputs.x)", "\N{GRINNING FACE}", 1),
    ("inputs.x + 'b'", "a", "ab"),
    ("inputs.x + 1", "a", "+ cannot take string and integer"),
    ("string(inputs.x)", 1, "1"),
    ("string(inputs.x)", 1.0, "1"),
    ("string(inputs.x)", True, "true"),
    ("inputs.x.contains('b') && inputs.x.startsWith('a') && inputs.x.endsWith('c')", "abc", True),
    ("inputs.x.matches('^a.c$')", "abc", True),
    ("inputs.x.matches('b')", "abc", True),
    ("inputs.x.matches('(')", "abc", "invalid regular expression: missing ): ("),
    ("inputs.x < 'b'", "a", True),
    ("inputs.x < 'b'", 1, "< cannot take integer and string"),
    ("inputs.x == 'a'", 1, False),
    ("r'\\d' + \"\\u00e9\" + '''a'''", None, "\\dé" + "a"),
    # truth and errors
    ("inputs.x ? 1 : 2", True, 1),
    ("inputs.x ? 1 : 2", 1, "a condition cannot take these types"),
    ("!inputs.x", 1, "! cannot take these types"),
    ("inputs.x && true", 1, "&& cannot take these types"),
    ("1 / inputs.x == 1 || true", 0, True),
    ("true || 1 / inputs.x == 1", 0, True),
    ("1 / inputs.x == 1 || false", 0, "divide by zero"),
    ("1 / inputs.x == 1 && false", 0, False),
    ("inputs.x.a == 1 || true", {}, True),
    # null, lists, mappings
    ("inputs.x == null", None, True),
    ("inputs.x.y", None, "what something is asked of is null, or no mapping"),
    ("inputs.x.y", {}, 'there is no "y" in the mapping'),
    ("inputs.x['y']", {}, 'there is no "y" in the mapping'),
    ("has(inputs.x.y)", {}, False),
    ("has(inputs.x.y)", {"y": None}, True),
    ("has(inputs.x.y.z)", {}, 'there is no "y" in the mapping'),
    ("inputs.x['a-b'] + inputs.x.`a-b`", {"a-b": 1}, 2),
    ("inputs.x[1]", (1, 2), 2),
    ("inputs.x[2]", [1, 2], "there is no item 2 in a list of 2"),
    ("inputs.x[-1]", [1, 2], "there is no item -1 in a list of 2"),
    ("'a' in inputs.x", {"a": 1}, True),
    ("1 in inputs.x", [1.0], True),
    ("inputs.x.map(i, i * 2)", [1, 2], [2, 4]),
    ("inputs.x.filter(i, i > 1)", [1, 2], [2]),
    ("inputs.x.all(i, i > 0) && inputs.x.exists(i, i == 2) && inputs.x.exists_one(i, i == 1)", [1, 2], True),
    ("inputs.x.map(k, k)", {"a": 1}, ["a"]),
    ("inputs.x + [3]", [1, 2], [1, 2, 3]),
    ("inputs.x == [1.0]", [1], True),
    ("{'a': inputs.x, 'b': {'c': null}}", 1, {"a": 1, "b": {"c": None}}),
    ("{1: inputs.x}", 1, "its result has a mapping with keys that are no texts"),
    # times and bytes
    ("duration('1h30m') > duration('60m')", None, True),
    ("duration('90s')", None, 90.0),
    ("duration('1d')", None, "string to Duration conversion failed"),
    ("timestamp('2026-01-01T00:00:00Z') + duration('1s')", None, "2026-01-01T00:00:01+00:00"),
    ("b'ab'", None, "it gives bytes, which is no value of a workflow"),
    ("type(1)", None, "it gives type, which is no value of a workflow"),
    ("string(b'\\xff')", None, "malformed UTF-8 bytes"),
    # Python objects are out of reach
    ("inputs.x.__class__", {}, 'there is no "__class__" in the mapping'),
    ("inputs.x.__class__", 1, "what something is asked of is null, or no mapping"),
    ("inputs.x.items()", {}, 'there is no function "items"'),
]


@pytest.mark.parametrize(
    ("text", "value", "expected"), ANSWERS, ids=[f"{text} {value}"[:60] for text, value, _ in ANSWERS]
)
def test_what_an_expression_answers(text: str, value: object, expected: object) -> None:
    try:
        found: object = evaluate(text, {X: value})
    except ExpressionFailed as error:
        found = str(error).removeprefix(f"${{{{ {text} }}}}: ")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 +", [(3, "the expression ends too early")]),
        ("", [(0, "the expression ends too early")]),
        ("inputs.a = 1", [(9, 'the expression has "=" where it does not belong: to compare write ==')]),
        ("inputs.a and 1", [(9, 'the expression has "and" where it does not belong: write &&')]),
        ("'abc", [(0, 'the expression has "\'abc" where it does not belong: a text is not closed')]),
        ("(1", [(2, "the expression ends too early")]),
        ("size(1 + [2]", [(12, "the expression ends too early")]),
        ("[1 2]", [(3, 'the expression has "2" where it does not belong')]),
        ("[1", [(2, "the expression ends too early")]),
        ("1 1", [(2, 'the expression has "1" where it does not belong')]),
        ("'\N{GRINNING FACE}' + imputs.a", [(6, 'unknown name "imputs"')]),
        ("1 +\n  sise('a')", [(6, 'there is no function "sise"')]),
        ("foo + bar", [(0, 'unknown name "foo"'), (6, 'unknown name "bar"')]),
        ("1 + 'a'", [(2, "+ cannot take integer and string")]),
        ("inputs.s + 1", [(9, "+ cannot take string and integer")]),
        ("inputs.n > 1.5", [(9, "> cannot take integer and number")]),
        ("has(inputs)", [(4, "has() argument must be a field selection")]),
        ("__import__('os')", [(0, 'there is no function "__import__"')]),
        ("99999999999999999999", [(0, "the integer has more than 64 bits")]),
        ("(" * 40 + "1" + ")" * 40, [(0, "the expression is nested too deep")]),
        ("+".join(["1"] * 40), [(0, "the expression is nested too deep")]),
        ("1" * 1001, [(0, "the expression is longer than 1000 characters")]),
        (
            "inputs.l" + ".map(a, a + a)" * 30,
            [(0, "the expression is refused: it has 30 of map, filter, all and exists: at most 4 are allowed")],
        ),
        (
            f"inputs.l.map(a, {'a + ' * 100}a).map(a, {'a + ' * 100}a)",
            [
                (
                    0,
                    "the expression is refused: it has 200 of + with 2 of map, filter, all and exists: it could grow "
                    "without bounds",
                )
            ],
        ),
    ],
)
def test_mistakes_are_seen_before_anything_runs(text: str, expected: list[tuple[int, str]]) -> None:
    found, _ = check(text, {"inputs.s": "string", "inputs.n": "integer", "inputs.l": "list"})
    assert [(mistake.start, mistake.text) for mistake in found] == expected


def test_what_is_known_of_types_is_used_and_has_still_asks() -> None:
    types = {"inputs.s": "string", "inputs.m": "map"}
    assert check("inputs.s + 'a'", types) == ([], "string")
    assert check("inputs.s != ''", types) == ([], "boolean")
    assert check("has(inputs.m.a) && inputs.m.a == 1", types) == ([], "boolean")
    assert check("inputs.m.a", types) == ([], "")


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("inputs.a.b[0]['c-d'] + steps.`x-y`.outputs", [("inputs", "a", "b", "0", "c-d"), ("steps", "x-y", "outputs")]),
        ("inputs.l.map(item, item.x + index) + [item]", [("inputs", "l"), ("index",), ("item",)]),
        ("item.filter(item, item > 1)", [("item",)]),
        ("'steps.a' + \"inputs.b\" // steps.c\n + .inputs.d", [("inputs", "d")]),
        ("x.inputs.a + inputs[run.id].y", [("inputs",), ("run", "id")]),
        ("inputs.a.size() + size(inputs.b)", [("inputs", "a"), ("inputs", "b")]),
        ("inputs.a ? steps.b.status : 'steps.c'", [("inputs", "a"), ("steps", "b", "status")]),
    ],
)
def test_the_paths_of_an_expression_are_found(text: str, paths: list[tuple[str, ...]]) -> None:
    assert [path.parts for path in paths_in(text)] == paths
    assert all(text[path.start :].startswith(path.parts[0]) for path in paths_in(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs.x.all(a, inputs.x.all(b, inputs.x.all(c, a + b + c >= 0)))", "it takes more than 10,000 iterations"),
        ("inputs.x.map(a, inputs.x.map(b, inputs.x.map(c, [a, b, c])))", "it takes more than 10,000 iterations"),
        ("inputs.x.map(a, inputs.x.map(b, string(a) + 'x'))", "it takes more than 10,000 iterations"),
        ("inputs.x.map(a, inputs.x + inputs.x)", "its result is larger than 200000 values"),
        ("inputs.t.matches('^(a+)+$') ? 1 : 1 / 0", "divide by zero"),
    ],
)
def test_what_would_run_for_long_ends_soon(text: str, message: str) -> None:
    began = time.process_time()
    with pytest.raises(ExpressionFailed, match=message):
        evaluate(text, {X: list(range(1000)), ("inputs", "t"): "a" * 40 + "b"})
    assert time.process_time() - began < 1


def test_a_result_is_bounded() -> None:
    with pytest.raises(ExpressionFailed, match="its result is larger than 200000 values or 16 MiB of text"):
        evaluate("inputs.x.map(a, inputs.y)", {X: list(range(100)), ("inputs", "y"): "x" * 1_000_000})


def test_the_library_is_loaded_only_for_expressions() -> None:
    code = (
        "import sys; from slipway.flows.definition import Reference; from slipway.flows.values import *; "
        "resolve(Reference(('inputs', 'x')), Scope({}, {'x': 1})); "
        "assert not [name for name in sys.modules if name.startswith('cel')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("value", ["a\0b", {"a\0b": 1}, ["a", "\0"]])
def test_a_text_that_the_library_would_cut_is_refused(value: Any) -> None:
    with pytest.raises(ExpressionFailed, match="a text with a NUL character"):
        evaluate("inputs.a", {("inputs", "a"): value})

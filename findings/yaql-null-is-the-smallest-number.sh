#!/usr/bin/env bash
# yaql 3.2.0 (the expressions of Heat, Mistral and Murano). What is null, and true, among numbers.
# Guess: null < 1 is an error or null, as it is for texts and numbers; int(null) is an error; true is no number.
# Behaviour: null is smaller than every number, and int(null) is 0, so a limit that was never set is one that has been kept to. A null
#   in a list is its min(). true equals 1, is found in [1], and falls together with it in distinct() and as a key of a dict.
#   all() asks if the elements are true, any() without an argument only whether there is one.
# Seen: null < 0 True; int(null) 0; [3, null].min() null; 'a' < 1 an error; [1, true].distinct() [1]; [0].any() True, [0].all() False.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check yaql==3.2.0
"$work/bin/python" -W ignore - <<'PY'
import collections.abc  # yaql uses it without importing it

import yaql

engine = yaql.factory.YaqlFactory().create()


def told(expression):
    try:
        return engine(expression).evaluate(data={})
    except Exception as error:
        return type(error).__name__


expected = {
    "null < 0": True,
    "0 < null": False,
    "int(null)": 0,
    "[3, null].min()": None,
    "null + 1": "NoMatchingFunctionException",
    "'a' < 1": "NoMatchingFunctionException",
    "true = 1": True,
    "true in [1]": True,
    "[1, true].distinct()": [1],
    "{1 => a, true => b}": {1: "b"},
    "true + 1": "NoMatchingFunctionException",
    "[0].any()": True,
    "[0].all()": False,
}
seen = {expression: told(expression) for expression in expected}
for expression, answer in seen.items():
    print(f"{expression:<22} {answer}")
assert seen == expected, "null and true are otherwise now"
assert all(type(seen[expression]) is type(expected[expression]) for expression in expected)
PY

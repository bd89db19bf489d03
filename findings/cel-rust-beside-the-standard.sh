#!/usr/bin/env bash
# common-expression-language 0.10.0 (CEL in Rust for Python) beside the CEL specification.
# Guess: a binding of a compiled implementation keeps to the specification, and Python's values reach it as they are.
# Behaviour: size() counts bytes; exists() ends at the first error though a later element is true; there is no bool() and no string() of
#   a bool; an integer beyond 64 bits silently becomes a float, one from 2**63 on is unsigned and can't be added to 1; large
#   integers equal the float next to them; a key that is True becomes 1, and a repeated key is taken.
# Seen: size('é') is 2; with a = 2**64 + 1 and b = 2**64, a == b is True.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check common-expression-language==0.10.0
"$work/bin/python" - <<'PY'
import cel


def evaluate(text, **values):
    try:
        return repr(cel.evaluate(text, values))
    except Exception as error:
        return type(error).__name__


# expression, values, what the specification has, what this library gives
table = [
    ("size('é')", {}, "1", "2"),
    ("[0, 1].exists(x, 1 / x == 1)", {}, "True", "ZeroDivisionError"),
    ("bool('true')", {}, "True", "RuntimeError"),
    ("string(true)", {}, "'true'", "RuntimeError"),
    ("9007199254740993 == 9007199254740992.0", {}, "False", "True"),
    ("a == b", {"a": 2**64 + 1, "b": 2**64}, "error", "True"),
    ("a + 1", {"a": 2**63}, "error", "TypeError"),
    ("a[1]", {"a": {True: "yes"}}, "error", "'yes'"),
    ("{'a': 1, 'a': 2}", {}, "error", "{'a': 2}"),
]
seen = [evaluate(text, **values) for text, values, _, _ in table]
for (text, _, standard, _), ours in zip(table, seen, strict=True):
    print(f"{text:<40} standard {standard:<7} library {ours}")
assert seen == [ours for _, _, _, ours in table], "the library evaluates otherwise now"
PY

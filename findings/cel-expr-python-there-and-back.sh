#!/usr/bin/env bash
# cel-expr-python 0.1.3 (Google's CEL, bound to Python): what Python's values become, and what comes back.
# Guess: values arrive as they are; what plain_value() gives may be passed in again; numbers of two types compare by their value.
# Behaviour: bytes come back as a bytearray, though the type hints say bytes; datetimes and timedeltas, which it gives, are refused where
#   the variable is of type DYN; a naive datetime is taken as UTC; True passes for an INT, but 1 not for a BOOL, and bytes for a STRING;
#   nanoseconds are cut; a map with the keys 1 and 1u comes back with one; 2**53 + 1 equals 2.0**53; and a double has an exponent
#   as a text from a million on.
# Seen: see the table printed.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check cel-expr-python==0.1.3
"$work/bin/python" - <<'PY'
from datetime import UTC, datetime, timedelta

from cel_expr_python import cel


def evaluate(text, kind=cel.Type.DYN, **data):
    value = cel.NewEnv(variables={"a": kind, "b": kind}).compile(text).eval(data=data)
    return "error" if value.type() == cel.Type.ERROR else repr(value.plain_value())


noon = datetime(2026, 1, 1, 12)
# what is evaluated, the guess, what comes
table = {
    "bytes as DYN": (evaluate("a", a=b"x"), "b'x'", "bytearray(b'x')"),
    "datetime as TIMESTAMP": (evaluate("a == a", cel.Type.TIMESTAMP, a=noon.replace(tzinfo=UTC)), "True", "True"),
    "datetime as DYN": (evaluate("a == a", a=noon.replace(tzinfo=UTC)), "True", "error"),
    "timedelta as DYN": (evaluate("a == a", a=timedelta(1)), "True", "error"),
    "datetime without a zone": (evaluate("a.getHours('UTC')", cel.Type.TIMESTAMP, a=noon), "error", "12"),
    "True as INT": (evaluate("a + 1", cel.Type.INT, a=True), "error", "2"),
    "1 as BOOL": (evaluate("a", cel.Type.BOOL, a=1), "error", "error"),
    "bytes as STRING": (evaluate("a", cel.Type.STRING, a=b"x"), "error", "'x'"),
    "duration('1500ns')": (evaluate("duration('1500ns')"), "error", "datetime.timedelta(microseconds=1)"),
    "{dyn(1): 'x', dyn(1u): 'y'}": (evaluate("{dyn(1): 'x', dyn(1u): 'y'}"), "error", "{1: 'y'}"),
    "2**53 + 1 == 2.0**53": (evaluate("a == b", a=2**53 + 1, b=2.0**53), "False", "True"),
    "string(999999.0)": (evaluate("string(999999.0)"), "'999999'", "'999999'"),
    "string(1000000.0)": (evaluate("string(1000000.0)"), "'1000000'", "'1e+06'"),
}
for name, (seen, guess, _) in table.items():
    print(f"{name:<28} guess {guess:<10} seen {seen}")
assert all(seen == known for seen, _, known in table.values()), "values come through otherwise now"
PY

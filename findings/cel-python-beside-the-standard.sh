#!/usr/bin/env bash
# cel-python 0.5.0 beside the CEL specification.
# Guess: what the specification forbids is an error, what it allows works.
# Behaviour: Python shows through. A negative index counts from the end, a text can be indexed, '&&' takes a number and gives a number,
#   string(true) is Python's 'True', int() takes blanks and underscores, comparisons chain; but comparing numbers of two types, a
#   trailing comma and the map() of three arguments fail.
# Seen: [1, 2][-1] is 2; 1 && true is 1; 1 == 1.0 is an error.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check cel-python==0.5.0
"$work/bin/python" - <<'PY'
import celpy

environment = celpy.Environment()


def evaluate(text):
    try:
        return str(environment.program(environment.compile(text)).evaluate({}))
    except Exception:
        return "error"


# expression: (what the specification has, what cel-python gives)
table = {
    "[1, 2][-1]": ("error", "2"),
    "'ab'[0]": ("error", "a"),
    "1 && true": ("error", "1"),
    "string(true)": ("true", "True"),
    "int(' 1_0')": ("error", "10"),
    "1 < 2 < 3": ("error", "True"),
    "1 == 1.0": ("True", "error"),
    "[1] == [1.0]": ("True", "error"),
    "1 == 'a'": ("False", "error"),
    "[1, 2,].size()": ("2", "error"),
    "[1, 2].map(x, x > 1, x * 2) == [4]": ("True", "error"),
}
seen = {text: evaluate(text) for text in table}
for text, (standard, _) in table.items():
    print(f"{text:<36} standard {standard:<6} cel-python {seen[text]}")
assert seen == {text: ours for text, (_, ours) in table.items()}, "cel-python evaluates otherwise now"
PY

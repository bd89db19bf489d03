#!/usr/bin/env bash
# oslo.utils 10.2.0, specs_matcher: how flavor extra specs are compared with what a host has.
# Guess: "= 4" asks for exactly 4, "<in>" with two values for both.
# Behaviour: "= 4" asks for at least 4 (equality is "=="), and everything after the second "<in>" is not looked at.
#   A value without an operator is compared as text, so the number 4 is not "4", and "4" is not "4.0".
# Seen: match('5', '= 4') is True, match('abcdef', '<in> abc <in> xyz') is True, match(4, '4') is False.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.utils==10.2.0
"$work/bin/python" - <<'PY'
from oslo_utils.specs_matcher import match

expected = {
    ("5", "= 4"): True,
    ("3", "= 4"): False,
    ("5", "== 4"): False,
    ("abcdef", "<in> abc <in> xyz"): True,
    (4, "4"): False,
    ("4", "4.0"): False,
    ("4", "== 4.0"): True,
}
seen = {(value, wanted): match(value, wanted) for value, wanted in expected}
for (value, wanted), answer in seen.items():
    print(f"{value!r:<10} {wanted!r:<22} {answer}")
assert seen == expected, "specs_matcher compares otherwise now"
PY

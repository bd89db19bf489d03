#!/usr/bin/env bash
# neutron-lib 5.0.1. What an API request's values are turned into before anything else looks at them.
# Guess: "canonical" CIDRs have no host bits; a converter to int refuses 1.9; a dict becomes a list of one dict; a protocol
#   number becomes its name.
# Behaviour: host bits stay; 1.9 is 1 and True is 1, while the text '1.0' is refused; a dict becomes the list of its keys; the protocol
#   number stays a number, and the rule "non-negative" lets 1.5 and True through.
# Seen: '2001:DB8::5/64' -> '2001:db8::5/64'; 1.9 -> 1; {'a': 1} -> ['a']; '6' -> '6'.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check neutron-lib==5.0.1
"$work/bin/python" - <<'PY'
from neutron_lib.api import converters, validators
from neutron_lib.exceptions import InvalidInput

expected = [
    (converters.convert_cidr_to_canonical_format, "2001:DB8::5/64", "2001:db8::5/64"),
    (converters.convert_cidr_to_canonical_format, "10.0.0.5/24", "10.0.0.5/24"),
    (converters.convert_to_int, 1.9, 1),
    (converters.convert_to_int, True, 1),
    (converters.convert_to_list, {"a": 1}, ["a"]),
    (converters.convert_to_protocol, "6", "6"),
]
for convert, value, wanted in expected:
    seen = convert(value)
    print(f"{convert.__name__}({value!r}) = {seen!r}")
    assert seen == wanted, "neutron-lib converts otherwise now"
try:
    raise SystemExit(f"'1.0' is taken now: {converters.convert_to_int('1.0')}")
except InvalidInput as error:
    print("convert_to_int('1.0'):", error)
check = validators.get_validator("type:non_negative")
refused = {value: check(value) for value in (1.5, True, -1)}
print("type:non_negative refuses:", [value for value, error in refused.items() if error])
assert [bool(error) for error in refused.values()] == [False, False, True], "the rule is another now"
PY

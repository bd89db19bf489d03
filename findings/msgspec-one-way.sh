#!/usr/bin/env bash
# msgspec 0.23.0. What is encoded to JSON without an error and can't be decoded again; and what a type does not check.
# Guess: what JSON has no form for is refused, as NaN is by the standard; a Struct checks its fields; tag=True asks for the tag.
# Behaviour: infinity and NaN become null, which the same type refuses; keys 1 and '1' become one key twice. Struct() and convert() of a
#   Struct check nothing, so a wrong value is found by whoever decodes it. A missing tag is taken for the right one.
# Seen: b'null'; b'{"1":1,"1":2}' -> {'1': 2}; Size('big') is encoded, and then ValidationError; Tagged(x=1) from {"x": 1}.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check msgspec==0.23.0
"$work/bin/python" - <<'PY'
import math

import msgspec


class Size(msgspec.Struct, frozen=True):
    bytes: int


class Tagged(msgspec.Struct, tag=True):
    x: int


def again(value, kind):
    data = msgspec.json.encode(value)
    try:
        return data, repr(msgspec.json.decode(data, type=kind))
    except msgspec.ValidationError:
        return data, "ValidationError"


wrong = msgspec.convert(Size("big"), Size)
seen = [again(math.inf, float), again({1: 1, "1": 2}, dict), again(wrong, Size)]
tagless = msgspec.json.decode(b'{"x": 1}', type=Tagged)
for data, outcome in seen:
    print(data.decode(), "->", outcome)
print("without its tag:", tagless)
assert seen == [
    (b"null", "ValidationError"),
    (b'{"1":1,"1":2}', "{'1': 2}"),
    (b'{"bytes":"big"}', "ValidationError"),
], "msgspec checks more now"
assert tagless == Tagged(1)
PY

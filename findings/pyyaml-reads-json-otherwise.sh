#!/usr/bin/env bash
# PyYAML 6.0.4 and Python's json. JSON, which is said to be YAML as well, read by a YAML reader (cloud-init reads all its files so).
# Guess: what json.dumps() wrote, yaml.safe_load() reads as the same.
# Behaviour: json escapes what is not ASCII, and PyYAML reads each escape as a character: of one beyond the first plane, an emoji for
#   instance, it makes two halves of a pair, which no file can be written with. Its loader in C has an error for them. A float without a
#   point before its exponent is a text. json.dumps(ensure_ascii=False) spares the characters, not the floats.
# Seen: U+1F600 -> '\ud83d\ude00', not to be encoded; by CSafeLoader: ScannerError; 1e16 -> '1e+16', 1.5e16 -> 1.5e+16.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check pyyaml==6.0.4
"$work/bin/python" - <<'PY'
import json

import yaml


def read(value, loader=yaml.SafeLoader, **options):
    try:
        return yaml.load(json.dumps(value, **options), Loader=loader)
    except yaml.YAMLError as error:
        return type(error).__name__


VALUES = {"\U0001f600": "\ud83d\ude00", "\u00e9": "\u00e9", 0.1: 0.1, 1e16: "1e+16", 1e-07: "1e-07", 1.5e16: 1.5e16}
seen = {value: read(value) for value in VALUES}
for value, answer in seen.items():
    print(f"{json.dumps(value):<15} {answer!a}")
try:
    written = seen["\U0001f600"].encode()
except UnicodeEncodeError:
    written = "UnicodeEncodeError"
in_c, as_it_is = read("\U0001f600", yaml.CSafeLoader), read("\U0001f600", ensure_ascii=False)
print(f"written: {written}; by CSafeLoader: {in_c}; with ensure_ascii=False: {as_it_is!a}")
assert seen == VALUES and written == "UnicodeEncodeError", "PyYAML reads JSON now"
assert (in_c, as_it_is) == ("ScannerError", "\U0001f600")
PY

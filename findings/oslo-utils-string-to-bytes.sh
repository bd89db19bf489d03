#!/usr/bin/env bash
# oslo.utils 10.2.0, strutils.string_to_bytes: sizes such as a flavor's or an image's.
# Guess: "1KB" is 1000, "1KiB" 1024, a bare "512" is bytes, and unit_system="SI" reads what is written "KB".
# Behaviour: by default "KB" and "KiB" are both 1024; a number without a unit is an error; of the kilobytes SI takes
#   "kB" only and IEC all others; "mixed" alone tells "KB" from "KiB".
# Seen: '1KB' -> 1024 (IEC), error (SI), 1000 (mixed).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.utils==10.2.0
"$work/bin/python" - <<'PY'
from oslo_utils.strutils import string_to_bytes


def read(text, system):
    try:
        return string_to_bytes(text, unit_system=system, return_int=True)
    except ValueError:
        return "error"


seen = {text: tuple(read(text, s) for s in ("IEC", "SI", "mixed")) for text in ("1KB", "1KiB", "1kB", "1MB", "512")}
for text, sizes in seen.items():
    print(f"{text:<6} IEC {sizes[0]!s:<9} SI {sizes[1]!s:<9} mixed {sizes[2]}")
assert seen == {
    "1KB": (1024, "error", 1000),
    "1KiB": (1024, "error", 1024),
    "1kB": ("error", 1000, 1000),
    "1MB": (1048576, 1000000, 1000000),
    "512": ("error", "error", "error"),
}, "string_to_bytes reads otherwise now"
PY

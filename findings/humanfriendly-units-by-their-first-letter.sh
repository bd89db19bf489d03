#!/usr/bin/env bash
# humanfriendly 10.0, parse_size(). Sizes as Kubernetes, network cards and people write them.
# Guess: '512 Mi' is 512 MiB or an error, '10 Gbit' an error or an eighth of 10 GB, '5 minutes' an error.
# Behaviour: a unit that is none of its own is the decimal one with the same first letter. 'Mi' and 'mebi' are MB, bits are bytes, and
#   what is no size has one. Words after the unit are passed over as well. Only 'MiB' and 'mebibyte' are 1024 times 1024.
# Seen: 512 Mi -> 512000000, 512 MiB -> 536870912, 10 Gbit -> 10000000000, 5 minutes -> 5000000, 10 boxes -> 10.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check humanfriendly==10.0
"$work/bin/python" - <<'PY'
from humanfriendly import parse_size

expected = {
    "512 MB": 512_000_000,
    "512 MiB": 536_870_912,
    "512 Mi": 512_000_000,
    "512 mebi": 512_000_000,
    "512 mebibyte": 536_870_912,
    "10 Gbit": 10_000_000_000,
    "5 minutes": 5_000_000,
    "10 boxes": 10,
    "5 GB at most": 5_000_000_000,
}
seen = {text: parse_size(text) for text in expected}
for text, size in seen.items():
    print(f"{text:<13} {size}")
assert seen == expected, "units are read otherwise now"
PY

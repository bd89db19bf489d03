#!/usr/bin/env bash
# neutron-lib 5.0.1, get_random_mac(base_mac). An operator fixes five octets of the MAC addresses that are given out.
# Guess: octets that are not 00 are fixed; or more than four fixed ones are refused.
# Behaviour: the first three are fixed, the fourth unless it is 00, and the last two never: what base_mac says there is ignored.
# Seen: fa:16:3e:4f:55:00 -> all of 200 begin with fa:16:3e:4f, their fifth octet has over 50 values.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check neutron-lib==5.0.1
"$work/bin/python" - <<'PY'
from neutron_lib.utils.net import get_random_mac


def octets(base):
    drawn = [get_random_mac(base.split(":")).split(":") for _ in range(200)]
    return [len(set(column)) for column in zip(*drawn, strict=True)]


for base in ("fa:16:3e:4f:55:00", "fa:16:3e:00:55:00"):
    seen = octets(base)
    print(base, "different values of each octet in 200 addresses:", *seen)
    fixed = 4 if base.split(":")[3] != "00" else 3
    assert seen[:fixed] == [1] * fixed and min(seen[fixed:]) > 50, "base_mac is read otherwise now"
PY

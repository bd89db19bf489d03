#!/usr/bin/env bash
# netaddr 1.3.0. A MAC written as bare digits is a decimal number or hex digits, by how many digits there are.
# Guess: bare digits are either always hex or, when not twelve of them, refused.
# Behaviour: up to 10, and 13 to 15 of them are a decimal number; 11, 12 and 16 are hex digits. No error at any length.
#   valid_mac() says no to some of what EUI() takes, and yes to eleven digits.
# Seen: EUI('12') is 00-00-00-00-00-0C, EUI('12345678901') is 01-23-45-67-89-01.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check netaddr==1.3.0
"$work/bin/python" - <<'PY'
from netaddr import EUI, valid_mac

expected = {
    "12": ("00-00-00-00-00-0C", False),
    "1234567890": ("00-00-49-96-02-D2", False),
    "12345678901": ("01-23-45-67-89-01", True),
    "123456789012": ("12-34-56-78-90-12", True),
    "1234567890123": ("01-1F-71-FB-04-CB", False),
    "123456789012345": ("70-48-86-0D-DF-79", False),
    "1234567890123456": ("12-34-56-78-90-12-34-56", False),
}
seen = {text: (str(EUI(text)), valid_mac(text)) for text in expected}
for text, (mac, valid) in seen.items():
    print(f"{text:<17} EUI {mac:<24} valid_mac {valid}")
assert seen == expected, "netaddr reads digits otherwise now"
PY

#!/usr/bin/env bash
# netaddr 1.3.0. IPAddress.netmask_bits() of an address that is no netmask.
# Guess: ValueError, or None.
# Behaviour: the full width. A mistyped netmask becomes a host route, and nothing says so; as the second half of an
#   IPNetwork the same text is refused.
# Seen: IPAddress('255.0.255.0').netmask_bits() is 32.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check netaddr==1.3.0
"$work/bin/python" - <<'PY'
from netaddr import AddrFormatError, IPAddress, IPNetwork

expected = {"255.255.255.0": 24, "255.0.255.0": 32, "10.0.0.1": 32, "2001:db8::1": 128}
seen = {text: IPAddress(text).netmask_bits() for text in expected}
print("netmask_bits:", seen)
assert seen == expected, "netmask_bits answers otherwise now"
try:
    raise SystemExit(f"taken as a prefix: {IPNetwork('10.0.0.0/255.0.255.0')}")
except AddrFormatError as error:
    print("IPNetwork:", error)
PY

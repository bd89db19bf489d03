#!/usr/bin/env bash
# oslo.utils 10.2.0, netutils.get_ipv6_addr_by_EUI64 with a prefix longer than /64.
# Guess: an error, since the interface id needs 64 bits.
# Behaviour: an address that is not in the prefix, without a word. (neutron-lib's callers check the length elsewhere.)
# Seen: 2001:db8:0:0:1::/80 gives 2001:db8::f817:3eff:fe00:1.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.utils==10.2.0
"$work/bin/python" - <<'PY'
from netaddr import IPNetwork
from oslo_utils.netutils import get_ipv6_addr_by_EUI64

for prefix, inside in (("2001:db8::/64", True), ("2001:db8:0:0:1::/80", False)):
    address = get_ipv6_addr_by_EUI64(prefix, "fa:16:3e:00:00:01")
    print(prefix, address, "in the prefix" if address in IPNetwork(prefix) else "NOT in the prefix")
    assert (address in IPNetwork(prefix)) is inside, "get_ipv6_addr_by_EUI64 does otherwise now"
PY

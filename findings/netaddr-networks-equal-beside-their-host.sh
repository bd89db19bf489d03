#!/usr/bin/env bash
# netaddr 1.3.0. Interface addresses as IPNetwork('10.0.0.1/24'), which has .ip and .network.
# Guess: two interfaces' addresses are equal when both parts are, as with ipaddress.ip_interface().
# Behaviour: only version, first and last address are compared and hashed. Two hosts of a network are one key of a dict and one member
#   of a set, list.index() and 'in' find a neighbour, and an IPRange of the same length is equal, too. Printed they differ.
# Seen: 10.0.0.1/24 == 10.0.0.9/24 True, set of both: one; ip_interface: False, two. IPAddress == its /32: False.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check netaddr==1.3.0
"$work/bin/python" - <<'PY'
import ipaddress

from netaddr import IPAddress, IPNetwork, IPRange

one, nine = "10.0.0.1/24", "10.0.0.9/24"
seen = {}
for kind in (IPNetwork, ipaddress.ip_interface):
    a, b = kind(one), kind(nine)
    seen[kind.__name__] = (a == b, len({a, b}), [a].count(b), str(a) == str(b))
    print(f"{kind.__name__}: equal {a == b}, set of both {len({a, b})}, found by the other {b in [a]}, as text {a}, {b}")
owners = {IPNetwork(one): "web"}
owners[IPNetwork(nine)] = "db"
a_range = IPRange("10.0.0.0", "10.0.0.255") == IPNetwork(one)
alone = IPAddress("10.0.0.1") == IPNetwork("10.0.0.1/32")
print("owners:", owners, "range is equal:", a_range, "address is equal to its /32:", alone)
assert seen["IPNetwork"] == (True, 1, 1, False), "the host's part counts now"
assert seen["ip_interface"] == (False, 2, 0, False)
assert {str(network): owner for network, owner in owners.items()} == {one: "db"} and a_range and not alone
PY

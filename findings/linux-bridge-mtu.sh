#!/usr/bin/env bash
# Linux bridges (seen on kernel 6.18 with iproute2 6.1), in a network namespace of its own. The MTU of a bridge, and its address.
# Guess: an MTU given when the bridge is made holds; one that is set again to the value that it has is no change, or holds as well.
# Behaviour: an MTU given at creation does not count: the bridge follows its ports, up and down. It holds once it has been changed. With
#   the last port gone the MTU is 1500, and a bridge whose address was not given has the address 00:00:00:00:00:00.
# Seen: made with 1450, port of 9000: 9000, without ports: 1500; set to 1500 when it is 1500: 9000; set to 1450: 1450.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
unshare --net bash -euo pipefail -c '
    mtu() { ip -o link show dev "$1" | sed "s/.* mtu \([0-9]*\) .*/\1/"; }
    ip link add port mtu 9000 type veth peer name other
    ip link add made mtu 1450 type bridge
    ip link set port master made
    echo "made with 1450: $(mtu made)"
    ip link set port nomaster
    echo "without ports: $(mtu made), $(ip -o link show dev made | grep -o "ether [0-9a-f:]*")"
    ip link add same type bridge
    ip link set same mtu 1500
    ip link set port master same
    echo "set to what it was: $(mtu same)"
    ip link set port nomaster
    ip link add other-value type bridge
    ip link set other-value mtu 1450
    ip link set port master other-value
    echo "set to 1450: $(mtu other-value)"' | tee "$work/seen"
diff - "$work/seen" << 'END' || { echo "the kernel ($(uname -r)) treats a bridge otherwise"; exit 1; }
made with 1450: 9000
without ports: 1500, ether 00:00:00:00:00:00
set to what it was: 9000
set to 1450: 1450
END

#!/usr/bin/env bash
# iproute2 6.1.0 (Debian 12). ip -json with a filter.
# Guess: the list has those that match, each with its name; with none it is [].
# Behaviour: what "up", "group" and "scope" leave out stays as {} in the list, so a count of entries, or entry["ifname"], is wrong;
#   "type" and "master" do leave it out. Devices without any address pass for "dynamic" and "label", and label gives no names at all.
#   A routing table that nothing is in yet gives "[" alone and exit code 2.
# Seen: of lo, a bridge that is up and two ends of veth: up {}, br0, {}, {}; group 7 four times {}; dynamic: lo and both ends.
set -euo pipefail
ip -V | grep -q 'iproute2-6\.1\.0,' || { echo "this is about iproute2 6.1.0, here is: $(ip -V)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
cat > told.py <<'PY'
import json, sys

try:
    entries = json.load(sys.stdin)
    for one in entries:
        one["holes"] = " {}" * one.get("addr_info", []).count({})
    print(*("{}" if one == {"holes": ""} else one.get("ifname", "no name") + one["holes"] for one in entries), sep=", ")
except ValueError:
    print("no JSON")
PY
unshare --net bash -euo pipefail -c '
    told() { echo -n "$*: "; { ip -json "$@" 2> said || true; } | python3 told.py; }
    ip link add br0 type bridge && ip link add left type veth peer name right
    ip link set br0 addrgenmode none && ip link set br0 up
    ip address add 10.0.0.1/24 dev br0 && ip address add 127.0.0.9/8 dev br0 scope host
    told link show type bridge
    told link show master br0
    told link show up
    told link show group 7
    told address show type bridge scope global
    told address show label "br*"
    told address show dynamic
    told route show table 999' | tee seen
diff - seen << 'END' || { echo "ip filters otherwise now"; exit 1; }
link show type bridge: br0
link show master br0: 
link show up: {}, br0, {}, {}
link show group 7: {}, {}, {}, {}
address show type bridge scope global: br0 {}
address show label br*: no name, no name, no name, no name
address show dynamic: lo, right, left
route show table 999: no JSON
END

#!/usr/bin/env bash
# nftables 1.0.6 (Debian 12). Rule sets as JSON (nft -j -f), the form that programs write, with keys that it does not know.
# Guess: an error, as the text form has for a word that it does not know.
# Behaviour: keys that it does not know are passed over, and the exit code is 0: a chain with "polcy" accepts, one with "hok" is never
#   called, a set has no elements. A timeout as in the text form ("1h") is none. Of two commands in one object the first is done.
# Seen: JSON 0, text 1 for the same slips; in the kernel: policy accept, no hook, no elements, no timeout, the old table still there.
set -euo pipefail
nft --version | grep -q 'nftables v1\.0\.6 ' || { echo "this is about nftables 1.0.6, here is: $(nft --version)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
cat > rules.json << 'END'
{"nftables": [
  {"add": {"table": {"family": "ip", "name": "old"}}},
  {"add": {"table": {"family": "ip", "name": "new"}}, "delete": {"table": {"family": "ip", "name": "old"}}},
  {"add": {"chain": {"family": "ip", "table": "new", "name": "a", "type": "filter", "hook": "input", "prio": 0, "polcy": "drop"}}},
  {"add": {"chain": {"family": "ip", "table": "new", "name": "b", "type": "filter", "hok": "input", "prio": 0, "policy": "drop"}}},
  {"add": {"set": {"family": "ip", "table": "new", "name": "s", "type": "ipv4_addr", "elems": ["10.0.0.1"]}}},
  {"add": {"set": {"family": "ip", "table": "new", "name": "t", "type": "ipv4_addr", "timeout": "1h"}}}
]}
END
unshare --net bash -euo pipefail -c '
    nft -j -f rules.json
    echo "JSON: exit code $?"
    for slip in "chain a { type filter hook input priority 0; polcy drop; }" "chain b { type filter hok input priority 0; }" \
        "set s { type ipv4_addr; elems = { 10.0.0.1 } }"; do
        nft "add table ip u; table ip u { $slip }" 2> said && echo "text: taken" || echo "text: exit code $?"
    done
    nft list ruleset' | sed 's/^\t*//; /^$/d' | tee seen
diff - seen << 'END' || { echo "nft takes JSON otherwise now"; exit 1; }
JSON: exit code 0
text: exit code 1
text: exit code 1
text: exit code 1
table ip old {
}
table ip new {
set s {
type ipv4_addr
}
set t {
type ipv4_addr
}
chain a {
type filter hook input priority filter; policy accept;
}
chain b {
}
}
END

#!/usr/bin/env bash
# nftables 1.0.6 (Debian 12). A rule set is saved with nft -j list ruleset, flushed, and loaded again with nft -j -f.
# Guess: the JSON form says what the text form says, and nft loads what it has written; saved as text it does.
# Behaviour: comments of tables and chains, auto-merge and dynamic are left out, and timeouts are cut to seconds. A map whose
#   verdict jumps to a chain stands before that chain, so nft refuses its own output, all of it.
# Seen: text: the same again; JSON: five lines otherwise; with the map: exit code 1 and an empty rule set.
set -euo pipefail
nft --version | grep -q 'nftables v1\.0\.6 ' || { echo "this is about nftables 1.0.6, here is: $(nft --version)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
cat > plain << 'END'
table ip t {
    comment "of the table"
    set merged { type ipv4_addr; flags interval; auto-merge; elements = { 10.0.0.0/24 }
    }
    set short { type ipv4_addr; flags timeout; timeout 1500ms;
    }
    set filled { type ipv4_addr; flags dynamic; size 10;
    }
    chain c { comment "of the chain"; type filter hook input priority filter; policy drop;
        ip saddr @merged accept comment "of the rule"
    }
}
END
cat > jumping << 'END'
table ip t {
    map where { type ipv4_addr : verdict; elements = { 10.0.0.1 : jump sub }
    }
    chain sub { accept
    }
}
END
# again RULES OPTIONS: what has changed in the rule set after saving and loading it
again() {
    unshare --net bash -euo pipefail -c '
        nft -f "$0"; nft list ruleset > before; nft $1 list ruleset > saved; nft flush ruleset
        if nft $1 -f saved 2> said; then echo loaded; else echo refused; fi
        nft list ruleset | diff before - | sed -n "s/\t//g; /^[<>] ./p" || true' "$1" "$2"
}
{
    echo "text"; again plain ""; echo "text, jumping"; again jumping ""
    echo "JSON"; again plain -j; echo "JSON, jumping"; again jumping -j
} | tee seen
diff - seen << 'END' || { echo "nft saves or loads otherwise now"; exit 1; }
text
loaded
text, jumping
loaded
JSON
loaded
< comment "of the table"
< auto-merge
< timeout 1s500ms
> timeout 1s
< flags dynamic
< comment "of the chain"
JSON, jumping
refused
< table ip t {
< map where {
< type ipv4_addr : verdict
< elements = { 10.0.0.1 : jump sub }
< }
< chain sub {
< accept
< }
< }
END

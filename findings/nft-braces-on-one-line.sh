#!/usr/bin/env bash
# nftables 1.0.6 (Debian 12). A whole table written on one line, as nft's own documentation of other versions has it.
# Guess: white space is white space: a table that loads on several lines loads on one.
# Behaviour: after the closing brace of a chain, set or map a newline or a semicolon is needed: "} }" is a syntax error, "}; }" is not.
# Seen: table ip t { chain c { } } -> unexpected '}', expecting newline or semicolon; with "}; }" it loads.
set -euo pipefail
nft --version | grep -q 'nftables v1\.0\.6 ' || { echo "this is about nftables 1.0.6, here is: $(nft --version)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }

check() { unshare --net nft --check --file - <<< "$1" 2>&1 | sed -n 's/.*Error: //p' | head -1 || true; }

for body in 'chain c { }' 'chain c { tcp dport 22 accept; }' 'set s { type ipv4_addr; }'; do
    one=$(check "table ip t { $body }")
    semicolon=$(check "table ip t { $body; }")
    newline=$(check "table ip t { $body
}")
    printf '%-32s one line: %s; with "; }": %s; on lines: %s\n' "$body" "$one" "${semicolon:-loads}" "${newline:-loads}"
    [[ $one = *"unexpected '}', expecting newline or semicolon" && -z $semicolon$newline ]] ||
        { echo "nft reads braces otherwise now"; exit 1; }
done

#!/usr/bin/env bash
# nftables 1.0.6 (Debian 12). The usual reload: "flush table", then the whole table anew, in one transaction.
# Guess: afterwards the table is what the file says.
# Behaviour: "flush table" empties chains only. Elements of sets and maps stay, and those of the file are added: an address that was
#   taken out of the file is still let in. "add table; delete table; table ..." is the reload that replaces everything.
# Seen: after the reload with 10.0.0.2 the set has 10.0.0.1 and 10.0.0.2, while the old rule is gone; with delete: 10.0.0.2 only.
set -euo pipefail
nft --version | grep -q 'nftables v1\.0\.6 ' || { echo "this is about nftables 1.0.6, here is: $(nft --version)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }

# reload HOW: what is in the table after a first load and a reload
reload() {
    unshare --net bash -euo pipefail -c '
        table() { printf "table ip t {\nset allowed { type ipv4_addr; elements = { $1 }\n}\nchain c { tcp dport $2 accept\n}\n}\n"; }
        table 10.0.0.1 22 | nft --file -
        { echo "$0"; table 10.0.0.2 80; } | nft --file -
        nft list table ip t' "$1" | grep -E 'elements|dport' | xargs
}

flushed=$(reload 'flush table ip t')
deleted=$(reload 'delete table ip t')
echo "flush:  $flushed"
echo "delete: $deleted"
[ "$flushed" = "elements = { 10.0.0.1, 10.0.0.2 } tcp dport 80 accept" ] || { echo "flush table empties sets now"; exit 1; }
[ "$deleted" = "elements = { 10.0.0.2 } tcp dport 80 accept" ] || { echo "delete table does otherwise now"; exit 1; }

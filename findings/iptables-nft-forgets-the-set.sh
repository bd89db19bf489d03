#!/usr/bin/env bash
# iptables 1.8.9 (nf_tables) and nftables 1.0.6 (both Debian 12). A rule that nft put into the chain INPUT of "ip filter", with a named set.
# Guess: iptables says that there is something it cannot show, as it does for chains that are not its own; iptables-save leaves it out.
# Behaviour: the match is forgotten and the rest of the rule is shown as a whole one: "-j DROP", for every packet. iptables-save writes
#   it like this, with exit code 0 and no word, and iptables-restore of what was saved drops everything.
# Seen: nft: "ip saddr @bad drop"; iptables -S and iptables-save: "-A INPUT -j DROP"; after save and restore nft lists "drop" alone.
set -euo pipefail
iptables --version | grep -qx 'iptables v1\.8\.9 (nf_tables)' || { echo "this is about iptables 1.8.9 (nf_tables), here is $(iptables --version)"; exit 2; }
nft --version | grep -q 'nftables v1\.0\.6 ' || { echo "this is about nftables 1.0.6, here is: $(nft --version)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
unshare --net bash -euo pipefail -c '
    iptables -A INPUT -s 10.0.0.1 -j ACCEPT
    nft "add set ip filter bad { type ipv4_addr; elements = { 10.0.0.2 } }; add rule ip filter INPUT ip saddr @bad drop"
    in_nft() { nft list chain ip filter INPUT | sed -nE "s/^\t\t(.*[^;{])$/$1: \1/p" | sed -E "s/counter packets [0-9]+ bytes [0-9]+ //"; }
    in_nft "nft"
    iptables -S INPUT | sed -n "s/^-A/iptables -S: -A/p"
    iptables-save > saved 2> said
    sed -n "s/^-A/iptables-save: -A/p" saved
    echo "said: $(wc -c < said) characters"
    iptables-restore < saved
    in_nft "restored"' | grep -v policy | tee seen
diff - seen << 'END' || { echo "iptables knows of sets now"; exit 1; }
nft: ip saddr 10.0.0.1 accept
nft: ip saddr @bad drop
iptables -S: -A INPUT -s 10.0.0.1/32 -j ACCEPT
iptables -S: -A INPUT -j DROP
iptables-save: -A INPUT -s 10.0.0.1/32 -j ACCEPT
iptables-save: -A INPUT -j DROP
said: 0 characters
restored: ip saddr 10.0.0.1 accept
restored: drop
END

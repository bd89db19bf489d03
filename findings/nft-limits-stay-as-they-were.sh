#!/usr/bin/env bash
# nftables 1.0.6 (Debian 12), in a network namespace of its own (needs root). A file of rules, loaded again with other figures in it.
# Guess: declaring again what is there either takes the new figures or is an error; that nft is silent means they hold.
# Behaviour: a chain takes its new policy and a quota its new volume, but a named limit keeps its rate and a counter its figures, with
#   exit code 0. A chain of another priority is refused, and one declared as a plain chain stays hooked, silently.
# Seen: policy drop -> accept; quota 5 -> 9 mbytes; limit 10/second stays with 20/second in the file; counter 5 packets stays.
set -euo pipefail
nft --version | grep -q '^nftables v1\.0\.6 ' || { echo "this is about nftables 1.0.6, here is: $(nft --version)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
rules() { # policy, rate, volume, packets
    cat << END
table ip t {
    limit l { rate $2/second
    }
    quota q { over $3 mbytes
    }
    counter n { packets $4 bytes 6
    }
    chain c { type filter hook input priority 0; policy $1
    }
}
END
}
rules drop 10 5 5 > first
rules accept 20 9 0 > second
printf 'table ip t {\n    chain c {\n    }\n}\n' > plain
unshare --net bash -euo pipefail -c '
    nft --file first
    nft --file second && echo "second: exit code 0"
    nft --file plain && echo "plain: exit code 0"
    nft list table ip t | grep --extended-regexp --only-matching "policy [a-z]+|rate .*|over .*|packets [0-9]+"' | sort | tee seen
diff - seen << 'END' || { echo "definitions are changed otherwise now"; exit 1; }
over 9 mbytes
packets 5
plain: exit code 0
policy accept
rate 10/second
second: exit code 0
END

#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). The DHCP hosts and ranges of a network.
# Guess: what a network cannot have is refused whether it comes with its definition or by net-update: ranges are checked against the subnet.
# Behaviour: a definition may have two hosts with one address, one MAC with two addresses, hosts outside the subnet and ranges that
#   overlap. net-update refuses to add the second host; but to modify one to have another's address is taken.
# Seen: defined: all four taken, a range outside the subnet refused; net-update: add refused, add outside taken, modify taken.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# network DHCP [COMMANDS]: whether a network with this <dhcp> can be defined, and the commands carried out on it
network() {
    cat > n.xml << END
<network><name>n</name><ip address="10.0.0.1" prefix="24"><dhcp>$1</dhcp></ip></network>
END
    virsh --quiet --connect test:///default "net-define n.xml; net-start n; ${2:-net-dumpxml n}" > said 2>&1 && echo taken || echo refused
}

# host N IP: a host's element
host() { echo "<host mac='52:54:00:00:00:0$1' ip='$2'/>"; }
range() { echo "<range start='$1' end='$2'/>"; }

two="$(host 1 10.0.0.11)$(host 2 10.0.0.12)"
update() { network "$two" "net-update n $1 ip-dhcp-host \"$2\" --live"; }
{
    echo "defined: one address, two MACs: $(network "$(host 1 10.0.0.11)$(host 2 10.0.0.11)")"
    echo "defined: one MAC, two addresses: $(network "$(host 1 10.0.0.11)$(host 1 10.0.0.12)")"
    echo "defined: a host outside: $(network "$(host 1 10.9.9.9)")"
    echo "defined: ranges that overlap: $(network "$(range 10.0.0.20 10.0.0.30)$(range 10.0.0.25 10.0.0.40)")"
    echo "defined: a range outside: $(network "$(range 10.9.9.1 10.9.9.9)")"
    echo "net-update: add an address that is had: $(update add "$(host 3 10.0.0.12)")"
    echo "net-update: add a host outside: $(update add "$(host 3 10.9.9.9)")"
    echo "net-update: modify to an address that is had: $(update modify "$(host 1 10.0.0.12)")"
} | tee seen
diff - seen << 'END' || { echo "libvirt checks networks otherwise now"; exit 1; }
defined: one address, two MACs: taken
defined: one MAC, two addresses: taken
defined: a host outside: taken
defined: ranges that overlap: taken
defined: a range outside: refused
net-update: add an address that is had: refused
net-update: add a host outside: taken
net-update: modify to an address that is had: taken
END

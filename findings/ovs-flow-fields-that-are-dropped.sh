#!/usr/bin/env bash
# Open vSwitch 3.1.0 (Debian 12's packages, unpacked, not installed), ovs-ofctl parse-flow: how add-flow reads a flow.
# Guess: a field that can't be matched, as an address when no protocol is named, is an error, as misspelt fields are.
# Behaviour: the field is dropped, the flow holds for everything, and the exit code is 0: a line of level INFO is all that is said, and
#   of IPv6 fields it does not even name them. Of two protocols or two ports the later one holds. Numbers are C's: priority=010 is 8.
# Seen: nw_src=10.0.0.1,actions=drop -> actions=drop; ip,tp_dst=22 -> ip; tcp,udp -> udp; priority=010 -> 8; nw_scr=1: exit code 1.
set -euo pipefail
version=3.1.0-2+deb12u1
work=$(mktemp -d); trap '[ ! -e "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 libxdp1 "openvswitch-common=$version" "openvswitch-switch=$version" 2> apt-said ||
    { echo "this is about Open vSwitch $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
for package in *.deb; do dpkg-deb --extract "$package" package; done
export PATH=$work/package/usr/bin:$work/package/usr/sbin:$PATH OVS_RUNDIR=$work OVS_LOGDIR=$work
LD_LIBRARY_PATH=$(dirname "$(find "$work/package" -name "libxdp.so.1")")
export LD_LIBRARY_PATH
for flow in nw_src=10.0.0.1 ip,nw_src=10.0.0.1 ip,tp_dst=22 tcp,tp_dst=22 ipv6_src=fd00::1 tcp,udp in_port=1,in_port=2 priority=010 nw_scr=1; do
    code=0
    ovs-ofctl parse-flow "$flow,actions=drop" > said 2> said-of-it || code=$?
    echo "$flow:" $(sed -n 's/.*: ADD //p' said) "exit code $code"
done | tee seen
diff - seen << 'END' || { echo "flows are read otherwise now"; exit 1; }
nw_src=10.0.0.1: actions=drop exit code 0
ip,nw_src=10.0.0.1: ip,nw_src=10.0.0.1 actions=drop exit code 0
ip,tp_dst=22: ip actions=drop exit code 0
tcp,tp_dst=22: tcp,tp_dst=22 actions=drop exit code 0
ipv6_src=fd00::1: actions=drop exit code 0
tcp,udp: udp actions=drop exit code 0
in_port=1,in_port=2: in_port=2 actions=drop exit code 0
priority=010: priority=8 actions=drop exit code 0
nw_scr=1: exit code 1
END

#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients). test:///default, which many use to test what they build on libvirt.
# Guess: it keeps what it was given and refuses what only a hypervisor or a guest could know.
# Behaviour: for a domain whose disk file does not exist and that has no guest it invents answers: addresses from leases and from the guest
#   agent, file systems, and a disk of 1 TiB; memory of a million GiB is taken. So a test against it proves the call, not its answer.
# Seen: 192.168.122.3/24 by --source lease and agent, Physical 1099511627776, domain started with 1000000 GiB.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
cat > d.xml << 'END'
<domain type="test"><name>d</name><memory unit="GiB">1000000</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices>
  <disk type="file" device="disk"><source file="/nowhere/d.img"/><target dev="vda" bus="virtio"/></disk>
  <interface type="network"><mac address="52:54:00:00:00:01"/><source network="default"/></interface>
</devices></domain>
END
virsh --quiet --connect test:///default "define d.xml; start d; domstate d; domblkinfo d vda; domfsinfo d;
    domifaddr d --source lease; domifaddr d --source agent; dominfo d" | tee seen
[ "$(grep -c '52:54:00:00:00:01 *ipv4 *192\.168\.122\.[0-9]*/24' seen)" = 2 ] && grep -q '^Physical: *1099511627776$' seen &&
    grep -q '^ */boot ' seen && grep -q '^Max memory: *1048576000000 KiB$' seen && grep -q '^running' seen ||
    { echo "the test driver invents less now"; exit 1; }

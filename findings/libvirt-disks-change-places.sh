#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). The order of a domain's disks.
# Guess: the order of the <disk> elements is kept; without <boot order> the machine tries the first one written.
# Behaviour: disks are sorted by target name as they are read, those of one bus among themselves; where the bus is left out, so
#   that libvirt makes it out of the name, all are sorted as if they were of one bus. Network interfaces keep their places.
# Seen: vdb vda sdb sda becomes vda vdb sda sdb with bus=, vda sda vdb sdb without; interfaces stay 02, 01.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# order VIRTIO SCSI: the disks' names, then the interfaces' addresses, as libvirt gives them back; the buses may be empty
order() {
    {
        echo '<domain type="test"><name>d</name><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os><devices>'
        for disk in "vdb' $1" "vda' $1" "sdb' $2" "sda' $2"; do
            echo "<disk type='file' device='disk'><source file='/images/x'/><target dev='$disk/></disk>"
        done
        for n in 2 1; do
            echo "<interface type='network'><mac address='52:54:00:00:00:0$n'/><source network='default'/></interface>"
        done
        echo '</devices></domain>'
    } > d.xml
    virsh --quiet --connect test:///default "define d.xml; dumpxml d" > out
    grep -oE "<(target dev|mac address)='[^']+'" out | grep -E "'([vs]d[ab]|52:.*)'" | cut -d"'" -f2 | sed 's/^52.*://' | tr '\n' ' '
}

with=$(order "bus='virtio'" "bus='scsi'")
without=$(order "" "")
echo "written: vdb vda sdb sda 02 01"
echo "bus given:    $with"
echo "bus left out: $without"
[ "$with" = "vda vdb sda sdb 02 01 " ] && [ "$without" = "vda sda vdb sdb 02 01 " ] || { echo "libvirt orders devices otherwise now"; exit 1; }

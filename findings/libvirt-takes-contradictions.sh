#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). A domain's definition that contradicts itself.
# Guess: refused, as libvirt does with a scheduler for a vCPU that does not exist, or two disks of one target.
# Behaviour: a pin of such a vCPU is left out, a current memory above the memory is cut to it, and two NICs may have one MAC.
#   Nothing is said, also with --validate.
# Seen: vcpupin 9 of 2 left out; currentMemory 2 GiB of 1 GiB becomes 1 GiB; one MAC twice kept; vcpusched 9 and one target twice refused.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# defined PATTERN TUNING DEVICES: the lines of the domain that have the pattern after a define, or "refused"
defined() {
    cat > d.xml << END
<domain type="test"><name>d</name><memory unit="GiB">1</memory><currentMemory unit="GiB">2</currentMemory><vcpu>2</vcpu>
<cputune>$2</cputune><os><type arch="i686">hvm</type></os><devices>$3</devices></domain>
END
    virsh --quiet --connect test:///default "define d.xml --validate; dumpxml d" > out 2>&1 || { echo refused; return; }
    grep -oE "$1" out | xargs
}

nic="<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
disk="<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>"
{
    echo "memory: $(defined '<(current)?[mM]emory.*' '' '')"
    echo "pins: $(defined "vcpupin vcpu='.'" '<vcpupin vcpu="0" cpuset="0"/><vcpupin vcpu="9" cpuset="0"/>' '')"
    echo "scheduler: $(defined 'vcpusched.*' '<vcpusched vcpus="9" scheduler="fifo" priority="1"/>' '')"
    echo "MACs: $(defined "52:54:00:00:00:01" '' "$nic$nic")"
    echo "targets: $(defined "target dev=.*" '' "$disk$disk")"
} | tee seen
diff - seen << 'END' || { echo "libvirt takes contradictions otherwise now"; exit 1; }
memory: <memory unit=KiB>1048576</memory> <currentMemory unit=KiB>1048576</currentMemory>
pins: vcpupin vcpu=0
scheduler: refused
MACs: 52:54:00:00:00:01 52:54:00:00:00:01
targets: refused
END

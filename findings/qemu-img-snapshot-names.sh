#!/usr/bin/env bash
# qemu-img 7.2.22 (Debian 12's qemu-utils). Internal snapshots of a qcow2 image, by name.
# Guess: a name is taken once, as for bitmaps; going back to a snapshot changes what is in the disk, not its size.
# Behaviour: -c with a name that is there makes a second snapshot of it; -d deletes the first only. -a gives the disk the size
#   that it had then, also when it has been resized since.
# Seen: two snapshots "s", one after -d; a bitmap's name is refused the second time; 3M back to 2M by -a.
set -euo pipefail
qemu-img --version | grep -q 'version 7\.2\.22 ' || { echo "this is about qemu-img 7.2.22, here is: $(qemu-img --version | head -1)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

size() { qemu-img info --output=json d.qcow2 | sed -n 's/.*"virtual-size": \([0-9]*\),.*/\1/p'; }
count() { qemu-img snapshot -l d.qcow2 | grep -cE '^[0-9]+ +s ' || true; }

qemu-img create -q -f qcow2 d.qcow2 2M
qemu-img snapshot -c s d.qcow2
qemu-img snapshot -c s d.qcow2
twice=$(count)
qemu-img snapshot -d s d.qcow2
once=$(count)
qemu-img bitmap --add d.qcow2 b
refused=0
qemu-img bitmap --add d.qcow2 b || refused=$?
qemu-img bitmap --remove d.qcow2 b
qemu-img resize -q d.qcow2 3M
grown=$(size)
qemu-img snapshot -a s d.qcow2
echo "snapshots named s: $twice, after -d: $once; second bitmap: code $refused; size $grown, after -a: $(size)"
[ "$twice $once $refused $grown $(size)" = "2 1 1 3145728 2097152" ] || { echo "qemu-img does otherwise now"; exit 1; }

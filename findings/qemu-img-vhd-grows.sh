#!/usr/bin/env bash
# qemu-img 7.2.22 (Debian 12's qemu-utils). A disk is converted to VHD (vpc) and back, to qcow2.
# Guess: the virtual size stays, as with VMDK or VHDX; a whole number of MiB certainly does. info knows a VHD by its look.
# Behaviour: the size is rounded up to what cylinders, heads and sectors can say, and stays so in the qcow2 made of it: the copy does
#   not fit a volume of the first one's size. force_size=on keeps it. A fixed VHD is said to be raw, 512 bytes too long.
# Seen: 10 MiB (10485760) becomes 10514432; with force_size 10485760; fixed: format raw, 10486272.
set -euo pipefail
qemu-img --version | grep -q 'version 7\.2\.22 ' || { echo "this is about qemu-img 7.2.22, here is: $(qemu-img --version | head -1)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

told() { qemu-img info --output=json "$1" | sed -nE 's/^    "(virtual-size|format)": "?([a-z0-9]+)"?,.*/\2/p' | xargs; }

qemu-img create -q -f raw disk.raw 10M
qemu-img convert -f raw -O vpc disk.raw disk.vhd
qemu-img convert -f vpc -O qcow2 disk.vhd back.qcow2
qemu-img convert -f raw -O vpc -o force_size=on disk.raw exact.vhd
qemu-img convert -f raw -O vpc -o force_size=on,subformat=fixed disk.raw fixed.vhd
for file in disk.raw disk.vhd back.qcow2 exact.vhd fixed.vhd; do echo "$file: $(told $file)"; done | tee seen
diff - seen << 'END' || { echo "qemu-img does otherwise now"; exit 1; }
disk.raw: 10485760 raw
disk.vhd: 10514432 vpc
back.qcow2: 10514432 qcow2
exact.vhd: 10485760 vpc
fixed.vhd: 10486272 raw
END

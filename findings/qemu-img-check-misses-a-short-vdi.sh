#!/usr/bin/env bash
# qemu-img 7.2 (Debian 12).
# Guess: `qemu-img check` finds that an image is cut off, or `convert` fails at the first block that is not there.
# What happens: of a VDI whose last blocks are gone, check finds no errors, and convert reads them as zeros and ends with 0.
set -euo pipefail
command -v qemu-img >/dev/null || { apt-get install -qy qemu-utils >/dev/null; }
qemu-img --version | grep -q "version 7\.2" || { echo "another version: $(qemu-img --version | head -1)"; exit 2; }
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT; cd "$place"
head -c 8M /dev/urandom > disk.raw
qemu-img convert -f raw -O vdi disk.raw whole.vdi
head -c 4M whole.vdi > cut.vdi
qemu-img check -f vdi cut.vdi
qemu-img convert -f vdi -O raw cut.vdi out.raw
echo "bytes of the guest's disk: $(stat -c %s out.raw)"
tail -c 1M out.raw | tr -d '\0' | wc -c | grep -qx 0 && ! cmp -s disk.raw out.raw && echo "the last MiB is zeros, and nobody said so"

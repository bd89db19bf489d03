#!/usr/bin/env bash
# qemu-img 7.2.22 (Debian 12's qemu-utils). Images of different lengths are compared, committed and laid over one another.
# Guess: "identical" means as long as each other; an overlay shorter than its base, or longer when it is committed, is refused.
# Behaviour: compare says "Images are identical." with code 0 when the longer one ends in zeros (-s makes it code 1). create makes an
#   overlay that hides the end of its base, and says nothing. commit lets a longer overlay lengthen the base.
# Seen: compare 1M and 2M: 0, with -s: 1; overlay of 5M on 10M made; commit of an overlay of 20M: the base has 20M.
set -euo pipefail
qemu-img --version | grep -q 'version 7\.2\.22 ' || { echo "this is about qemu-img 7.2.22, here is: $(qemu-img --version | head -1)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

size() { qemu-img info --output=json "$1" | sed -n 's/.*"virtual-size": \([0-9]*\),.*/\1/p'; }

qemu-img create -q -f raw short.raw 1M
qemu-img create -q -f raw long.raw 2M
lax=0 strict=0
qemu-img compare short.raw long.raw || lax=$?
qemu-img compare -s short.raw long.raw || strict=$?
qemu-img create -q -f qcow2 base.qcow2 10M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 shorter.qcow2 5M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 longer.qcow2 20M
before=$(size base.qcow2)
qemu-img commit -q longer.qcow2
echo "compare: $lax, -s: $strict; overlay of $(size shorter.qcow2) bytes on $before; base after commit: $(size base.qcow2)"
[ "$lax $strict $before $(size base.qcow2)" = "0 1 10485760 20971520" ] || { echo "qemu-img does otherwise now"; exit 1; }

#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). A domain's <metadata> with the user's own elements.
# Guess: it is there for the user: all elements are kept, or the definition is refused.
# Behaviour: an element without a namespace, and the second element of a namespace, are left out. No error, also with --validate.
# Seen: <a/> of no namespace is gone; of <x:owner/> and <x:build/>, both of urn:x, only <x:owner/> is left.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# kept METADATA: the names of its elements that are there after a define with --validate
kept() {
    printf '<domain type="test"><name>d</name><metadata>%s</metadata><memory>1024</memory><vcpu>1</vcpu>%s</domain>' \
        "$1" '<os><type arch="i686">hvm</type></os>' > d.xml
    virsh --quiet --connect test:///default "define d.xml --validate; dumpxml d" > out
    sed -nE '/<metadata>/,/<\/metadata>/s/^ *<([a-z]+:[a-z]+|a)[ />].*/\1/p' out | xargs
}

none=$(kept '<a/>')
two=$(kept '<x:owner xmlns:x="urn:x">me</x:owner><x:build xmlns:x="urn:x">7</x:build>')
both=$(kept '<x:owner xmlns:x="urn:x">me</x:owner><y:build xmlns:y="urn:y">7</y:build>')
echo "no namespace: '$none'; two of one namespace: '$two'; one each of two: '$both'"
[ "$none/$two/$both" = "/x:owner/x:owner y:build" ] || { echo "libvirt keeps metadata otherwise now"; exit 1; }

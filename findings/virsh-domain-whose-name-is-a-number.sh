#!/usr/bin/env bash
# virsh of libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). A domain named "1", which is a valid name.
# Guess: a name is a name: "virsh destroy 1" is about the domain that libvirt lists under this name.
# Behaviour: what looks like a number is an id first. Ids are given anew at each start, so that the command is about whoever runs under
#   that number now, and about the domain of that name only while nobody does. --domain 1 is no different. lookupByName() is right.
# Seen: "destroy 1" ends the domain "test", whose id is 1; the next "dumpxml 1" is about the domain "1".
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
cat > one.xml << 'END'
<domain type="test"><name>1</name><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>
END
virsh --quiet --connect test:///default "define one.xml; list --all; destroy --domain 1; list --all; dumpxml 1" |
    sed -nE 's/^ +[0-9-]+ +(1|test) +(running|shut off)$/\1: \2/p; s/.*<name>(.*)<\/name>.*/dumpxml 1: \1/p' | tee seen
diff - seen << 'END' || { echo "virsh looks domains up otherwise now"; exit 1; }
test: running
1: shut off
1: shut off
test: shut off
dumpxml 1: 1
END

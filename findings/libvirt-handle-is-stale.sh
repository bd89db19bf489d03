#!/usr/bin/env bash
# libvirt-python 12.8.0 on libvirt 9.0.0 (Debian 12's libvirt-dev, gcc; the test driver, no daemon needed). Two handles of one domain.
# Guess: a handle asks libvirt, as state() and isActive() do; ID() is -1 exactly when the domain is off, name() is its name.
# Behaviour: ID() and name() are what they were when the handle was made, or when it started or stopped the domain itself.
#   Another handle's ID() stays -1 after a start and positive after a stop; not even the handle that renames learns the name.
# Seen: after start ID positive True / False, isActive 1; after stop False / True, isActive 0; after rename "one" / "one".
set -euo pipefail
[ "$(pkg-config --modversion libvirt)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-dev)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check libvirt-python==12.8.0
"$work/bin/python" - <<'PY'
import libvirt

XML = "<domain type='test'><name>one</name><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
connection = libvirt.open("test:///default")
first = connection.defineXML(XML)
second = connection.lookupByName("one")
first.create()
started = (first.ID() > 0, second.ID() > 0, second.isActive())
third = connection.lookupByName("one")
first.destroy()
stopped = (first.ID() > 0, third.ID() > 0, third.isActive())
first.rename("two")
names = (first.name(), third.name(), connection.lookupByUUID(third.UUID()).name())
print("after start: ID() positive {}, other handle {}, isActive {}".format(*started))
print("after stop:  ID() positive {}, other handle {}, isActive {}".format(*stopped))
print("after rename: {!r}, other handle {!r}, looked up anew {!r}".format(*names))
assert started == (True, False, 1), "handles learn of a start now"
assert stopped == (False, True, 0), "handles learn of a stop now"
assert names == ("one", "one", "two"), "handles learn of a new name now"
PY

#!/usr/bin/env bash
# oslo.versionedobjects 3.12.0: obj_what_changed(), by which save() methods decide which columns to write.
# Guess: a change of a child object counts as a change of its parent's field, whether the field is the object or a list of them;
#   setting a field to the value that it has is none.
# Behaviour: a field that is an object is asked for its own changes; a list of objects is not, neither for a change of an element nor
#   for one more. Setting the same value is a change.
# Seen: child: ['nic']; element of a list: []; appended: []; same number set again: ['cpus'].
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.versionedobjects==3.12.0
"$work/bin/python" -W ignore - <<'PY'
from oslo_versionedobjects import base, fields


@base.VersionedObjectRegistry.register
class Nic(base.VersionedObject):
    fields = {"mtu": fields.IntegerField()}


@base.VersionedObjectRegistry.register
class Machine(base.VersionedObject):
    fields = {"cpus": fields.IntegerField(), "nic": fields.ObjectField("Nic"), "nics": fields.ListOfObjectsField("Nic")}


def after(change):
    machine = Machine(cpus=2, nic=Nic(mtu=1500), nics=[Nic(mtu=1500)])
    machine.obj_reset_changes(recursive=True)
    change(machine)
    return sorted(machine.obj_what_changed())


seen = {
    "child": after(lambda machine: setattr(machine.nic, "mtu", 9000)),
    "element of a list": after(lambda machine: setattr(machine.nics[0], "mtu", 9000)),
    "appended": after(lambda machine: machine.nics.append(Nic(mtu=9000))),
    "same value": after(lambda machine: setattr(machine, "cpus", 2)),
}
print(seen)
assert seen == {"child": ["nic"], "element of a list": [], "appended": [], "same value": ["cpus"]}, "changes are seen otherwise now"
PY

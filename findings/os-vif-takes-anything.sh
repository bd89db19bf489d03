#!/usr/bin/env bash
# os-vif 5.3.0 on oslo.versionedobjects 3.12.0. A VIF with a misspelt field, an id that is no UUID, numbers that are not whole.
# Guess: "versioned objects" check what they are given: TypeError for a field that does not exist, ValueError for a bad value.
# Behaviour: an unknown field is set on the object and not sent with it; a UUID is any text (there is a warning); whole numbers are cut off (1500.9 is
#   1500, -1 an MTU), and the text 'no' is True. MAC addresses are checked.
# Seen: VIFBridge(addres=...) sends no address; id 'x'; mtu 1500 and -1; active='no' -> True; address='nope' -> ValueError.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check os-vif==5.3.0 oslo.versionedobjects==3.12.0
"$work/bin/python" - <<'PY'
import warnings

import os_vif
from os_vif.objects import network, vif

warnings.simplefilter("ignore")
os_vif.initialize()
misspelt = vif.VIFBridge(addres="fa:16:3e:00:00:01")
seen = {
    "fields sent": sorted(misspelt.obj_to_primitive()["versioned_object.data"]),
    "id": vif.VIFBridge(id="x").id,
    "mtu 1500.9": network.Network(mtu=1500.9).mtu,
    "mtu -1": network.Network(mtu=-1).mtu,
    "active 'no'": vif.VIFBridge(active="no").active,
}
print(seen)
assert seen == {
    "fields sent": [],
    "id": "x",
    "mtu 1500.9": 1500,
    "mtu -1": -1,
    "active 'no'": True,
}, "os-vif checks more now"
try:
    raise SystemExit(f"a bad address is taken: {vif.VIFBridge(address='nope')}")
except ValueError as error:
    print("address 'nope':", error)
PY

#!/usr/bin/env bash
# pyroute2 0.9.7 (in a network namespace of its own). Changes of a link with a misspelt value or attribute.
# Guess: an error from pyroute2, which knows the words, or from the kernel.
# Behaviour: a success that changes nothing. A state other than 'up' is 'down': 'UP' and True switch a link off that was on. A bridge's
#   attribute with a letter missing, or without kind='bridge', is sent to nobody. A look-up by a name that is none finds nothing.
# Seen: up -> down by 'UP' and by True; forward delay unchanged, no error; link_lookup(ifnmae='br0') == [].
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check pyroute2==0.9.7
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
unshare --net "$work/bin/python" - <<'PY'
from pyroute2 import IPRoute


def delay(ip, index):
    return ip.get_links(index)[0].get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA").get("IFLA_BR_FORWARD_DELAY")


seen = {}
with IPRoute() as ip:
    ip.link("add", ifname="br0", kind="bridge")
    index = ip.link_lookup(ifname="br0")[0]
    for word in ("UP", True):
        ip.link("set", index=index, state="up")
        ip.link("set", index=index, state=word)
        seen[f"state={word!r}"] = ip.get_links(index)[0]["state"]
    before = delay(ip, index)
    for wrong in ({"kind": "bridge", "br_forward_dealy": 700}, {"br_forward_delay": 700}):
        ip.link("set", index=index, **wrong)
        seen[str(wrong)] = "changed" if delay(ip, index) != before else "unchanged"
    ip.link("set", index=index, kind="bridge", br_forward_delay=700)
    seen["as it should be"] = "changed" if delay(ip, index) != before else "unchanged"
    seen["link_lookup(ifnmae='br0')"] = ip.link_lookup(ifnmae="br0")
for what, outcome in seen.items():
    print(f"{what:<50} {outcome}")
assert list(seen.values()) == ["down", "down", "unchanged", "unchanged", "changed", []], "pyroute2 checks more now"
PY

#!/usr/bin/env bash
# cloud-init 22.4.2 (Debian 12's package, unpacked, not installed). Three ways to write the default routes in a network-config (version 2).
# Guess: "to: default", "to: 0.0.0.0/0" with "to: ::/0", and gateway4 with gateway6 are the same thing to each renderer.
# Behaviour: "default", the form that netplan recommends, is a ValueError in eni and networkd: no network at all. "::/0" becomes ::/64
#   there: no IPv6 default route, and no error. Only the gateway keys are right everywhere, which netplan has deprecated.
# Seen: see the table printed; networkd: ValueError, Destination=::/64, Gateway=fd00::1.
set -euo pipefail
version=22.4.2-1+deb12u4
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 "cloud-init=$version" 2> apt-said ||
    { echo "this is about cloud-init $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
dpkg-deb --extract cloud-init_*.deb package
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check \
    pyyaml==6.0.4 configobj==5.0.9 jinja2==3.1.6 jsonschema==4.26.0 jsonpatch==1.33 requests==2.32.3 oauthlib==3.2.2
PYTHONPATH=package/usr/lib/python3/dist-packages venv/bin/python - <<'PY'
import logging
import pathlib
import tempfile

from cloudinit.net import eni, netplan, network_state, networkd

logging.disable()
routes = {
    "default": [{"to": "default", "via": "10.0.0.1"}, {"to": "default", "via": "fd00::1"}],
    "/0": [{"to": "0.0.0.0/0", "via": "10.0.0.1"}, {"to": "::/0", "via": "fd00::1"}],
    "gateways": [],
}
expected = {
    "default": {"netplan": "both", "eni": "ValueError", "networkd": "ValueError"},
    "/0": {"netplan": "both", "eni": "IPv4 only", "networkd": "IPv4 only"},
    "gateways": {"netplan": "both", "eni": "both", "networkd": "both"},
}


def render(form, module):
    nic = {"match": {"macaddress": "fa:16:3e:00:00:01"}, "set-name": "eth0", "addresses": ["10.0.0.5/24", "fd00::5/64"]}
    nic |= {"routes": routes[form]} if routes[form] else {"gateway4": "10.0.0.1", "gateway6": "fd00::1"}
    settings = {"netplan_path": "netplan.yaml", "postcmds": False} if module is netplan else None
    with tempfile.TemporaryDirectory() as folder:
        try:
            renderer = module.Renderer(settings)
            config = {"version": 2, "ethernets": {"nic0": nic}}
            state = network_state.parse_net_config_data(config, renderer=renderer)
            renderer.render_network_state(state, target=folder)
        except ValueError:
            return "ValueError"
        text = "\n".join(path.read_text() for path in pathlib.Path(folder).rglob("*") if path.is_file())
    assert "10.0.0.1" in text and "fd00::1" in text, text
    return "IPv4 only" if "::/64" in text.replace("fd00::5/64", "") else "both"


seen = {form: {m.__name__.split(".")[-1]: render(form, m) for m in (netplan, eni, networkd)} for form in routes}
for form, outcome in seen.items():
    print(f"{form:<9}", *(f"{name}: {text:<12}" for name, text in outcome.items()))
assert seen == expected, "default routes are rendered otherwise now"
PY

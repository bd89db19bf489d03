#!/usr/bin/env bash
# cloud-init 22.4.2 (Debian 12's package, unpacked, not installed). One network-config (version 2), by three renderers.
# Guess: what netplan's format can say (on-link, metric, table, accept-ra) is rendered by all, or refused where it can't be.
# Behaviour: only the netplan renderer passes it on. eni and networkd drop on-link, so the route through a router outside the subnet is
#   refused by the kernel; they drop table, so the route goes to the main table; and metric, and accept-ra: false.
#   eni hides the failure behind "|| true", writes nameservers as a Python dict, and gives them to lo as well.
# Seen: see the lines printed; netplan has all four words, eni and networkd none of them.
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

import yaml
from cloudinit.net import eni, netplan, network_state, networkd

logging.disable()
config = yaml.safe_load("""
version: 2
ethernets:
  nic0:
    match: {macaddress: "fa:16:3e:00:00:01"}
    set-name: eth0
    addresses: [10.0.0.5/24]
    accept-ra: false
    nameservers: {addresses: [10.0.0.2]}
    routes: [{to: 10.9.0.0/24, via: 10.99.0.1, on-link: true, metric: 5, table: 100}]
""")
settings = {"netplan_path": "netplan.yaml", "postcmds": False}
wanted = {
    "netplan": {"on-link: true", "metric: 5", "table: 100", "accept-ra: false"},
    "eni": {"gw 10.99.0.1 || true", "dns {'nameservers': ['10.0.0.2']"},
    "networkd": {"Gateway=10.99.0.1"},
}
lost = ("onlink", "on-link", "metric", "table", "100", "accept_ra", "IPv6AcceptRA")
for module in (netplan, eni, networkd):
    name = module.__name__.split(".")[-1]
    with tempfile.TemporaryDirectory() as folder:
        renderer = module.Renderer(settings if name == "netplan" else None)
        state = network_state.parse_net_config_data(config, renderer=renderer)
        renderer.render_network_state(state, target=folder)
        text = "\n".join(path.read_text() for path in pathlib.Path(folder).rglob("*") if path.is_file() and "udev" not in str(path))
    print(f"--- {name}", *(line for line in text.splitlines() if line.strip()), sep="\n")
    assert all(words in text for words in wanted[name]), f"{name} is rendered otherwise now"
    if name != "netplan":
        assert not [word for word in lost if word.lower() in text.lower()], f"{name} keeps more now"
PY

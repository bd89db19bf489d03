#!/usr/bin/env bash
# cloud-init 22.4.2 (Debian 12's package, unpacked, not installed). User data of two parts, each a cloud-config with a list of commands.
# Guess: the parts add up: both lists are done, one after the other. What a part cannot have (YAML that is broken, a way of merging
#   that does not exist) is an error.
# Behaviour: the later part's lists and mappings replace the earlier one's: the first part's commands are never run. A part
#   that is no YAML is left out. A misspelt word in Merge-Type is passed over, and then it is the later part's lists that are lost.
# Seen: runcmd of [a] and [b]: [b]; with Merge-Type list(append): [a, b]; with list(apend): [a]; second part broken: [a]; no exception.
set -euo pipefail
version=22.4.2-1+deb12u4
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 "cloud-init=$version" 2> apt-said ||
    { echo "this is about cloud-init $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
dpkg-deb --extract cloud-init_*.deb package
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check \
    pyyaml==6.0.4 configobj==5.0.9 jinja2==3.1.6 jsonpatch==1.33 requests==2.32.3 oauthlib==3.2.2
PYTHONPATH=package/usr/lib/python3/dist-packages venv/bin/python - <<'PY'
import logging
import os
import tempfile

import yaml

from cloudinit.handlers import cloud_config

logging.disable()


class Paths:
    def __init__(self, folder):
        self.folder = folder

    def get_ipath(self, name):
        return os.path.join(self.folder, name)


def merged(*parts):
    """What is done of these parts: pairs of a Merge-Type (or None) and a text."""
    with tempfile.TemporaryDirectory() as folder:
        handler = cloud_config.CloudConfigPartHandler(Paths(folder))
        handler.handle_part(None, "__begin__", None, None, None, {})
        for number, (how, text) in enumerate(parts):
            headers = {"Merge-Type": how} if how else {}
            handler.handle_part(None, "text/cloud-config", f"part-{number}", text, None, headers)
        handler.handle_part(None, "__end__", None, None, None, {})
        with open(handler.cloud_fn) as file:
            config = yaml.safe_load(file)
    return config["runcmd"], config["ntp"]


first = (None, "#cloud-config\nruncmd: [a]\nntp: {servers: [one], enabled: true}\n")
second = "#cloud-config\nruncmd: [b]\nntp: {servers: [two]}\n"
seen = {
    "no Merge-Type": merged(first, (None, second)),
    "list(append)": merged(first, ("list(append)+dict(no_replace,recurse_list)+str()", second)),
    "list(apend)": merged(first, ("list(apend)+dict(no_replace,recurse_lists)+str()", second)),
    "broken": merged(first, (None, "#cloud-config\nruncmd: [b\n")),
}
for how, (runcmd, ntp) in seen.items():
    print(f"{how}: runcmd {runcmd}, ntp {ntp}")
assert [runcmd for runcmd, _ in seen.values()] == [["b"], ["a", "b"], ["a"], ["a"]], "parts are merged otherwise now"
assert seen["no Merge-Type"][1] == {"servers": ["two"]}, "mappings are merged now"
PY

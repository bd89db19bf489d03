#!/usr/bin/env bash
# cloud-init 22.4.2 (Debian 12's package, unpacked, not installed). Slips in user data: a jinja variable, a key at the top.
# Guess: what the template cannot know is an error, or nothing; `cloud-init schema` finds a key that no module has, as it does further in.
# Behaviour: a variable that is missing becomes the text CI_MISSING_JINJA_VAR/NAME, the host's name for one. One level deeper the
#   whole template is dropped. A misspelt key at the top is valid, and nothing is done for it; inside an entry it is an error.
# Seen: hostname CI_MISSING_JINJA_VAR/hostname; `v1.nope.deeper`: None; "runcmds" valid; "contents" in write_files an error.
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
import contextlib
import io
import logging
import pathlib
import tempfile

from cloudinit.config import schema
from cloudinit.handlers.jinja_template import render_jinja_payload

logging.disable()
KNOWN = {"v1": {"local_hostname": "web"}}


def rendered(expression):
    return render_jinja_payload(f"## template: jinja\nhostname: {{{{ {expression} }}}}\n", "part-1", KNOWN)


def checked(text):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = pathlib.Path(folder, "user-data")
        path.write_text("#cloud-config\n" + text)
        try:
            schema.validate_cloudconfig_file(str(path), schema.get_schema())
        except schema.SchemaValidationError:
            return "an error"
    return "valid"


texts = {expression: rendered(expression) for expression in ("v1.local_hostname", "hostname", "v1.hostname", "v1.nope.deeper")}
slips = {text: checked(text) for text in ("runcmds: [a]\n", "runcmd: a\n", "write_files: [{path: /a, contents: b}]\n")}
for expression, text in texts.items():
    print(f"{expression}: {text!r}")
for text, said in slips.items():
    print(f"{text.strip()}: {said}")
missing = "hostname: CI_MISSING_JINJA_VAR/hostname\n"
assert list(texts.values()) == ["hostname: web\n", missing, missing, None], "missing variables are told otherwise now"
assert list(slips.values()) == ["valid", "an error", "an error"], "slips at the top are found now"
PY

#!/usr/bin/env bash
# ruamel.yaml 0.19.1 and PyYAML 6.0.4. A mapping of texts, written by the one and read by the other.
# Guess: whoever writes YAML quotes the texts that could be read as something else, so it comes back as it went.
# Behaviour: each quotes for its own version of YAML. ruamel's (1.2) leaves 52:54:00:12:34:56 bare, and PyYAML (1.1) counts by 60: of
#   KVM's addresses one in 78 is a number, the others are texts. So are times and ports such as 22:22; "no" and "on" become booleans.
#   The other way PyYAML leaves 12e03 and 08 bare, which ruamel reads as numbers. (cloud-init and Ansible read with PyYAML.)
# Seen: '52:54:00:12:34:56' -> 41135085296, '52:54:00:12:34:5a' as it was, '22:22' -> 1342, 'no' -> False; '12e03' -> 12000.0, '08' -> 8.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check ruamel.yaml==0.19.1 pyyaml==6.0.4
"$work/bin/python" - <<'PY'
import io
import json

import ruamel.yaml
import yaml

TEXTS = ("52:54:00:12:34:56", "52:54:00:12:34:5a", "22:22", "no", "12e03", "08")


def by_ruamel(value):
    written = io.StringIO()
    ruamel.yaml.YAML(typ="safe", pure=True).dump(value, written)
    return written.getvalue()


there = {text: yaml.safe_load(by_ruamel({"it": text}))["it"] for text in TEXTS}
back = {text: ruamel.yaml.YAML(typ="safe", pure=True).load(yaml.safe_dump({"it": text}))["it"] for text in TEXTS}
as_json = {text: yaml.safe_load(json.dumps({"it": text}))["it"] for text in TEXTS}
for text in TEXTS:
    print(f"{text!r:<20} ruamel to PyYAML {there[text]!r:<20} PyYAML to ruamel {back[text]!r:<20} JSON to PyYAML {as_json[text]!r}")
same = {text: text for text in TEXTS}
assert there == same | {"52:54:00:12:34:56": 41135085296, "22:22": 1342, "no": False}, "PyYAML reads what ruamel.yaml writes now"
assert back == same | {"12e03": 12000.0, "08": 8}, "ruamel.yaml reads what PyYAML writes now"
assert as_json == same
PY

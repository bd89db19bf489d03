#!/usr/bin/env bash
# python-hcl2 8.1.4, loads(). Terraform's own files, as data.
# Guess: what terraform and its JSON syntax have: "web" is the text web, a heredoc its lines, 1e3 a number; b and "b" are one key.
# Behaviour: texts keep their quotes and escapes, a heredoc its markers too. Keys and labels keep theirs: {b = 1} and {"b" = 1} have
#   different keys. 1e3 is the text of an expression. An argument that is given twice, which Terraform refuses, is its last value.
# Seen: {'name': '"web"'}; {'b': 1} and {'"b"': 1}; '${1e3}'; '"<<EOF\nhi\nEOF"'; size = 1 and 2: 2.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check python-hcl2==8.1.4
"$work/bin/python" - <<'PY'
import hcl2

expected = {
    'name = "web"\n': {"name": '"web"'},
    'text = "a\\nb"\n': {"text": '"a\\nb"'},
    "text = <<EOF\nhi\nEOF\n": {"text": '"<<EOF\nhi\nEOF"'},
    "tags = {b = 1}\n": {"tags": {"b": 1}},
    'tags = {"b" = 1}\n': {"tags": {'"b"': 1}},
    "size = 1.5\n": {"size": 1.5},
    "size = 1e3\n": {"size": "${1e3}"},
    "size = 1\nsize = 2\n": {"size": 2},
}
seen = {text: hcl2.loads(text) for text in expected}
for text, value in seen.items():
    print(f"{text!r:<30} {value}")
assert seen == expected, "it reads otherwise now"
PY

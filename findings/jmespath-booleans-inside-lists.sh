#!/usr/bin/env bash
# jmespath 1.1.0 (what the AWS and Azure command lines and Ansible's json_query are made with). 1 and true, at the top and in a list.
# Guess: JSON's true is not 1, wherever they stand; it is what `==` says of the two by themselves.
# Behaviour: only the outermost values are kept apart. In lists and mappings Python compares, where True is 1: [1] equals [true],
#   contains() finds true in a list of numbers, which the filter [?@==...] does not. 'quoted' and "quoted" are
#   two things as well: a text, and the name of a field, which is null without a word when there is none.
# Seen: contains([0,1,2], `true`) True, [?@==`true`] [], `1`==`true` False, `[1]`==`[true]` True; name=="x" finds nothing.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check jmespath==1.1.0
"$work/bin/python" - <<'PY'
import jmespath

GIVEN = {"one": 1, "yes": True, "numbers": [0, 1, 2], "ports": [{"name": "x"}, {"name": "y"}]}
expected = {
    "one == yes": False,
    "one == `true`": False,
    "[one] == [yes]": True,
    "`{\"a\": 1}` == `{\"a\": true}`": True,
    "contains(numbers, `true`)": True,
    "contains(numbers, `false`)": True,
    "numbers[?@ == `true`]": [],
    "ports[?name == 'x'].name": ["x"],
    'ports[?name == "x"].name': [],
}
seen = {expression: jmespath.search(expression, GIVEN) for expression in expected}
for expression, answer in seen.items():
    print(f"{expression:<28} {answer}")
assert seen == expected, "booleans are compared otherwise now"
PY

#!/usr/bin/env bash
# cel-expr-python 0.1.3 (Google's CEL, bound to Python). A mapping goes in, its keys come out.
# Guess: keys come in the order of the dict, as everywhere in Python, or at least always in one order.
# Behaviour: the order is another in each process, for what is passed in as for what the expression has itself, in map() and filter(), and
#   in the dict that comes back. What is built from it, a list of steps or a digest, is not the same after a restart.
# Seen: 8 processes, as a rule 8 orders of the same eight keys; never one.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet --disable-pip-version-check cel-expr-python==0.1.3
cat > "$work/once.py" <<'PY'
from cel_expr_python import cel

keys = "abcdefgh"
environment = cel.NewEnv(variables={"given": cel.Type.Map(cel.Type.STRING, cel.Type.INT)})
literal = "{" + ", ".join(f"'{key}': 1" for key in keys) + "}.map(key, key)"
data = {"given": dict.fromkeys(keys, 1)}
seen = [environment.compile(text).eval(data=data).plain_value() for text in ("given.map(key, key)", literal, "given")]
assert all(sorted(one) == list(keys) for one in seen)
print("map of given:", "".join(seen[0]), " map of a literal:", "".join(seen[1]), " given, come back:", "".join(seen[2]))
PY
for _ in 1 2 3 4 5 6 7 8; do PYTHONHASHSEED=0 "$work/venv/bin/python" "$work/once.py"; done | tee "$work/seen"
for field in 4 9 13; do
    [ "$(awk "{print \$$field}" "$work/seen" | sort -u | wc -l)" -gt 1 ] || { echo "the keys keep one order now"; exit 1; }
done

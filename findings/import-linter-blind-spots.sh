#!/usr/bin/env bash
# import-linter 2.17. A contract of two layers, low may not import high; the same forbidden import in several places.
# Guess: every .py file under the root package is read; a name in a contract that matches nothing is an error, as an absent layer is.
# Behaviour: a directory without __init__.py is skipped with all that is in it, though Python imports it; a module reached through a link
#   at the top is a stranger; a forbidden "app.hihg.*" that matches nothing is kept. Each time the contract is "kept", code 0.
# Seen: plain import: broken; in a directory without __init__.py: kept; through the link: kept; misspelt wildcard: kept.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check import-linter==2.17
mkdir -p app/high app/low/plain
touch app/__init__.py app/high/__init__.py app/low/__init__.py app/high/thing.py
ln -s app/high high

# lint [CONTRACT]: what import-linter says of the tree; the code in it is run as well, to show that the import works
lint() {
    printf '[importlinter]\nroot_package = app\n[importlinter:contract:1]\nname = low knows nothing of high\n%s\n' "$1" > .importlinter
    PYTHONPATH=. venv/bin/lint-imports --no-cache > log 2>&1 && echo kept || { grep -q ' 1 broken' log && echo broken || { cat log; exit 1; }; }
}
layers='type = layers
layers =
    app.high
    app.low'
wildcard='type = forbidden
source_modules = app.low
forbidden_modules = app.hihg.*'

echo 'import app.high.thing' > app/low/user.py
seen="plain: $(lint "$layers"), misspelt wildcard: $(lint "$wildcard")"
mv app/low/user.py app/low/plain/user.py
PYTHONPATH=. python3 -c 'import app.low.plain.user'
seen+=", directory without __init__.py: $(lint "$layers")"
rm app/low/plain/user.py
echo 'import high.thing' > app/low/user.py
PYTHONPATH=. python3 -c 'import app.low.user'
seen+=", through a link: $(lint "$layers")"
echo "$seen"
[ "$seen" = "plain: broken, misspelt wildcard: kept, directory without __init__.py: kept, through a link: kept" ] ||
    { echo "import-linter sees otherwise now"; exit 1; }

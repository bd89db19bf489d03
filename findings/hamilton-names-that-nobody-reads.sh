#!/usr/bin/env bash
# sf-hamilton 1.90.0 (flows made of functions, joined by the names of their parameters). execute() with inputs and overrides.
# Guess: a name that no function has is an error, as an unknown function to execute is; an input for what a function computes counts, or is
#   refused; a result of another type than is declared is refused, as joining functions of different types is.
# Behaviour: unknown inputs and overrides are passed over, so a misspelt optional parameter keeps its default; an input named as a function
#   is passed over, too; types are compared between declarations, never with what a function returns.
# Seen: disk 20 for size=20; default 5 for sise=20 and for an override of "disks"; input "base" ignored; 'text' for an int.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check sf-hamilton==1.90.0
cat > flow.py <<'PY'
def base(start: int) -> int:
    return start


def disk(base: int, size: int = 5) -> int:
    return base + size


def promised() -> int:
    return "text"


def wanted(promised: int) -> str:
    return repr(promised)
PY
HAMILTON_TELEMETRY_ENABLED=false venv/bin/python - 2> log <<'PY' || { tail -3 log; exit 1; }
import flow
from hamilton import driver

dag = driver.Builder().with_modules(flow).build()


def execute(name, overrides=None, **inputs):
    try:
        return dag.execute([name], inputs={"start": 0, **inputs}, overrides=overrides or {})[name]
    except Exception as error:
        return type(error).__name__


# what is asked, the guess, what comes
table = {
    "unknown function": (execute("dsk"), "ValueError", "ValueError"),
    "size=20": (execute("disk", size=20), 20, 20),
    "sise=20": (execute("disk", sise=20), "ValueError", 5),
    "override of disk": (execute("disk", {"disk": 9}), 9, 9),
    "override of disks": (execute("disk", {"disks": 9}), "ValueError", 5),
    "input base=100": (execute("disk", base=100), 105, 5),
    "int that is a text": (execute("wanted"), "TypeError", "'text'"),
}
for name, (seen, guess, _) in table.items():
    print(f"{name:<19} guess {guess!s:<10} seen {seen}")
assert all(seen == known for seen, _, known in table.values()), "names or types are checked now"
PY

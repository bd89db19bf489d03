#!/usr/bin/env bash
# dogpile.cache 1.5.0, cache_on_arguments() with its own key generator and the memory backend.
# Guess: calls with different arguments have different keys.
# Behaviour: the key is the texts of the arguments with blanks between them. f('a b') and f('a', 'b') are one call, and so are 1 and
#   '1', None and 'None', and the list [1] and its text; the second caller is given what was made for the first. As `self` is left out,
#   all objects of a class have one cache.
# Seen: the function ran 5 times for 10 different calls; host('eu').size('x') gives what host('us') made.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check dogpile.cache==1.5.0
"$work/bin/python" - <<'PY'
from dogpile.cache import make_region

region = make_region().configure("dogpile.cache.memory")
ran = []


@region.cache_on_arguments()
def asked(*arguments):
    ran.append(arguments)
    return arguments


class Host:
    def __init__(self, place):
        self.place = place

    @region.cache_on_arguments()
    def size(self, name):
        return f"{name} in {self.place}"


pairs = [(("a b",), ("a", "b")), ((1,), ("1",)), ((None,), ("None",)), (([1],), ("[1]",)), ((True,), ("True",))]
seen = [(asked(*first), asked(*second)) for first, second in pairs]
for (first, second), answers in zip(pairs, seen):
    print(f"asked{first} and asked{second}: {answers[0]} and {answers[1]}")
hosts = (Host("us").size("x"), Host("eu").size("x"))
print("ran", len(ran), "times; of two hosts:", hosts)
assert seen == [(first, first) for first, _ in pairs] and len(ran) == len(pairs), "keys tell arguments apart now"
assert hosts == ("x in us", "x in us"), "objects have caches of their own now"
PY

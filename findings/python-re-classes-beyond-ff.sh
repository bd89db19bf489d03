#!/usr/bin/env bash
# Python 3.11's re. Compiling a class of characters with several ranges beyond U+00FF.
# Guess: as long as any other class of as many ranges: some 50 µs.
# Behaviour: a map of 65,536 characters is filled and packed in Python, 50 times as long or more. PyYAML pays for one such class
#   (its NON_PRINTABLE) with each `import yaml`.
# Seen: 0.05 ms and 5 ms.
set -euo pipefail
python3 - <<'PY'
import re
import sys
from timeit import repeat

if sys.version_info[:2] != (3, 11):
    sys.exit(2)


def least(pattern: str) -> float:
    def compile_it() -> None:
        re.purge()
        re.compile(pattern)

    return min(repeat(compile_it, number=1, repeat=20))


plain = least("[^\t\n\r\x20-\x7e\xa0-\xff]")
wide = least("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
print(f"{plain * 1000:.2f} ms, {wide * 1000:.2f} ms")
assert wide > 10 * plain, "such a class is compiled as fast as others now"
PY

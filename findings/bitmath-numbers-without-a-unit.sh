#!/usr/bin/env bash
# bitmath 2.1.1. A size compared with a plain number, and one text read by both ways of parse_string().
# Guess: a plain number is a count of bytes, or an error; strict=False takes more spellings than the strict way, and reads those that
#   both take alike.
# Behaviour: a plain number has whatever unit is on the other side: MiB(1) and KiB(1) are both equal to 1, which they are not to each
#   other, and 8 MiB is below 4096. strict=False reads every unit as one of bytes by 1024: 'kB' as KiB, and 'Mb', megabits, as MiB.
# Seen: MiB(1) == 1 == KiB(1); MiB(8) < 4096; '1 kB': kB, KiB; '8 Mb': Mb, MiB, more than eight times as much.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check bitmath==2.1.1
"$work/bin/python" - <<'PY'
from bitmath import KiB, MiB, parse_string

compared = {
    "MiB(1) == 1": MiB(1) == 1,
    "KiB(1) == 1": KiB(1) == 1,
    "MiB(1) == KiB(1)": MiB(1) == KiB(1),
    "MiB(8) < 4096": MiB(8) < 4096,
    "MiB(8) < KiB(4)": MiB(8) < KiB(4),
}
read = {text: (parse_string(text).bytes, parse_string(text, strict=False).bytes) for text in ("1 kB", "1 KiB", "8 Mb", "8 MB")}
for text, answer in compared.items():
    print(f"{text:<18} {answer}")
for text, (strict, lenient) in read.items():
    print(f"{text:<18} {strict:.0f} bytes, with strict=False {lenient:.0f}")
assert list(compared.values()) == [True, True, False, True, False], "numbers have a unit of their own now"
assert read == {"1 kB": (1000, 1024), "1 KiB": (1024, 1024), "8 Mb": (10**6, 2**23), "8 MB": (8 * 10**6, 2**23)}, "both ways agree now"
PY

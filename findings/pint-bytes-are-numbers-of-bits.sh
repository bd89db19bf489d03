#!/usr/bin/env bash
# Pint 0.25.3. A size in bytes that becomes a number, or that is set beside one.
# Guess: int() of a quantity of bytes is that many, or is refused, as it is for metres; adding 1 to bytes is refused.
# Behaviour: bits have no dimension, so they are the number 1, and a byte is the number 8. int() and float() give bits, silently, even
#   after .to('byte'); 1 byte + 1 is 9; 1 GiB is not equal to 2**30; a rate of bytes is one of hertz. Only .magnitude keeps to the unit.
#   Sizes side by side are multiplied, as hours and minutes are: '1 GiB 512 MiB' is no error either.
# Seen: int(1 GiB in byte) 8589934592, .magnitude 1073741824; 1 byte + 1 = 9; 1 byte/s = 8 Hz; int('2 byte 3 byte') 384.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check pint==0.25.3
"$work/bin/python" - <<'PY'
import pint

units = pint.UnitRegistry()
size = units.Quantity("1 GiB").to("byte")
seen = {
    "magnitude": size.magnitude,
    "int()": int(size),
    "float()": float(size),
    "== 2**30": size == 2**30,
    "1 byte + 1": str(units.Quantity("1 byte") + 1),
    "1 byte/s in Hz": units.Quantity("1 byte/s").to("Hz").magnitude,
    "int(2 byte 3 byte)": int(units.Quantity("2 byte 3 byte")),
}
try:
    int(units.Quantity("1 m"))
except pint.DimensionalityError:
    seen["int(1 m)"] = "refused"
for what, value in seen.items():
    print(f"{what:<19} {value}")
assert seen == {
    "magnitude": 2**30,
    "int()": 2**33,
    "float()": 2.0**33,
    "== 2**30": False,
    "1 byte + 1": "9 dimensionless",
    "1 byte/s in Hz": 8,
    "int(2 byte 3 byte)": 6 * 64,
    "int(1 m)": "refused",
}, "bytes become numbers otherwise now"
PY

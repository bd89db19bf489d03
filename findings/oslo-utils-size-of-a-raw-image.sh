#!/usr/bin/env bash
# oslo.utils 10.2.0, imageutils.format_inspector.detect_file_format(): what Nova and Glance ask of an image file.
# Guess: virtual_size is the size of the disk, as it is for qcow2, VMDK and VHDX.
# Behaviour: of a raw file it is how much was read until the format was clear: 256 KiB of every larger file. The same inspector, fed
#   the whole file, gives its size. (The module needs cryptography, which oslo.utils alone does not bring along.)
# Seen: raw of 100 bytes: 100; of 10 MiB: 262144; fed whole: 10485760.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check oslo.utils==10.2.0 cryptography==50.0.2
"$work/bin/python" - <<'PY'
import pathlib
import tempfile

from oslo_utils.imageutils import format_inspector

seen = {}
with tempfile.TemporaryDirectory() as folder:
    for size in (100, 10 * 2**20):
        path = pathlib.Path(folder, "disk.raw")
        path.write_bytes(bytes(size))
        found = format_inspector.detect_file_format(str(path))
        seen[size] = (str(found), found.virtual_size)
    whole = format_inspector.InspectWrapper(path.open("rb"))
    while whole.read(65536):
        pass
    whole.close()
for size, (name, told) in seen.items():
    print(f"{size} bytes: {name}, virtual_size {told}")
print("fed whole:", whole.format.virtual_size)
assert seen == {100: ("raw", 100), 10 * 2**20: ("raw", 262144)}, "virtual_size of raw is another now"
assert whole.format.virtual_size == 10 * 2**20
PY

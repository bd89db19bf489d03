#!/usr/bin/env bash
# pycdlib 1.22.0. Two files are added to an image under one name, in ISO 9660, Joliet and Rock Ridge alike.
# Guess: an error at the second add_fp(), as add_directory() gives for a directory that is there.
# Behaviour: taken and written. Whoever opens the image finds one name: by its ISO and Joliet path it has the contents of both
#   files, one after the other (two records of one name mean parts of one file); by its Rock Ridge path only the second's.
# Seen: b'firstsecond!', b'firstsecond!', b'second!'.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check pycdlib==1.22.0
"$work/bin/python" - <<'PY'
import io

import pycdlib

image = pycdlib.PyCdlib()
image.new(rock_ridge="1.09", joliet=3)
for content in (b"first", b"second!"):
    image.add_fp(io.BytesIO(content), len(content), "/A.;1", rr_name="user-data", joliet_path="/user-data")
written = io.BytesIO()
image.write_fp(written)
image.add_directory("/DIR", rr_name="dir")
try:
    image.add_directory("/DIR", rr_name="dir")
    raise SystemExit("directories are taken twice now")
except pycdlib.pycdlibexception.PyCdlibInvalidInput as error:
    print("a directory twice:", error)

opened = pycdlib.PyCdlib()
opened.open_fp(written)
seen = []
for path in ({"iso_path": "/A.;1"}, {"joliet_path": "/user-data"}, {"rr_path": "/user-data"}):
    content = io.BytesIO()
    opened.get_file_from_iso_fp(content, **path)
    seen.append(content.getvalue())
    print(path, content.getvalue())
assert seen == [b"firstsecond!", b"firstsecond!", b"second!"], "pycdlib treats names otherwise now"
PY

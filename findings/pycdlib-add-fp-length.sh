#!/usr/bin/env bash
# pycdlib 1.22.0. add_fp(file, length, path): a length that is not the file's, and a file that has been read in part.
# Guess: reading begins where the file object stands and when it is added; a length beyond its end is an error.
# Behaviour: contents are read when the image is written (or read), from the file's beginning; what is missing is filled with zeros, and
#   what is too much is left out. So a file object that is changed or closed before write() changes or breaks the image.
# Seen: length 9 of b'ab' -> b'ab' and seven zeros; standing at 2 of b'abcd' -> b'ab'; overwritten after add_fp -> the new bytes.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check pycdlib==1.22.0
"$work/bin/python" - <<'PY'
import io

import pycdlib


def through(file, length, after=lambda: None):
    image, written, opened, content = pycdlib.PyCdlib(), io.BytesIO(), pycdlib.PyCdlib(), io.BytesIO()
    image.new()
    image.add_fp(file, length, "/A.;1")
    after()
    image.write_fp(written)
    opened.open_fp(written)
    opened.get_file_from_iso_fp(content, iso_path="/A.;1")
    return content.getvalue()


part = io.BytesIO(b"abcd")
part.seek(2)
late = io.BytesIO(b"early")
seen = [
    through(io.BytesIO(b"ab"), 9),
    through(part, 2),
    through(late, 5, after=lambda: late.seek(0) or late.write(b"later")),
]
print("too long: {}; read in part: {}; changed before write: {}".format(*seen))
assert seen == [b"ab" + bytes(7), b"ab", b"later"], "add_fp takes contents otherwise now"
PY

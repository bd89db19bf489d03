#!/usr/bin/env bash
# pycdlib 1.22.0. An image with two empty files is opened, and one of them is removed with rm_file().
# Guess: the other one stays, as it does when the image has just been made and not yet written.
# Behaviour: empty files have no data and so the same place on the disk; once the image is opened from a file they are held for links
#   to one another, and rm_file() takes all of them. Files with equal contents are not. rm_hard_link() takes just one.
# Seen: made: B stays; opened: A and B are gone; rm_hard_link: B stays.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check pycdlib==1.22.0
"$work/bin/python" - <<'PY'
import io

import pycdlib


def make():
    image = pycdlib.PyCdlib()
    image.new()
    for name, content in (("A", b""), ("B", b""), ("C", b"same"), ("D", b"same")):
        image.add_fp(io.BytesIO(content), len(content), f"/{name}.;1")
    return image


def opened():
    written, image = io.BytesIO(), pycdlib.PyCdlib()
    make().write_fp(written)
    image.open_fp(written)
    return image


def left(image):
    names = [record.file_identifier().decode() for record in image.list_children(iso_path="/")]
    return "".join(name[0] for name in names if name.endswith(";1"))


made, empty, linked, full = make(), opened(), opened(), opened()
made.rm_file("/A.;1")
empty.rm_file("/A.;1")
linked.rm_hard_link(iso_path="/A.;1")
full.rm_file("/C.;1")
seen = [left(image) for image in (made, empty, linked, full)]
print("rm_file A, just made: {}; opened: {}; rm_hard_link A: {}; rm_file C: {}".format(*seen))
assert seen == ["BCD", "CD", "BCD", "ABD"], "pycdlib removes otherwise now"
PY

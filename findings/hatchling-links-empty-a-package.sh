#!/usr/bin/env bash
# hatchling 1.33.0. A project with a package pkg/rooms, and a link "rooms" to it at the top, for whoever opens the repository.
# Guess: the link is packed as a link, or left out, or its files are packed a second time; the package is whole in any case.
# Behaviour: each directory is visited once, under the name met first. A link whose name sorts before the package takes its modules: the
#   sdist has rooms/ and no pkg/rooms/, the build is green, and a wheel made from that sdist lacks them. A link that sorts behind
#   the package changes nothing. "only-include" puts it right.
# Seen: link "a_rooms": sdist a_rooms/ only, wheel from it without pkg/rooms; link "z_rooms": pkg/rooms in both.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check hatchling==1.33.0

# build LINK [SETTINGS]: where rooms/room.py is in the sdist / in the wheel that is made from the sdist
build() {
    rm -rf project && mkdir -p project/pkg/rooms && cd project
    touch pkg/__init__.py pkg/rooms/__init__.py pkg/rooms/room.py
    ln -s pkg/rooms "$1"
    printf '[project]\nname = "pkg"\nversion = "1"\n[build-system]\nrequires = []\nbuild-backend = "hatchling.build"\n%s\n' "${2:-}" > pyproject.toml
    ../venv/bin/python -m hatchling build -t sdist &> ../log
    tar -xzf dist/pkg-1.tar.gz
    cd pkg-1
    ../../venv/bin/python -m hatchling build -t wheel &> ../../log
    echo "$(find . -name room.py | sort | xargs) / $(python3 -m zipfile -l dist/*.whl | grep -o '[^ ]*room\.py' | xargs)"
    cd ../..
}

before=$(build a_rooms)
after=$(build z_rooms)
mended=$(build a_rooms '[tool.hatch.build.targets.sdist]
only-include = ["pkg"]')
printf 'a_rooms: %s\nz_rooms: %s\nonly-include: %s\n' "$before" "$after" "$mended"
[ "$before" = "./a_rooms/room.py / " ] && [ "$after" = "./pkg/rooms/room.py / pkg/rooms/room.py" ] &&
    [ "$mended" = "./pkg/rooms/room.py / pkg/rooms/room.py" ] || { echo "hatchling packs links otherwise now"; exit 1; }

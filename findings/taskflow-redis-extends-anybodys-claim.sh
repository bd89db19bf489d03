#!/usr/bin/env bash
# TaskFlow 6.5.0's job board on Redis (redis-py 8.1.0, Redis 7.0.15 of Debian 12, unpacked; it runs on the loopback interface for some seconds).
# Guess: extend_expiry() of a worker whose claim has ended, and whose job another one has claimed since, says False and changes nothing, as
#   consume() and abandon() do, which ask whose it is.
# Behaviour: it renews whoever's claim there is, for as long as was asked for, and says True.
# Seen: 'first' claimed for one second, then 'second' did for two; the first one's extend_expiry(600): True, and the claim of 'second'
#   then lasts 600 seconds; consume() by 'first' is refused with JobFailure.
set -euo pipefail
version='5:7.0.15-1~deb12u*'
work=$(mktemp -d); redis=
trap '[ -z "$redis" ] || { kill "$redis"; wait "$redis" || true; }; rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 "redis-tools=$version" libjemalloc2 liblzf1 2> apt-said ||
    { echo "this is about Redis $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
for package in *.deb; do dpkg-deb --extract "$package" package; done
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check taskflow==6.5.0 redis==8.1.0
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ln -s "$work/package/usr/bin/redis-check-rdb" redis-server
LD_LIBRARY_PATH=$(echo "$work"/package/usr/lib/*-linux-gnu) ./redis-server --port "$port" --bind 127.0.0.1 --save '' &> redis-log &
redis=$!
timeout 60 venv/bin/python - "$port" <<'PY'
import sys
import time

from taskflow import exceptions
from taskflow.jobs import backends


def board():
    made = backends.fetch("jobs", {"board": "redis", "host": "127.0.0.1", "port": int(sys.argv[1])})
    made.connect()
    return made


for _ in range(100):
    try:
        first, second = board(), board()
        break
    except exceptions.JobFailure:
        time.sleep(0.1)
first.post("job")
(mine,) = first.iterjobs(ensure_fresh=True)
first.claim(mine, "first", expiry=1)
time.sleep(1.5)
(theirs,) = second.iterjobs(ensure_fresh=True)
second.claim(theirs, "second", expiry=2)
extended, lasts, owner = mine.extend_expiry(600), theirs.expires_in(), second.find_owner(theirs)
try:
    first.consume(mine, "first")
    consumed = "done"
except exceptions.JobFailure as error:
    consumed = type(error).__name__
print(f"extend_expiry(600) by the first: {extended}; the claim of {owner!r} lasts {round(lasts)} s; consume() by the first: {consumed}")
assert (extended, owner, round(lasts), consumed) == (True, "second", 600, "JobFailure"), "it asks whose claim it is now"
PY

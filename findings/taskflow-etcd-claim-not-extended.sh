#!/usr/bin/env bash
# TaskFlow 6.5.0's job board on etcd (etcd3gw 2.7.0, etcd 3.4.23 of Debian 12, unpacked; it runs on the loopback interface for some seconds).
# Guess: extend_expiry(60) keeps a claim for a minute, or says that it can't; another claim() by its owner is no error.
# Behaviour: it says True and renews the claim for the board's ttl, whatever was asked for: with a ttl of 2 the job is free again after
#   two seconds while its owner works on. claim() by the owner itself is refused.
# Seen: extend_expiry(60) True, expires_in() 1 or 2, owner 'me', four seconds later None; second claim: UnclaimableJob.
set -euo pipefail
version=3.4.23-4+b4
work=$(mktemp -d); etcd=
trap '[ -z "$etcd" ] || { kill "$etcd"; wait "$etcd" || true; }; rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 "etcd-server=$version" 2> apt-said ||
    { echo "this is about etcd-server $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
dpkg-deb --extract etcd-server_*.deb package
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check taskflow==6.5.0 etcd3gw==2.7.0
read -r port peer < <(python3 -c '
import socket
both = [socket.socket() for _ in range(2)]
[s.bind(("127.0.0.1", 0)) for s in both]
print(*(s.getsockname()[1] for s in both))')
package/usr/bin/etcd --data-dir data --listen-client-urls "http://127.0.0.1:$port" --advertise-client-urls "http://127.0.0.1:$port" \
    --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
    --initial-cluster "default=http://127.0.0.1:$peer" &> etcd-log &
etcd=$!
timeout 60 venv/bin/python - "$port" <<'PY'
import sys
import time

import etcd3gw
from taskflow import exceptions
from taskflow.jobs import backends

port = int(sys.argv[1])
for _ in range(100):
    try:
        etcd3gw.client(host="127.0.0.1", port=port, api_path="/v3/").status()
        break
    except etcd3gw.exceptions.Etcd3Exception:
        time.sleep(0.1)
board = backends.fetch("jobs", {"board": "etcd", "host": "127.0.0.1", "port": port, "api_path": "/v3/", "ttl": 2})
board.connect()
job = board.post("job")
board.claim(job, "me")
try:
    board.claim(job, "me")
    again = "taken"
except exceptions.UnclaimableJob:
    again = "UnclaimableJob"
extended, left, owner = job.extend_expiry(60), job.expires_in(), board.find_owner(job)
time.sleep(4)
late = board.find_owner(job)
board.close()
print(f"second claim: {again}; extend_expiry(60): {extended}, expires_in() {left}, owner {owner!r}, 4 s later {late!r}")
assert (again, extended, owner, late) == ("UnclaimableJob", True, "me", None) and left <= 2, "claims are extended now"
PY

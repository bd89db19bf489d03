#!/usr/bin/env bash
# TaskFlow 6.5.0's job board on etcd (etcd3gw 2.7.0, etcd 3.4.23 of Debian 12, unpacked; it runs on the loopback interface for some seconds).
# Guess: iterjobs(ensure_fresh=True) gives the jobs that are on the server by now.
# Behaviour: it gives those places that are taken on the server, each with the job that this board object saw there first. Where a
#   server has lost its data and counts from one again, the first job that is posted then comes out as the first one of before.
# Seen: the job 'after' was posted to the emptied server; iterjobs(ensure_fresh=True) gives 'before', with its uuid and details, and
#   claims and consumes it in the other's place; a new board object gives 'after'.
set -euo pipefail
version=3.4.23-4+b4
work=$(mktemp -d)
trap 'pkill --full "$work/etcd-data" || true; rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 "etcd-server=$version" 2> apt-said ||
    { echo "this is about etcd-server $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
dpkg-deb --extract etcd-server_*.deb package
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check taskflow==6.5.0 etcd3gw==2.7.0
timeout 60 venv/bin/python - "$work" <<'PY'
import shutil
import socket
import subprocess
import sys
import time

import etcd3gw
from taskflow.jobs.backends.impl_etcd import EtcdJobBoard

work = sys.argv[1]
pair = [socket.socket() for _ in range(2)]
for one in pair:
    one.bind(("127.0.0.1", 0))
port, peer = (one.getsockname()[1] for one in pair)
for one in pair:
    one.close()


def start():
    ours, peers = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    words = ["--data-dir", f"{work}/etcd-data", "--initial-cluster", f"default={peers}"]
    words += ["--listen-client-urls", ours, "--advertise-client-urls", ours]
    words += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
    with open("log", "a") as log:
        process = subprocess.Popen([f"{work}/package/usr/bin/etcd", *words], stdout=log, stderr=log)
    for _ in range(100):
        try:
            client().status()
            return process
        except etcd3gw.exceptions.Etcd3Exception:
            time.sleep(0.1)
    raise SystemExit("etcd does not answer")


def client():
    return etcd3gw.client(host="127.0.0.1", port=port, api_path="/v3/")


def board():
    return EtcdJobBoard("board", {"ttl": 5}, client=client())


server = start()
old = board()
old.post("before", details={"number": 1})
server.kill()
server.wait()
shutil.rmtree(f"{work}/etcd-data")
server = start()
emptied = list(board().iterjobs(ensure_fresh=True))
board().post("after", details={"number": 2})
(seen,) = old.iterjobs(ensure_fresh=True)
(there,) = board().iterjobs(ensure_fresh=True)
old.claim(seen, "me")
old.consume(seen, "me")
left = list(board().iterjobs(ensure_fresh=True))
server.kill()
print(f"emptied: {emptied}; on the server {there.name!r} {there.details}, the board of before has {seen.name!r} {seen.details}; left: {left}")
assert (emptied, there.name, seen.name, seen.details, left) == ([], "after", "before", {"number": 1}, []), "it looks at the job now"
PY

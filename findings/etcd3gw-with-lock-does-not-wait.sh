#!/usr/bin/env bash
# etcd3gw 2.7.0 (etcd 3.4.23 of Debian 12, unpacked; it runs on the loopback interface for some seconds). `with client.lock(...)`.
# Guess: as with the locks of threading, kazoo and tooz: it waits for a lock that another has, or raises; whoever is inside has it.
# Behaviour: acquire() does not wait but says False, and the with statement does not look at that: the block runs at once beside the
#   owner's. Leaving it does not take the lock from its owner.
# Seen: with the lock held by another: inside, acquire() False, is_acquired() False; afterwards the first still has it.
set -euo pipefail
version=3.4.23-4+b4
work=$(mktemp -d); etcd=
trap '[ -z "$etcd" ] || { kill "$etcd"; wait "$etcd" || true; }; rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 "etcd-server=$version" 2> apt-said ||
    { echo "this is about etcd-server $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
dpkg-deb --extract etcd-server_*.deb package
python3 -m venv venv && venv/bin/pip install --quiet --disable-pip-version-check etcd3gw==2.7.0
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

client = etcd3gw.client(host="127.0.0.1", port=int(sys.argv[1]), api_path="/v3/")
for _ in range(100):
    try:
        client.status()
        break
    except etcd3gw.exceptions.Etcd3Exception:
        time.sleep(0.1)
owner = client.lock("disk", ttl=30)
owned = owner.acquire()
inside = []
with client.lock("disk", ttl=30) as lock:
    inside.append((lock.is_acquired(), owner.is_acquired()))
    again = lock.acquire()
left = owner.is_acquired()
print(f"the owner: {owned}; inside the block of another: {inside}, acquire(): {again}; the owner afterwards: {left}")
assert (owned, left) == (True, True)
assert inside == [(False, True)] and not again, "the with statement waits, or raises, now"
PY

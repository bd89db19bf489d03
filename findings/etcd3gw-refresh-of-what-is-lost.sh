#!/usr/bin/env bash
# etcd3gw 2.7.0 with etcd 3.4.23 (Debian 12's package, unpacked, not installed; it runs on the loopback interface for some seconds).
# Guess: the heartbeat of a lock or lease that has run out fails: refresh() raises. Keys in a transaction are as in put().
# Behaviour: refresh() returns -1 and raises nothing, for a lease as for a lock, so a heartbeat that ignores what it returns believes
#   that it holds what another holds by now. transaction() wants base64: the key 'abcd' is taken for three other bytes.
# Seen: refresh() of the lost lock -1, is_acquired() False, the other holds it; key b'i\xb7\x1d' instead of b'abcd'.
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
first, second = client.lock("lock", ttl=2), client.lock("lock", ttl=60)
assert first.acquire() and not second.acquire()
kept = first.refresh()
deadline = time.monotonic() + 30
while not second.acquire():
    assert time.monotonic() < deadline, "the lock did not run out"
    time.sleep(0.2)
seen = (kept, first.refresh(), first.is_acquired(), second.is_acquired())
print("refresh() while held: {}, when lost: {}; is_acquired() first: {}, second: {}".format(*seen))
client.transaction({"compare": [], "success": [{"requestPut": {"key": "abcd", "value": "abcd"}}], "failure": []})
keys = [meta["key"] for _, meta in client.get_all()]
print("keys:", keys)
assert seen == (2, -1, False, True), "refresh() tells now"
assert b"i\xb7\x1d" in keys and b"abcd" not in keys, "transaction() takes plain keys now"
PY

#!/usr/bin/env bash
# httpx 0.28.1, requests 2.34.2, curl 7.88.1 (Debian 12) and Python's urllib. HTTP_PROXY and NO_PROXY=127.0.0.0/8 in the environment.
# Guess: a network in NO_PROXY keeps all its addresses from the proxy, as with curl, Go and requests, and all four agree.
# Behaviour: httpx and urllib take the network for a name that nothing has: each request for an address in it goes to the proxy. With
#   address and port it is the other way round: httpx and urllib go straight, curl and requests go to the proxy. Only the bare address
#   is read alike by all. (Everything here, proxy and server, is one listener on the loopback interface.)
# Seen: 127.0.0.0/8: httpx proxy, requests straight, curl straight, urllib proxy; 127.0.0.1:PORT: straight, proxy, proxy, straight.
set -euo pipefail
curl --version | grep -q '^curl 7\.88\.1 ' || { echo "this is about curl 7.88.1, here is: $(curl --version | head -1)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check httpx==0.28.1 requests==2.34.2
env -u ALL_PROXY -u all_proxy "$work/bin/python" - <<'PY'
import http.server
import os
import subprocess
import threading
import urllib.request

import httpx
import requests

asked = []


class Listener(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"127.0.0.1:{server.server_port}"
clients = {
    "httpx": httpx.get,
    "requests": requests.get,
    "curl": lambda url: subprocess.run(["curl", "--silent", "--fail", url], check=True),
    "urllib": lambda url: urllib.request.urlopen(url).read(),
}
seen = {}
for excepted in ("127.0.0.1", "127.0.0.0/8", here, "127.0.0.1/32"):
    os.environ.update({name: f"http://{here}" for name in ("HTTP_PROXY", "http_proxy")} | {name: excepted for name in ("NO_PROXY", "no_proxy")})
    for client, get in clients.items():
        get(f"http://{here}/x")
        # A proxy is asked for the whole URL, a server for the path.
        seen.setdefault(excepted.replace(here, "127.0.0.1:PORT"), {})[client] = "straight" if asked.pop() == "/x" else "proxy"
server.shutdown()
for excepted, ways in seen.items():
    print(f"NO_PROXY={excepted:<15}", *(f"{client} {way:<9}" for client, way in ways.items()))
expected = {
    "127.0.0.1": ["straight", "straight", "straight", "straight"],
    "127.0.0.0/8": ["proxy", "straight", "straight", "proxy"],
    "127.0.0.1:PORT": ["straight", "proxy", "proxy", "straight"],
    "127.0.0.1/32": ["straight", "straight", "straight", "proxy"],
}
assert {excepted: list(ways.values()) for excepted, ways in seen.items()} == expected, "NO_PROXY is read otherwise now"
PY

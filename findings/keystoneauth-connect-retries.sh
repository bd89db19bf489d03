#!/usr/bin/env bash
# keystoneauth1 5.18.1 (requests 2.34.2): connect_retries of a session's adapter, which openstacksdk sets by *_connect_retries.
# Guess: it repeats attempts to connect. A POST that was delivered is not sent again, since it may have made something.
# Behaviour: a connection that breaks off while the answer is awaited is a ConnectFailure as well: the POST is sent again, with the same
#   body and no key to tell it by. The caller learns of the last one only.
# Seen: connect_retries=0: ConnectFailure, 1 port made; connect_retries=3: 201, 3 ports made.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check keystoneauth1==5.18.1 requests==2.34.2
"$work/bin/python" -W ignore - <<'PY'
import http.server
import logging
import socket
import threading

from keystoneauth1 import adapter, exceptions, noauth, session

logging.disable()
ports = []


class Service(http.server.BaseHTTPRequestHandler):
    """Makes a port for each POST, and loses the answer of the first two."""

    def do_POST(self):
        ports.append(self.rfile.read(int(self.headers["Content-Length"])))
        if len(ports) < 3:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
seen = {}
for retries in (0, 3):
    ports.clear()
    client = adapter.Adapter(
        session.Session(auth=noauth.NoAuth()), endpoint_override=here, connect_retries=retries, connect_retry_delay=0.1
    )
    try:
        said = client.post("/ports", json={"port": {}}).status_code
    except exceptions.ConnectFailure as error:
        said = type(error).__name__
    seen[retries] = (said, len(ports))
    print(f"connect_retries={retries}: {said}, ports made: {len(ports)}")
server.shutdown()
assert seen == {0: ("ConnectFailure", 1), 3: (201, 3)}, "a delivered POST is not sent again now"
PY

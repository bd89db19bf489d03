#!/usr/bin/env bash
# openstacksdk 4.22.0. network.ports() with filters, against a small server that has port "0" on host h and port "1" on host g,
# filters nothing by itself, and notes what it was asked for.
# Guess: a filter that the SDK does not know is a TypeError or is sent on; None and [] match nothing, or what has none.
# Behaviour: what is neither a query parameter nor an attribute of a port is dropped, so a misspelt filter gives every port, as None and []
#   do. host_id= is one of those; binding_host_id= is sent to nobody, and compared here. Of fixed_ips={"ip_address": "10.0.0.9"}
#   the address is lost on the way.
# Seen: device_di=, host_id=, device_id=None and [] ask for /ports and give both; fixed_ips asks for ?fixed_ips=ip_address.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check openstacksdk==4.22.0
timeout 60 "$work/bin/python" - <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keystoneauth1 import session, token_endpoint
from openstack.connection import Connection

asked = []


class Neutron(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        ports = [{"id": str(number), "device_id": "d", "binding:host_id": host} for number, host in enumerate("hg")]
        versions = [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": url}]}]
        if "ports" in self.path:
            asked.append(self.path.removeprefix("/v2.0"))
        body = json.dumps({"ports": ports} if "ports" in self.path else {"versions": versions}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Neutron)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/v2.0"
network = Connection(session=session.Session(token_endpoint.Token(url, "token")), network_endpoint_override=url).network
# the filter, what is asked for, the ports that come
table = [
    ({"device_id": "d"}, "/ports?device_id=d", "01"),
    ({"device_id": None}, "/ports", "01"),
    ({"device_id": []}, "/ports", "01"),
    ({"device_di": "d"}, "/ports", "01"),
    ({"host_id": "g"}, "/ports", "01"),
    ({"binding_host_id": "g"}, "/ports", "1"),
    ({"fixed_ips": "ip_address=10.0.0.9"}, "/ports?fixed_ips=ip_address%3D10.0.0.9", "01"),
    ({"fixed_ips": {"ip_address": "10.0.0.9"}}, "/ports?fixed_ips=ip_address", "01"),
]
seen = []
for filters, _, _ in table:
    asked.clear()
    found = "".join(port.id for port in network.ports(**filters))
    seen.append((filters, *asked, found))
    print(filters, "asks for", *asked, "and gives", found or "none")
server.shutdown()
assert seen == table, "filters are sent otherwise now"
PY

"""A real Neutron's API on loopback, in an environment of its own: `server.py` prints its address, ends with its input.

Arguments are the hosts whose agents it knows; besides there is `hybrid`, whose agent wants a bridge for each port. The
stock `noauth` pipeline makes everybody an administrator. Here Neutron's own filter that takes the context from
Keystone's headers stands in its place, without the one that has Keystone check them: so members are members. With
`--keystone URL PASSWORD` before the hosts it is the stock pipeline with a Keystone, whose administrator `admin` has
that password.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from wsgiref.simple_server import make_server

from serving import Quiet, serve

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import neutron_worker

KEYSTONE = """
[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
token_cache_time = -1
"""


def main():
    hosts = sys.argv[1:]
    configuration = neutron_worker.CONFIGURATION
    # The DNS extension comes with routers alone, and keeps no names while Neutron has no domain of its own.
    for option, more in {
        "service_plugins =": " revisions,",
        "extension_drivers = port_security": ",dns",
        "[DEFAULT]": "\ndns_domain = cloud.example.",
    }.items():
        configuration = configuration.replace(option, option + more)
    with TemporaryDirectory(prefix="slipway-neutron-") as state:
        paste = Path(sys.prefix, "etc", "neutron", "api-paste.ini")
        if hosts[:1] == ["--keystone"]:
            configuration = configuration.replace("auth_strategy = noauth", "auth_strategy = keystone")
            configuration += KEYSTONE.format(url=hosts[1], password=hosts[2])
            hosts = hosts[3:]
        else:
            stock, paste = paste.read_text(), Path(state, "api-paste.ini")
            paste.write_text(stock.replace("request_id fake_project_id", "request_id keystonecontext"))
        neutron_worker.CONFIGURATION = configuration
        app, plugin = neutron_worker.boot("sqlite://", state, str(paste))
        for host in hosts:
            neutron_worker.register_agent(plugin, host)
        neutron_worker.register_agent(plugin, "hybrid", ovs_hybrid_plug=True)
        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        serve(server)


if __name__ == "__main__":
    main()

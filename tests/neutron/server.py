"""A real Neutron's API on loopback, in an environment of its own: `server.py` prints its address, ends with its input.

The stock `noauth` pipeline makes everybody an administrator. Here Neutron's own filter that takes the context from
Keystone's headers stands in its place, without the one that has Keystone check them: so members are members.
"""

import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from wsgiref.simple_server import WSGIRequestHandler, make_server

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from neutron_worker import boot, register_agent


def add_default_rules():
    """The rules that a new group gets, which Neutron's own migration puts into its database."""
    from neutron.db.models.securitygroup_default_rules import SecurityGroupDefaultRule
    from neutron_lib import context
    from neutron_lib.db import api

    admin = context.get_admin_context()
    with api.CONTEXT_WRITER.using(admin):
        for ethertype in ("IPv4", "IPv6"):
            of_all = {"ethertype": ethertype, "used_in_default_sg": True}
            everything_out = {"direction": "egress", "used_in_non_default_sg": True}
            in_from_members = {"direction": "ingress", "remote_group_id": "PARENT", "used_in_non_default_sg": False}
            for rule in (everything_out, in_from_members):
                admin.session.add(SecurityGroupDefaultRule(**of_all, **rule))


class Quiet(WSGIRequestHandler):
    def log_message(self, *_message):
        pass


def main():
    with TemporaryDirectory(prefix="slipway-neutron-") as state:
        stock = Path(sys.prefix, "etc", "neutron", "api-paste.ini").read_text()
        paste = Path(state, "api-paste.ini")
        paste.write_text(stock.replace("request_id fake_project_id", "request_id keystonecontext"))
        app, plugin = boot("sqlite://", state, str(paste))
        add_default_rules()
        for host in sys.argv[1:]:
            register_agent(plugin, host)
        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        print(f"http://127.0.0.1:{server.server_port}", flush=True)

        def end_with_input():
            sys.stdin.read()
            server.shutdown()

        threading.Thread(target=end_with_input, daemon=True).start()
        server.serve_forever()


if __name__ == "__main__":
    main()

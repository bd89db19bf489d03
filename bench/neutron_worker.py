"""A real Neutron in this process, which belongs to an environment of its own: ML2 on SQLite, without a broker.

Reads one JSON object a line and answers each with one; `bench/neutron_process.py` is the other end. What is left out
of Neutron: agents, notifications, Keystone. An agent that is always alive is on record, so that ports can be bound.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import uuid
import warnings

CONFIGURATION = """
[DEFAULT]
core_plugin = ml2
service_plugins = router,port_forwarding
auth_strategy = noauth
transport_url = fake://
rpc_response_timeout = 5
dhcp_agent_notification = false
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
state_path = {state}
api_paste_config = {paste}
[database]
connection = {db}
[oslo_messaging_notifications]
driver = noop
[oslo_concurrency]
lock_path = {state}/lock
[oslo_policy]
enforce_scope = false
enforce_new_defaults = false
[ml2]
type_drivers = local,flat,vlan,vxlan
tenant_network_types = vlan
mechanism_drivers = {mechanism}
extension_drivers = port_security
[ml2_type_flat]
flat_networks = *
[ml2_type_vlan]
network_vlan_ranges = physnet1:1:4000,physnet2
[ml2_type_vxlan]
vni_ranges = 1:1000
[securitygroup]
enable_security_group = true
firewall_driver = iptables
[quotas]
default_quota = -1
quota_network = -1
quota_subnet = -1
quota_port = -1
quota_security_group = -1
quota_security_group_rule = -1
quota_router = -1
quota_floatingip = -1
[experimental]
linuxbridge = true
"""


def boot(db, state, paste=None):
    """Start Neutron's API in this process; gives the WSGI application and the ML2 plugin."""
    from neutron.common import config
    from neutron.plugins.ml2.drivers import mech_agent  # noqa: F401 - it registers options

    config.register_common_config_options()
    mechanism = "linuxbridge" if has_linuxbridge() else "openvswitch"
    path = os.path.join(state, "neutron.conf")
    paste = paste or os.path.join(sys.prefix, "etc", "neutron", "api-paste.ini")
    with open(path, "w") as file:
        file.write(CONFIGURATION.format(state=state, paste=paste, db=db, mechanism=mechanism))
    config.init([], default_config_files=[path])
    config.set_config_defaults()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")

    from neutron.db.migration.models import head  # noqa: F401 - it knows all models
    from neutron_lib.db import api, model_base

    model_base.BASEV2.metadata.create_all(api.CONTEXT_WRITER.get_engine())
    app = config.load_paste_app("neutron")

    from neutron_lib.plugins import directory

    plugin = directory.get_plugin()
    register_agent(plugin)
    add_default_rules()
    return app, plugin


def has_linuxbridge():
    """Whether this Neutron still has that driver, as 25.2 does; what binds ports in later ones is Open vSwitch."""
    import importlib.util

    return importlib.util.find_spec("neutron.plugins.ml2.drivers.linuxbridge") is not None


def register_agent(plugin, host="host1", **more):
    from datetime import timedelta

    from neutron.db.models.agent import Agent
    from neutron_lib import context
    from neutron_lib.db import api
    from oslo_utils import timeutils

    admin = context.get_admin_context()
    if has_linuxbridge():
        kind, binary = "Linux bridge agent", "neutron-linuxbridge-agent"
        mappings = {"interface_mappings": {"physnet1": "eth1", "physnet2": "eth2"}}
    else:
        kind, binary = "Open vSwitch agent", "neutron-openvswitch-agent"
        mappings = {"bridge_mappings": {"physnet1": "br-eth1", "physnet2": "br-eth2"}}
    tunnels = {"tunnel_types": ["vxlan"], "tunneling_ip": "10.99.0.1"}
    agent = {"agent_type": kind, "binary": binary, "host": host, "topic": "N/A", "start_flag": True}
    plugin.create_or_update_agent(admin, agent | {"configurations": tunnels | mappings | more}, timeutils.utcnow())
    with api.CONTEXT_WRITER.using(admin):
        late = timeutils.utcnow() + timedelta(days=3650)
        admin.session.query(Agent).update({"heartbeat_timestamp": late})


def add_default_rules():
    """The rules that each security group gets, which Neutron's migrations put into the database."""
    from neutron.db.models.securitygroup_default_rules import SecurityGroupDefaultRule
    from neutron_lib import context
    from neutron_lib.db import api

    admin = context.get_admin_context()
    with api.CONTEXT_WRITER.using(admin):
        for ethertype in ("IPv4", "IPv6"):
            anywhere = {"direction": "egress", "used_in_default_sg": True, "used_in_non_default_sg": True}
            members = {"direction": "ingress", "used_in_default_sg": True, "used_in_non_default_sg": False}
            for values in (anywhere, members | {"remote_group_id": "PARENT"}):
                admin.session.add(SecurityGroupDefaultRule(ethertype=ethertype, **values))


class Api:
    """Requests to Neutron's whole API: validation, quota, policy, plugin."""

    def __init__(self, app):
        from neutron.api import api_common

        self.app = app
        self.raised = []
        convert = api_common.convert_exception_to_http_exc

        def noting(error, faults, language):
            self.raised.append(error)
            return convert(error, faults, language)

        api_common.convert_exception_to_http_exc = noting

    def call(self, method, path, body=None, project="demo", member=False):
        import webob
        from neutron_lib import context

        request = webob.Request.blank("/v2.0" + path, method=method)
        request.headers["Accept"] = "application/json"
        # Without it Neutron's stand-in for Keystone puts an administrator in the context's place.
        request.headers["X-Project-Id"] = project
        request.environ["neutron.context"] = context.Context(
            user_id="user",
            project_id=project,
            is_admin=not member,
            roles=["member", "reader"] if member else ["admin"],
        )
        if body is not None:
            request.body, request.content_type = json.dumps(body).encode(), "application/json"
        self.raised.clear()
        response = request.get_response(self.app)
        if response.status_int < 300:
            return {"status": response.status_int, "body": response.json if response.body else None}
        try:
            kind, text = (response.json["NeutronError"][key] for key in ("type", "message"))
        except Exception:  # noqa: BLE001 - not every answer of the API's layers is JSON of that form
            kind, text = None, response.text[:300]
        if self.raised and kind in (None, "HTTPInternalServerError"):
            kind = type(self.raised[-1]).__name__
        return {"status": response.status_int, "error": kind or f"HTTP{response.status_int}", "message": text}


class Bench:
    """Ports made, bound and deleted by the plugin alone, without the API's layers."""

    def __init__(self, plugin):
        import sqlalchemy
        from neutron_lib import context
        from neutron_lib.db import api

        self.plugin, self.admin = plugin, context.get_admin_context()
        self.statements = 0
        self.made = []
        network = self.create("network", name="n")
        self.network_id = network["id"]
        self.create("subnet", network_id=network["id"], cidr="10.0.0.0/16", ip_version=4)
        sqlalchemy.event.listen(api.CONTEXT_WRITER.get_engine(), "before_cursor_execute", self.count)

    def count(self, _connection, _cursor, statement, *_rest):
        self.statements += not statement.startswith(("BEGIN", "COMMIT"))

    def create(self, resource, **values):
        from neutron_lib.api import attributes

        info = attributes.AttributeInfo(attributes.RESOURCES[resource + "s"])
        body = {"project_id": "demo", **values}
        info.populate_project_id(self.admin, body, True)
        info.fill_post_defaults(body)
        info.convert_values(body)
        return getattr(self.plugin, f"create_{resource}")(self.admin, {resource: body})

    def work(self, what, count):
        """Do it so many times; gives the CPU and wall time and the statements of one."""
        self.statements = 0
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            if what == "delete":
                self.plugin.delete_port(self.admin, self.made.pop())
                continue
            host = {"binding:host_id": "host1"} if what == "create, bound" else {}
            values = {"device_id": str(uuid.uuid4()), "device_owner": "compute:nova", **host}
            self.made.append(self.create("port", network_id=self.network_id, **values)["id"])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {"cpu": cpu / count, "wall": wall / count, "statements": self.statements / count}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What Neutron prints is no answer.
    with tempfile.TemporaryDirectory() as state:
        app, plugin = boot(sys.argv[1], state)
        api, bench = Api(app), None
        for line in sys.stdin:
            asked = json.loads(line)
            if "work" in asked:
                bench = bench or Bench(plugin)
                answer = bench.work(asked["work"], asked["count"])
            else:
                answer = api.call(**asked)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()

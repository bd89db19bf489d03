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

import neutron_worker

neutron_worker.CONFIGURATION = neutron_worker.CONFIGURATION.replace("service_plugins =", "service_plugins = revisions")


class Quiet(WSGIRequestHandler):
    def log_message(self, *_message):
        pass


def main():
    with TemporaryDirectory(prefix="slipway-neutron-") as state:
        stock = Path(sys.prefix, "etc", "neutron", "api-paste.ini").read_text()
        paste = Path(state, "api-paste.ini")
        paste.write_text(stock.replace("request_id fake_project_id", "request_id keystonecontext"))
        app, plugin = neutron_worker.boot("sqlite://", state, str(paste))
        for host in sys.argv[1:]:
            neutron_worker.register_agent(plugin, host)
        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        print(f"http://127.0.0.1:{server.server_port}", flush=True)

        def end_with_input():
            sys.stdin.read()
            server.shutdown()

        threading.Thread(target=end_with_input, daemon=True).start()
        server.serve_forever()


if __name__ == "__main__":
    main()

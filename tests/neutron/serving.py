"""What the servers here have in common: quiet, and for as long as there is somebody at the other end of their input."""

import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler


class Quiet(WSGIRequestHandler):
    def log_message(self, *_message):
        pass


def serve(server):
    """Answer requests until our input ends."""

    def end_with_input():
        sys.stdin.read()
        server.shutdown()

    threading.Thread(target=end_with_input, daemon=True).start()
    server.serve_forever()

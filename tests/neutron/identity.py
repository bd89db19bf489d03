"""A real Keystone on loopback, in Neutron's environment: prints its address, ends with its input.

`identity.py PASSWORD`: that of its administrator `admin` in the project `admin`.
"""

import logging
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from wsgiref.simple_server import make_server

from serving import Quiet, serve

CONFIGURATION = """
[database]
connection = sqlite:///{state}/keystone.db
[fernet_tokens]
key_repository = {state}/fernet
[credential]
key_repository = {state}/credential
[cache]
enabled = false
[identity]
password_hash_rounds = 4
"""


def main():
    warnings.simplefilter("ignore")
    # Keystone would take it for an argument of its own.
    password = sys.argv.pop()
    with TemporaryDirectory(prefix="slipway-keystone-") as state:
        configuration = Path(state, "keystone.conf")
        configuration.write_text(CONFIGURATION.format(state=state))
        # Its address is part of its catalog.
        server = make_server("127.0.0.1", 0, None, handler_class=Quiet)
        url = f"http://127.0.0.1:{server.server_port}/v3"

        def manage(*arguments):
            program = Path(sys.executable).with_name("keystone-manage")
            subprocess.run([program, "--config-file", configuration, *arguments], check=True, capture_output=True)

        manage("db_sync")
        # Keystone reads by one connection while it writes by another.
        with sqlite3.connect(Path(state, "keystone.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")
        manage("fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
        urls = [f"--bootstrap-{interface}-url={url}" for interface in ("public", "internal")]
        manage("bootstrap", "--bootstrap-password", password, *urls)

        from keystone.server.flask.core import initialize_application

        server.set_app(initialize_application("public", config_files=[str(configuration)]))
        logging.disable(logging.CRITICAL)
        print(url, flush=True)
        serve(server)


if __name__ == "__main__":
    main()

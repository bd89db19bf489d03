#!/usr/bin/env bash
# apache-libcloud 3.9.1's libvirt driver, libvirt-python 12.8.0 on libvirt 9.0.0 (Debian 12's libvirt-dev; the test driver, no daemon needed).
# Guess: destroy_node() is what it is in libcloud's other drivers: the node is gone for good, its name is free, and its id was libvirt's UUID.
# Behaviour: only the power is cut. The domain stays defined and listed as "terminated", with its disks, and can be started again; a second
#   destroy_node() raises libvirt's own error, no libcloud one. node.id is a hash, which libvirt and ex_get_node_by_uuid() do not know.
# Seen: destroy_node() True, 1 node, terminated, 1 domain defined; again: libvirtError; ex_start_node(): running; by node.id: libvirtError.
set -euo pipefail
[ "$(pkg-config --modversion libvirt)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-dev)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work" && "$work/bin/pip" install --quiet --disable-pip-version-check libvirt-python==12.8.0 apache-libcloud==3.9.1
"$work/bin/python" -W ignore - <<'PY'
import libvirt
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

libvirt.registerErrorHandler(lambda *_: None, None)
driver = get_driver(Provider.LIBVIRT)("test:///default")


def raised_by(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return type(error).__name__
    return "nothing"


(node,) = driver.list_nodes()
destroyed = driver.destroy_node(node)
left = [str(other.state) for other in driver.list_nodes()]
defined = driver.connection.numOfDefinedDomains()
again, by_id, by_uuid = (
    raised_by(driver.destroy_node, node),
    raised_by(driver.ex_get_node_by_uuid, node.id),
    raised_by(driver.ex_get_node_by_uuid, node.extra["uuid"]),
)
driver.ex_start_node(node)
started = [str(other.state) for other in driver.list_nodes()]
print(f"destroy_node(): {destroyed}; nodes left: {left}; domains defined: {defined}; again: {again}; started: {started}")
print(f"looked up by node.id: {by_id}; by its UUID: {by_uuid}")
assert (destroyed, left, defined, again, started) == (True, ["terminated"], 1, "libvirtError", ["running"]), "nodes are gone now"
assert (by_id, by_uuid) == ("libvirtError", "nothing"), "node.id is known now"
PY

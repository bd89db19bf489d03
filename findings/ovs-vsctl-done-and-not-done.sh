#!/usr/bin/env bash
# Open vSwitch 3.1.0 (Debian 12's packages, unpacked, not installed; a database server of its own, no switch). ovs-vsctl, exit code 0.
# Guess: --may-exist add-port with a tag sees to it that the port has that tag; create, which prints a UUID, has made that row; destroy,
#   which ends well, has removed it.
# Behaviour: of a port that is there the settings behind --may-exist are passed over, unsaid. A row that nothing refers to is gone when its
#   transaction ends, so its UUID is nobody's. A row that something refers to outlives destroy.
# Seen: add-port p: no tag; --may-exist add-port p tag=5: no tag; create mirror: UUID, 0 rows; destroy port p: p is still in the bridge.
set -euo pipefail
version=3.1.0-2+deb12u1
work=$(mktemp -d); trap '[ ! -e "$work/pid" ] || kill "$(cat "$work/pid")"; rm -rf "$work"' EXIT
cd "$work"
apt-get download --quiet=2 libxdp1 "openvswitch-common=$version" "openvswitch-switch=$version" 2> apt-said ||
    { echo "this is about Open vSwitch $version of Debian 12, which apt does not have here:"; cat apt-said; exit 2; }
for package in *.deb; do dpkg-deb --extract "$package" package; done
export PATH=$work/package/usr/bin:$work/package/usr/sbin:$PATH OVS_RUNDIR=$work OVS_LOGDIR=$work
LD_LIBRARY_PATH=$(dirname "$(find "$work/package" -name "libxdp.so.1")")
export LD_LIBRARY_PATH
ovsdb-tool create conf.db package/usr/share/openvswitch/vswitch.ovsschema
ovsdb-server conf.db --remote="punix:$work/db.sock" --pidfile="$work/pid" --detach --no-chdir --log-file="$work/log" 2> /dev/null
on_record() { ovs-vsctl --db="unix:$work/db.sock" --no-wait "$@"; }
on_record init
on_record add-br b -- add-port b p
{
    on_record --may-exist add-port b p tag=5 && echo "may-exist: exit code 0, tag $(on_record get port p tag)"
    on_record add-port b new tag=5 && echo "a new port: tag $(on_record get port new tag)"
    uuid=$(on_record create mirror name=m 2> /dev/null) && echo "create: ${#uuid} characters, rows: $(on_record --bare --columns=name list mirror | wc -l)"
    on_record destroy port p && echo "destroy: exit code 0, ports:" $(on_record list-ports b)
} | tee seen
diff - seen << 'END' || { echo "what is told as done is done now"; exit 1; }
may-exist: exit code 0, tag []
a new port: tag 5
create: 36 characters, rows: 0
destroy: exit code 0, ports: new p
END

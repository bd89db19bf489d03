#!/usr/bin/env bash
# Open vSwitch 3.1.0 (Debian 12's packages, unpacked, not installed; a database server of its own, no switch). ovs-vsctl find with !=.
# Guess: what is found by = and what is found by != are all the rows together, or, as in SQL, those without a value are in neither.
# Behaviour: both, by the kind of the column: ports without a tag are found by tag!=5, ports without the key are not found by
#   external_ids:vm!=a, only by {not-in}. A key that is misspelt is no error, and finds nothing either way.
# Seen: ports p (tag 5, vm=a), q (6, b), r and the bridge's own, b, without any: tag!=5: b q r; external_ids:vm!=a: q; {not-in}: b q r.
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
on_record add-br b -- add-port b p tag=5 -- add-port b q tag=6 -- add-port b r
on_record set port p external_ids:vm=a -- set port q external_ids:vm=b
found() { echo "$1:" $(on_record --bare --columns=name find port "$1" | sort); }
{ for condition in tag=5 'tag!=5' external_ids:vm=a 'external_ids:vm!=a' 'external_ids:vn!=a' 'external_ids{not-in}vm=a'; do found "$condition"; done; } | tee seen
diff - seen << 'END' || { echo "find finds others now"; exit 1; }
tag=5: p
tag!=5: b q r
external_ids:vm=a: p
external_ids:vm!=a: q
external_ids:vn!=a:
external_ids{not-in}vm=a: b q r
END

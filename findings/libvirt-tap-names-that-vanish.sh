#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). <target dev='NAME'/> of an interface, a name of the user's.
# Guess: the tap gets this name, or the definition is refused.
# Behaviour: a name that begins with vnet, macvtap or macvlan is taken for one that libvirt had made up, and is left out when the
#   definition is read: the tap has another name at each start, and rules written for the name match nothing. Also with --validate.
#   With managed='no' (of type ethernet) the same names are kept.
# Seen: tap-web kept; vnet-web, macvtap-web, macvlan-web not; vnet-web with managed='no' kept.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# kept NAME MANAGED: whether a domain's only interface still has the name after a define
kept() {
    cat > d.xml << END
<domain type="test"><name>d</name><memory>1024</memory><vcpu>1</vcpu><os><type arch="i686">hvm</type></os>
<devices><interface type="ethernet"><target dev="$1"$2/></interface></devices></domain>
END
    virsh --quiet --connect test:///default "define d.xml --validate; dumpxml d" > out
    grep -q "<target dev='$1'" out && echo kept || echo "left out"
}

for name in tap-web vnet-web macvtap-web macvlan-web; do echo "$name: $(kept "$name" "")"; done | tee seen
echo "vnet-web, managed=no: $(kept vnet-web ' managed="no"')" | tee -a seen
diff - seen << 'END' || { echo "libvirt keeps the names otherwise now"; exit 1; }
tap-web: kept
vnet-web: left out
macvtap-web: left out
macvlan-web: left out
vnet-web, managed=no: kept
END

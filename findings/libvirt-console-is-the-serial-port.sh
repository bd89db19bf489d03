#!/usr/bin/env bash
# libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). A domain with a serial port and a console of its own.
# Guess: both are there as they are written, each with its own back end, or the second one is refused.
# Behaviour: the first <console> of type serial is the first serial port under another name. What is written in it (type, path, log) is
#   replaced by the serial port's, unsaid, whichever stands first; a program that then reads the console's own file reads nothing.
# Seen: serial to /serial, console to /console: both /serial; a pty and a console to a file: both pty; the console alone: both /console.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# devices XML...: type and path of each <serial> and <console> after a define
devices() {
    cat > d.xml << END
<domain type="test"><name>d</name><memory>1024</memory><vcpu>1</vcpu><os><type arch="i686">hvm</type></os><devices>$*</devices></domain>
END
    virsh --quiet --connect test:///default "define d.xml --validate; dumpxml d" > out
    sed -nE "s/.*<(serial|console) type='(.*)'>/\1 \2/p; s/.*<source path='(.*)'\/>/\1/p" out | xargs
}

serial="<serial type='file'><source path='/serial'/></serial>"
console="<console type='file'><source path='/console'/><target type='serial'/></console>"
{
    echo "two files: $(devices "$serial" "$console")"
    echo "console first: $(devices "$console" "$serial")"
    echo "pty and file: $(devices "<serial type='pty'/>" "$console")"
    echo "console alone: $(devices "$console")"
} | tee seen
diff - seen << 'END' || { echo "libvirt keeps a console's back end now"; exit 1; }
two files: serial file /serial console file /serial
console first: serial file /serial console file /serial
pty and file: serial pty console pty
console alone: serial file /console console file /console
END

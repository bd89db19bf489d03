#!/usr/bin/env bash
# virsh of libvirt 9.0.0 (Debian 12's libvirt-clients; the test driver, no daemon needed). Several commands in one call.
# Guess: it ends at the first that fails, with a code other than 0, or at least the code says that one has failed.
# Behaviour: the others are done all the same, and the code is that of the last one. Commands from stdin: always 0. A command that does
#   not exist is another thing: nothing is done, not even what stands before it.
# Seen: "fails; destroy": 0 and destroyed; "destroy; fails": 1 and destroyed; the same by stdin: 0; "destroy; misspelt": 1, running.
set -euo pipefail
[ "$(virsh --version)" = 9.0.0 ] || { echo "this is about libvirt 9.0.0 (package libvirt-clients), here is $(virsh --version)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# after HOW COMMANDS: exit code, and what the last look at the domain said (each call has a test driver of its own)
after() {
    code=0
    if [ "$1" = argument ]; then virsh --quiet --connect test:///default "$2" > said 2>&1 || code=$?
    else tr ';' '\n' <<< "$2" | virsh --quiet --connect test:///default > said 2>&1 || code=$?; fi
    grep -q 'shut off' said && state="off" || state="not off"
    echo "$1: $2: code $code, $state"
}

{
    after argument 'domstate nobody; destroy test; list --all'
    after argument 'destroy test; list --all; domstate nobody'
    after argument 'destroy test; list --all; domstaet test'
    after stdin 'destroy test; list --all; domstate nobody'
} | tee seen
diff - seen << 'END' || { echo "virsh ends otherwise now"; exit 1; }
argument: domstate nobody; destroy test; list --all: code 0, off
argument: destroy test; list --all; domstate nobody: code 1, off
argument: destroy test; list --all; domstaet test: code 1, not off
stdin: destroy test; list --all; domstate nobody: code 0, off
END

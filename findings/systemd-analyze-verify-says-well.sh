#!/usr/bin/env bash
# systemd 252 (Debian 12), systemd-analyze verify: the check of unit files before they are installed, as in a package's CI.
# Guess: exit code 0 means that each line was understood; a misspelt key, section or value is 1.
# Behaviour: what it does not understand is told on stderr and left out, and the exit code is 0: a Restart= that never restarts passes.
#   Only what would keep the unit from being loaded or begun is 1. "1M" is a month, and no word is said of it.
# Seen: misspelt key, section, value, unit of time: 0, told; TimeoutStopSec=1M: 0, nothing told; no such program: 1.
set -euo pipefail
systemd-analyze --version | grep -q '^systemd 252 ' || { echo "this is about systemd 252, here is $(systemd-analyze --version | head -1)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"

# verify WHAT LINES...: exit code of a service with these lines, and whether anything is said of its file
verify() {
    printf '%s\n' '[Service]' "${@:2}" > slip.service
    code=0
    systemd-analyze verify --man=no ./slip.service &> said || code=$?
    grep -qE '^(/.*)?slip\.service:' said && told=told || told="nothing told"
    echo "$1: $code, $told"
}

{
    verify "no slip" ExecStart=/bin/true
    verify "key" ExecStart=/bin/true Restrat=always
    verify "section" ExecStart=/bin/true '[Instal]' WantedBy=multi-user.target
    verify "value" ExecStart=/bin/true Restart=allways
    verify "unit of time" ExecStart=/bin/true 'RestartSec=5 minuts'
    verify "1M" ExecStart=/bin/true TimeoutStopSec=1M
    verify "program" ExecStart=/no/such/program
} | tee seen
echo "1M is $(systemd-analyze timespan 1M | sed -n 's/ *Human: //p')"
diff - seen << 'END' || { echo "verify says otherwise now"; exit 1; }
no slip: 0, nothing told
key: 0, told
section: 0, told
value: 0, told
unit of time: 0, told
1M: 0, nothing told
program: 1, told
END

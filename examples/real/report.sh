#!/bin/sh
# Says on the console what cloud-init made of a guest, and which of the given addresses answer it within ten minutes.
say() { echo "report: $*" > /dev/ttyS0; }
reaches() {
    for _ in $(seq 600); do ping -c 1 -W 1 "$1" > /dev/null 2>&1 && return; sleep 1; done
    return 1
}
say "host $(hostname -f)"
for nic in $(ls /sys/class/net); do say "nic $(ip -br -4 address show "$nic")"; done
say "default route $(ip -4 route show default | cut -d' ' -f3,5 | tr '\n' ' ')"
say "name servers $(resolvectl dns | sed -n 's/.*(\(.*\))/\1/p' | tr '\n' ' ')"
say "logs in by $(cut -d' ' -f3 /home/debian/.ssh/authorized_keys)"
for file in /etc/greeting /usr/local/bin/report; do say "file $(stat -c '%a %U %n' $file)"; done
say "greeting $(cat /etc/greeting)"
say "disk of $(df --output=size -BM / | tail -1) for /"
for address in "$@"; do reaches "$address" && say "reaches $address" || say "does not reach $address"; done
say end

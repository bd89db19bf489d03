#!/usr/bin/env bash
# dnsmasq 2.90 (Debian 12's dnsmasq-base). dhcp-option=NUMBER,VALUE for numbers that the standard leaves to the site (224 to 254).
# Guess: the value is sent as the text that it is, or its form is part of the option.
# Behaviour: what it is sent as is told by its looks: digits are a number of one, two or four bytes, pairs of hex digits with colons are
#   bytes (a time of day, too), four numbers with points an address. "1.5" and "1.2.3" are no address, and dnsmasq does not start. In
#   double quotes each of them is text.
# Seen: see the table printed: 12 -> 0c; 300 -> 012c; 12:30 -> 1230; 1.2.3.4 -> 01020304; 1.5 refused; "12:30" -> the text.
set -euo pipefail
dnsmasq --version | grep -q '^Dnsmasq version 2\.90 ' || { echo "this is about dnsmasq 2.90, here is: $(dnsmasq --version | head -1)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
chmod 755 "$work" && cd "$work"
echo "02:00:00:00:00:01,10.0.0.9" > hosts
number=224
for value in web 12 300 70000 12:30 de:ad 1.2.3.4 1.2.3 1.5 '"12:30"' '"1.5"'; do
    echo "dhcp-option=$number,$value" > one
    if dnsmasq --test --conf-file=one > said 2>&1; then cat one >> conf; else echo "$value: refused"; fi
    number=$((number + 1))
done > seen
cat > client.py <<'PY'
import socket
import struct
import time

MAC = bytes([2, 0, 0, 0, 0, 1])


def checksum(header):
    total = sum(struct.unpack("!10H", header))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def offered(wanted):
    """The options that a DHCPDISCOVER is answered with, by number."""
    options = bytes([53, 1, 1, 55, len(wanted), *wanted, 255])
    dhcp = struct.pack("!4BIHH16x16s192xI", 1, 1, 6, 0, 7, 0, 0x8000, MAC, 0x63825363) + options
    udp = struct.pack("!4H", 68, 67, 8 + len(dhcp), 0) + dhcp
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind(("client", 0))
        wire.settimeout(10)
        wire.send(b"\xff" * 6 + MAC + b"\x08\x00" + ip + udp)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            frame = wire.recv(2000)
            if frame[34:38] == struct.pack("!HH", 67, 68):
                found, rest = {}, frame[282:]
                while rest[0] != 255:
                    found[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
                return found
    raise SystemExit("no answer")


written = dict(line.strip().removeprefix("dhcp-option=").split(",", 1) for line in open("conf"))
for number, sent in sorted(offered([int(number) for number in written]).items()):
    if str(number) in written:
        print(f"{written[str(number)]}: {sent.decode() if sent.isascii() and sent.decode().isprintable() else sent.hex()}")
PY
unshare --net bash -euo pipefail -c '
    ip link add server type veth peer name client && ip addr add 10.0.0.1/24 dev server
    ip link set lo up && ip link set server up && ip link set client up
    dnsmasq --conf-file=conf --port=0 --interface=server --bind-interfaces --dhcp-range=10.0.0.0,static,255.255.255.0,3600 \
        --dhcp-hostsfile="$PWD/hosts" --dhcp-leasefile="$PWD/leases" --pid-file="$PWD/pid" --log-facility="$PWD/log" --user=root
    trap "kill \$(cat pid)" EXIT
    python3 client.py' >> seen
cat seen
diff - seen << 'END' || { echo "dnsmasq reads values otherwise now"; exit 1; }
1.2.3: refused
1.5: refused
web: web
12: 0c
300: 012c
70000: 00011170
12:30: 1230
de:ad: dead
1.2.3.4: 01020304
"12:30": 12:30
"1.5": 1.5
END

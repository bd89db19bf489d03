#!/usr/bin/env bash
# dnsmasq 2.90 (Debian 12's dnsmasq-base). Lines MAC,address,name of a DHCP hosts file; the names are valid host names.
# Guess: the third field is the name, as the manual's examples have it.
# Behaviour: the fields are told apart by what they look like: a name of digits, or of digits and a letter such as "45m" or "4w", is the
#   lease time, "infinite" a lease without end, and the host "ignore" gets no address at all. Of a.b.c only a is given out. A
#   name of 64 characters drops the line: one line in the log, that client gets silence, all others are served.
# Seen: see the table printed: 12345 -> 12345 s and no name; 4w -> 2419200 s; ignore -> no answer.
set -euo pipefail
dnsmasq --version | grep -q '^Dnsmasq version 2\.90 ' || { echo "this is about dnsmasq 2.90, here is: $(dnsmasq --version | head -1)"; exit 2; }
[ "$(id -u)" = 0 ] || { echo "needs root (it works in a network namespace of its own)"; exit 2; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
chmod 755 "$work" && cd "$work"
names=(web-1 12345 45m 4w infinite ignore a.b.c "$(printf 'n%.0s' {1..64})")
for n in "${!names[@]}"; do echo "02:00:00:00:00:0$n,10.0.0.1$n,${names[n]}"; done > hosts
cat > client.py <<'PY'
import socket, struct, sys, time

def checksum(header):
    total = sum(struct.unpack("!10H", header))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF

def discover(number):
    """What a DHCPDISCOVER of 02:00:00:00:00:0<number> is offered: seconds of the lease, host name; None for silence."""
    mac = bytes([2, 0, 0, 0, 0, number])
    options = bytes([53, 1, 1, 55, 2, 12, 51, 255])
    dhcp = struct.pack("!4BIHH16x16s192xI", 1, 1, 6, 0, number, 0, 0x8000, mac, 0x63825363) + options
    udp = struct.pack("!4H", 68, 67, 8 + len(dhcp), 0) + dhcp
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800)) as wire:
        wire.bind(("client", 0))
        wire.settimeout(2)
        wire.send(b"\xff" * 6 + mac + b"\x08\x00" + ip + udp)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            try:
                frame = wire.recv(2000)
            except TimeoutError:
                break
            if frame[34:38] == struct.pack("!HH", 67, 68):
                found, rest = {}, frame[282:]
                while rest[0] != 255:
                    found[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
                return f"{int.from_bytes(found[51], 'big')} s, name {found.get(12, b'-').decode()}"
    return "silence"

for number, name in enumerate(sys.argv[1:]):
    print(f"{name[:12]}: {discover(number)}")
PY
unshare --net bash -euo pipefail -c '
    ip link add server type veth peer name client && ip addr add 10.0.0.1/24 dev server
    ip link set lo up && ip link set server up && ip link set client up
    dnsmasq --conf-file=/dev/null --port=0 --interface=server --bind-interfaces --dhcp-range=10.0.0.0,static,255.255.255.0,3600 \
        --dhcp-hostsfile="$PWD/hosts" --dhcp-leasefile="$PWD/leases" --pid-file="$PWD/pid" --log-facility="$PWD/log" --user=root
    trap "kill \$(cat pid)" EXIT
    python3 client.py "$@"' bash "${names[@]}" | tee seen
diff - seen << 'END' || { echo "dnsmasq reads names otherwise now"; exit 1; }
web-1: 3600 s, name web-1
12345: 12345 s, name -
45m: 2700 s, name -
4w: 2419200 s, name -
infinite: 4294967295 s, name -
ignore: silence
a.b.c: 3600 s, name a
nnnnnnnnnnnn: silence
END

#!/usr/bin/env bash
# Linux (seen on kernel 6.18 with Python 3.11): the most memory of a child, as wait4 and getrusage tell it.
# Guess: ru_maxrss of a child that was waited for is the most that its program had.
# Behaviour: it begins with what the process had before it became the program: the memory of who started it. A small program that is
#   started by a large one seems to need as much as that. VmHWM in /proc/PID/status begins anew with the program.
# Seen: `python -S -c pass` beside 300 MB of its parent: ru_maxrss above 250 MB, VmHWM below 50 MB.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 - << 'END' | tee "$work/seen"
import os, sys
held = b"x" * 300_000_000
program = "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    os.dup2(write, 1)
    os.execv(sys.executable, [sys.executable, "-S", "-c", program])
os.close(write)
_, _, used = os.wait4(pid, 0)
peak = int(os.read(read, 100))
print("ru_maxrss above 250 MB:", used.ru_maxrss > 250_000)
print("VmHWM below 50 MB:", peak < 50_000)
END
diff - "$work/seen" << 'END' || { echo "the kernel ($(uname -r)) counts the memory of children otherwise"; exit 1; }
ru_maxrss above 250 MB: True
VmHWM below 50 MB: True
END

"""How long a plan takes: 100 new instances on 1,000 hosts, and an unchanged stack of 1,000 instances on them.

python -m bench.plans
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.common import TMPFS, scratch
from slipway import Orchestrator
from slipway.runfile import RunFile, loads

HOSTS = 1000
NEW = 100
BUILT = 1000
TIMES = 5


def file(instances: int) -> RunFile:
    """A stack with so many instances on all the hosts."""
    hosts = "\n".join(f"  h{number:04}: {{vcpus: 16, memory: 64GiB, disk: 1TiB}}" for number in range(HOSTS))
    return loads(
        f"""
schema: 1
hosts:
{hosts}
networks: {{net: {{subnets: {{sub: {{cidr: 10.0.0.0/16}}}}}}}}
flavors: {{s: {{vcpus: 1, memory: 1GiB, disk: 10GiB}}}}
images: {{i: {{kernel: ./k}}}}
instances:
  web: {{flavor: s, image: i, networks: [net], count: {instances}}}
settings: {{quota_port: -1}}
""",
        "bench.yaml",
    )


def took(call: Callable[[], object]) -> str:
    """The median of a few calls, after one that does not count, and of their CPU time."""
    walls, processor = [], []
    for _ in range(TIMES + 1):
        began, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - began)
        processor.append(time.process_time() - cpu)
    return f"{statistics.median(walls[1:]):.2f} s ({statistics.median(processor[1:]):.2f} s of CPU)"


def main() -> None:
    """Print a line for each."""
    few, many = file(NEW), file(BUILT)
    with scratch(TMPFS) as directory, Orchestrator(directory, settings=few.settings) as slipway:
        slipway.run(file(1))
        slipway.delete("web-1")
        print(f"{NEW} new instances on {HOSTS} hosts: {took(lambda: slipway.plan(few))}")
        slipway.run(many)
        print(f"an unchanged stack of {BUILT} instances: {took(lambda: slipway.plan(many))}")


if __name__ == "__main__":
    main()

"""What follows from the rows of things: counters, quotas and free addresses (A5), and where a secret lies (A10)."""

from __future__ import annotations

from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterator

from slipway.drill.problem import Problem
from slipway.drill.things import Things

_COUNTED = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}
"""The table whose rows a quota counts."""


def wrong_sums(now: Things) -> Iterator[Problem]:
    """Counters that are not the sum of what they count, and addresses that are neither free nor taken, or both."""
    yield from _hosts(now)
    yield from _quotas(now)
    yield from _addresses(now)


def _hosts(now: Things) -> Iterator[Problem]:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for claim in now.rows["claims"]:
        sums[claim["host"]].update({what: claim[what] for what in ("vcpus", "memory", "disk")})
    for host in now.rows["hosts"]:
        for what in ("vcpus", "memory", "disk"):
            counted, claimed = host[f"{what}_used"], sums[host["name"]][what]
            if counted != claimed:
                yield Problem("A5", f"host {host['name']} counts {counted} of {what}, its claims' sum is {claimed}")


def _quotas(now: Things) -> Iterator[Problem]:
    for row in now.rows.get("quotas", ()):
        counted = _COUNTED.get(row["resource"])
        if counted is None:
            continue
        number = sum(one["project_id"] == row["project_id"] for one in now.rows[counted])
        if row["used"] != number:
            text = (
                f"project {row['project_id']}: the quota counts {row['used']} of {row['resource']}, there are {number}"
            )
            yield Problem("A5", text)


def _addresses(now: Things) -> Iterator[Problem]:
    """Of each pool an address is either free or some port's, never both and never neither."""
    pools, free, taken = (_by_subnet(now, table) for table in ("allocation_pools", "free_ranges", "allocations"))
    for subnet, ranges in pools.items():
        held = {first for first, _ in taken[subnet] if any(low <= first <= high for low, high in ranges)}
        ranges_free = sorted(free[subnet])
        both = [address for address in held if _is_within(ranges_free, address)]
        if both:
            yield Problem("A4", f"subnet {subnet}: {len(both)} addresses are free and taken at the same time")
        lost = _size(ranges) - _size(free[subnet]) - len(held) + len(both)
        if lost:
            yield Problem("A11", f"subnet {subnet}: {lost} addresses are neither free nor taken")


def _by_subnet(now: Things, table: str) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in now.rows.get(table, ()):
        first = row["address"] if table == "allocations" else row["first"]
        found[row["subnet_id"]].append((int(first, 16), int(row.get("last", first), 16)))
    return found


def _is_within(ranges: list[tuple[int, int]], address: int) -> bool:
    """Whether it is in one of them, which are in their order and apart."""
    at = bisect(ranges, address, key=lambda one: one[0])
    return at > 0 and ranges[at - 1][1] >= address


def _size(ranges: list[tuple[int, int]]) -> int:
    return sum(high - low + 1 for low, high in ranges)


def secrets(now: Things, secret: str, log: str) -> Iterator[Problem]:
    """Everywhere that the secret is, but with an instance that is being built and may have to go on after a crash."""
    for path, content in now.files.items():
        if secret in content:
            yield Problem("A10", f"the secret is in the file {path}")
    for table, rows in now.rows.items():
        if secret not in repr(rows):
            continue
        columns = {
            column
            for row in rows
            for column, value in row.items()
            if (table, column) != ("instances", "user_data") and _holds(value, secret)
        }
        for column in sorted(columns):
            yield Problem("A10", f"the secret is in the database, {table}.{column}")
    if all(row["task_state"] is None for row in now.rows["instances"]):
        for path, raw in now.raw.items():
            if secret.encode() in raw:
                yield Problem("A10", f"nothing is being built, and the secret is in {path}, where it was deleted")
    if secret in log:
        yield Problem("A10", "the secret is in the log")


def _holds(value: object, secret: str) -> bool:
    if isinstance(value, bytes):
        return secret.encode() in value
    return isinstance(value, str) and secret in value

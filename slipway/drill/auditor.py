"""Whether the invariants A1 to A11 hold, judged from `Things` alone: what each instance's state promises, and no more.

A1 every instance is at rest; A2 reality equals the record; A3 an instance that runs has exactly one of each effect,
one that does not has none, or what is left is listed as stuck; A4 addresses, MACs and names are unique; A5 claims,
counters and quotas agree; A6 the first error is kept; A7 doing it again changes nothing; A8 neighbours and what was
brought along are untouched; A9 the fault went off; A10 no secret anywhere but where a build needs it; A11 delete leaves
nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from slipway.drill.meanwhile import ANOTHER
from slipway.drill.problem import Problem
from slipway.drill.routed import is_a_router, is_a_routers_port
from slipway.drill.sums import secrets, wrong_sums
from slipway.drill.things import Row, Things
from slipway.states.machines import Move

HARMLESS = frozenset({"placement", "allocation", "launch"})
"""Kinds in the ledger that are results only and stay `done` for ever."""
WIRED = frozenset({"vif", "filter", "dhcp"})
"""What a host's wiring makes for each NIC."""
_OURS = frozenset({"seed", "dhcp-port"})
"""Kinds of effects besides that no task of a user's has."""
_CHANGED_BY_OWNER = frozenset({"device_id", "device_owner", "status"})
"""What of a port brought along changes while an instance has it, besides its binding."""
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RESTING = frozenset({"ACTIVE", "PAUSED", "STOPPED", "ERROR", "DELETED"})
_GOOD = frozenset(f"instance.{move}" for move in (Move.FINISH, Move.RUNS, Move.HALTED, Move.SUSPENDED))
"""The events after which nothing is wrong any more."""
_WHOLE = {"ACTIVE": ("running",), "PAUSED": ("paused",), "STOPPED": ("shutdown", "crashed")}
"""The states in which all of an instance is there, and what its domain may be then."""


def audit(
    now: Things,
    before: Things,
    *,
    secret: str = "",
    log: str = "",
    wired: frozenset[str] = WIRED,
    lasting: frozenset[str] = frozenset(),
    inverted: frozenset[str] = frozenset(),
    finals: frozenset[str] = frozenset(),
    stuck: bool = False,
) -> list[Problem]:
    """All that is wrong now; `before` is the world in which the drilled instances were not yet there.

    `secret` is what just a build under way may have, `log` what was logged; `wired`: the kinds that the wiring makes;
    `lasting`: the kinds of effects that no task takes back; `inverted`: the steps that the workflow itself does;
    `finals`: those at its end; `stuck`: an instance may be whole but for what is listed as stuck.
    """
    found = list(_Audit(now, before, wired, HARMLESS | lasting, inverted, finals, stuck=stuck).problems())
    return [*found, *secrets(now, secret, log)] if secret else found


class _Audit:
    def __init__(
        self,
        now: Things,
        before: Things,
        wired: frozenset[str],
        lasting: frozenset[str],
        inverted: frozenset[str],
        finals: frozenset[str],
        *,
        stuck: bool,
    ) -> None:
        self.stuck = stuck
        self.now, self.before, self.wired = now, before, wired
        self.lasting, self.inverted, self.finals = lasting, inverted, finals
        self.others: dict[str, dict[str, str]] = defaultdict(dict)
        """By instance, the things that none of our own tasks makes, with their contents."""
        old = {row["id"] for row in before.rows["instances"]}
        self.instances: dict[str, Row] = {r["id"]: r for r in now.rows["instances"] if r["id"] not in old}
        self.effects: dict[str, list[Row]] = defaultdict(list)
        for row in now.rows["effects"]:
            self.effects[row["instance_id"]].append(row)
        self.ports = {row["id"]: row for row in now.rows.get("ports", ())}
        self.holders = {port_id: self._holder(port) for port_id, port in self.ports.items()}
        self.held: dict[str, list[Row]] = defaultdict(list)
        """By instance, its ports, by their ids."""
        for port_id, port in sorted(self.ports.items()):
            self.held[self.holders[port_id] or ""].append(port)
        self.addresses = Counter(row["port_id"] for row in now.rows.get("allocations", ()))
        """How many each port has."""
        silent = {row["id"] for row in now.rows.get("subnets", ()) if not row["enable_dhcp"]}
        self.without_dhcp = {row["port_id"] for row in now.rows.get("allocations", ()) if row["subnet_id"] in silent}
        """The ports with an address on a subnet that has none."""

    def problems(self) -> Iterator[Problem]:
        """All of them, one invariant after the other."""
        yield from self._resting()
        yield from self._reality()
        yield from self._unique()
        yield from wrong_sums(self.now)
        yield from self._first_errors()

    # --- A1 -------------------------------------------------------------------------------------------------------

    def _resting(self) -> Iterator[Problem]:
        for row in self.instances.values():
            if row["task_state"] is not None or row["vm_state"] not in _RESTING:
                yield Problem("A1", f"instance {row['name']} is left {row['vm_state']}/{row['task_state']}")
        for run in self.now.rows.get("runs", ()):
            if run["instance_id"] in self.instances and run["ended_at"] is None:
                yield Problem("A1", f"the {run['name']} of {run['instance_id']} is left {run['state']}")

    # --- A2, A3, A8 -----------------------------------------------------------------------------------------------

    def _reality(self) -> Iterator[Problem]:
        there, were = self.now.by_name, self.before.by_name
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for name, content in there.items():
            if name not in were:
                yield from self._new(name, content, found)
            elif content != were[name]:
                yield from self._changed(name, msgspec.json.decode(were[name]), msgspec.json.decode(content), found)
        for name in were.keys() - there.keys():
            yield Problem("A8", f"{name} was there before and is gone")
        for instance_id, row in self.instances.items():
            yield from self._promise(row, found[instance_id])

    def _new(self, name: str, content: str, found: Mapping[str, Counter[str]]) -> Iterator[Problem]:
        owner = self._owner(name, content)
        if owner is None:
            if not self._is_nobodys_on_purpose(name, content):
                yield Problem("A2", f"{name} is there and nobody's: {content[:200]}")
            return
        kind = _kind(name)
        if kind == "file":
            self.others[owner][name.removeprefix("file ")] = content
            return
        found[owner][kind] += 1
        if kind == "port" and msgspec.json.decode(content)["binding_host_id"]:
            found[owner]["binding"] += 1

    def _changed(self, name: str, old: Row, new: Row, found: Mapping[str, Counter[str]]) -> Iterator[Problem]:
        """A port that was brought along may have an owner and a binding; all else is as it was."""
        changed = {column for column in new if new[column] != old.get(column)}
        owner = new.get("device_id")
        if name.startswith("ports ") and not old["device_id"] and owner in self.instances:
            changed -= _CHANGED_BY_OWNER | {column for column in changed if column.startswith("binding_")}
            found[str(owner)]["port"] += 1
            found[str(owner)]["binding"] += bool(new["binding_host_id"])
        if changed:
            columns = ", ".join(f"{c} was {old.get(c)!r} and is {new[c]!r}" for c in sorted(changed))
            yield Problem("A8", f"{name} has changed: {columns}")

    def _owner(self, name: str, content: str) -> str | None:
        """The drilled instance that a thing belongs to: it is in its name or in itself, or in its port."""
        for instance_id in _ID.findall(name + content):
            if instance_id in self.instances:
                return str(instance_id)
        row: Row = {} if name.startswith("file ") else msgspec.json.decode(content)
        return self.holders.get(row.get("port_id", row.get("id", "")))

    def _holder(self, port: Row) -> str | None:
        """The drilled instance that has a port as a NIC; also one that somebody took while its guest goes on."""
        if port["device_id"] in self.instances:
            return str(port["device_id"])
        wanted = str(port["id"]).encode() if port["device_id"] == ANOTHER else None
        for instance_id, row in self.instances.items():
            standing = (e for e in self.effects[instance_id] if e["kind"] == "port" and e["state"] == "done")
            if wanted and row["vm_state"] in _WHOLE and any(wanted in (e["result"] or b"") for e in standing):
                return instance_id
        return None

    def _is_of_the_project(self, name: str, content: str) -> bool:
        """Whether it is a default security group or one of its rules: made when first needed, never taken back."""
        if not name.startswith("security_group"):
            return False
        row = msgspec.json.decode(content)
        groups = {group["id"]: group["name"] for group in self.now.rows["security_groups"]}
        return groups.get(row.get("security_group_id", row["id"])) == "default"

    def _is_nobodys_on_purpose(self, name: str, content: str) -> bool:
        """Whether it is a project's, a DHCP server's or a router's, or was given away, and so of no instance."""
        if self._is_of_the_project(name, content) or is_a_router(self.now, name, content):
            return True
        port = self._port_of(name, content)
        # A port that somebody took meanwhile is theirs from then on.
        return port is not None and (
            port["device_id"] == ANOTHER or self._is_a_servers(port) or is_a_routers_port(self.now, port)
        )

    def _is_a_servers(self, server: Row) -> bool:
        """Whether the port is a DHCP server's that serves somebody or is listed as stuck."""
        if server["device_owner"] != "network:dhcp":
            return False
        host = str(server["device_id"]).removeprefix("dhcp-").removesuffix(f"-{server['network_id']}")
        served = (p["binding_host_id"] == host for p in self.ports.values() if p["network_id"] == server["network_id"])
        return any(served) or any(self._holds_server(rows, host) for rows in self.effects.values())

    @staticmethod
    def _holds_server(rows: list[Row], host: str) -> bool:
        """Whether an instance of which something is stuck holds it: its NIC may be bound nowhere just then."""
        standing = [row for row in rows if row["state"] in ("done", "stuck")]
        held = any(row["kind"] == "dhcp-port" and row["host"] == host for row in standing)
        return held and any(row["state"] == "stuck" for row in standing)

    def _port_of(self, name: str, content: str) -> Row | None:
        """The port that it is, or is something of."""
        row: Row = {} if name.startswith("file ") else msgspec.json.decode(content)
        return self.ports.get(row.get("port_id", row.get("id", "")))

    def _promise(self, instance: Row, found: Counter[str]) -> Iterator[Problem]:
        rows = self.effects[instance["id"]]
        # What nothing takes back stays so where it failed: nobody knows whether it was.
        left = [row for row in rows if row["state"] == "intended" and not self._is_lasting(row)]
        for row in left:
            yield Problem("A2", f"the ledger says {row['key']} is still going on")
        if instance["vm_state"] in _WHOLE:
            yield from self._whole(instance, found, rows)
            return
        stuck = Counter(_found_as(row["kind"]) for row in rows if row["state"] == "stuck")
        for kind, number in found.items():
            listed = number if kind == "part" and stuck["port"] else stuck[kind]
            if number > listed:
                more = f"{number - listed} of kind {kind} left and not listed as stuck"
                yield Problem("A3", f"instance {instance['name']} is {instance['vm_state']}: {more}")
        yield from self._explained(instance, [row for row in rows if row["state"] == "stuck" or self._lasts(row)])
        for row in rows:
            if row["state"] == "done" and not self._lasts(row):
                yield Problem(
                    "A2", f"instance {instance['name']} is {instance['vm_state']}: {row['key']} is not undone"
                )
        if instance["vm_state"] == "DELETED" and stuck:
            yield Problem("A11", f"instance {instance['name']} is DELETED and {stuck.total()} effects are stuck")

    def _whole(self, instance: Row, found: Counter[str], rows: list[Row]) -> Iterator[Problem]:
        name, state = instance["name"], instance["vm_state"]
        promised = self._promised(instance)
        left = Counter(_found_as(row["kind"]) for row in rows if row["state"] == "stuck" and self.stuck)
        for kind in _KINDS:
            if kind in WIRED - self.wired:
                continue
            fewer = 0 if left else promised[kind]
            if not fewer <= found[kind] <= promised[kind] + left[kind]:
                yield Problem(
                    "A3", f"instance {name} is {state} with {found[kind]} of kind {kind} for {promised[kind]}"
                )
        standing = ("done", "stuck") if self.stuck else ("done",)
        yield from self._explained(instance, [row for row in rows if row["state"] in standing])
        for row in rows:
            if row["state"] == "stuck" and not self.stuck:
                yield Problem("A3", f"instance {name} is {state} and {row['key']} is stuck")
        if not left:
            yield from self._fits(instance)

    def _promised(self, instance: Row) -> Counter[str]:
        """How many effects of each kind an instance that runs must have, by its request and its ports' subnets."""
        request = msgspec.json.decode(instance["request"])
        asked = request["networks"]
        nics = len(asked) if asked is not None else min(1, len(self.now.rows.get("networks", ())))
        disks = bool(request["flavor"]["disk"]) + len(request["disks"]) + self._has_seed(request, instance)
        return Counter(
            claim=1, port=nics, binding=nics, disk=disks, definition=1, domain=1, vif=nics, filter=nics, dhcp=nics
        )

    def _has_seed(self, request: Any, instance: Row) -> bool:
        """Whether it has something to tell its guest, or an address on a subnet without DHCP."""
        if request["user_data_sha256"] is not None or request["ssh_keys"] or request["files"]:
            return True
        mine = (port["id"] for port in self.held[instance["id"]] if port["device_id"] == instance["id"])
        return not self.without_dhcp.isdisjoint(mine)

    def _lasts(self, row: Row) -> bool:
        return row["state"] == "done" and self._is_lasting(row)

    def _is_lasting(self, row: Row) -> bool:
        return row["step"] in self.finals or (row["kind"] in self.lasting and row["step"] not in self.inverted)

    def _explained(self, instance: Row, rows: list[Row]) -> Iterator[Problem]:
        """Each thing of a user's task bears the key, the result or an argument of an effect of its own."""
        effects = [row for row in rows if row["kind"] not in _KINDS | HARMLESS | _OURS]
        for name, content in self.others[instance["id"]].items():
            borne = [row for row in effects if _bears(name, content, row, instance)]
            mine = max(borne, key=lambda row: bool(row["run_id"]) and row["run_id"] in name, default=None)
            if mine is None:
                text = f"{name} is there, and bears neither the key nor the result of an effect on record"
                yield Problem("A2", f"instance {instance['name']} is {instance['vm_state']}: {text}")
            else:
                effects.remove(mine)

    def _fits(self, instance: Row) -> Iterator[Problem]:
        """The domain has the instance's ports, addresses and disks, on the host that it claimed."""
        mine = self.held[instance["id"]]
        for port in mine:
            if port["binding_host_id"] != instance["host"]:
                yield Problem(
                    "A2", f"port {port['id']} is bound to '{port['binding_host_id']}', not {instance['host']}"
                )
        domain = self.now.files.get(f"world/{instance['host']}/domains/{instance['id']}.json")
        if domain is None:
            yield Problem("A2", f"instance {instance['name']} has no domain on its host {instance['host']}")
            return
        content = msgspec.json.decode(domain)
        if content["state"] not in _WHOLE[instance["vm_state"]]:
            state = f"{instance['vm_state']} and its domain is {content['state']}"
            yield Problem("A3", f"instance {instance['name']} is {state}")
        if sorted(content["macs"]) != sorted(p["mac_address"] for p in mine):
            yield Problem("A2", f"instance {instance['name']}: the domain's MACs are not its ports'")
        on_record = set(msgspec.json.decode(instance["addresses"] or "[]"))
        held = sum(self.addresses[port["id"]] for port in mine)
        if len(on_record) != held:
            yield Problem("A2", f"instance {instance['name']} has {held} addresses and {len(on_record)} on record")

    # --- A4, A6 ---------------------------------------------------------------------------------------------------

    def _unique(self) -> Iterator[Problem]:
        live = [(row["project"], row["name"]) for row in self.now.rows["instances"] if row["vm_state"] != "DELETED"]
        yield from _twice("name", live)
        yield from _twice("MAC", [(p["network_id"], p["mac_address"]) for p in self.ports.values()])
        yield from _twice("address", [(a["subnet_id"], a["address"]) for a in self.now.rows.get("allocations", ())])
        worlds = [msgspec.json.decode(text) for path, text in self.now.files.items() if "/domains/" in path]
        if not (self.stuck and any(row["state"] == "stuck" for row in self.now.rows["effects"])):
            # The domain that a move could not take away may be beside the new one, as long as it is listed.
            yield from _twice("domain's MAC", [mac for domain in worlds for mac in domain.get("macs", ())])

    def _first_errors(self) -> Iterator[Problem]:
        """The fault on record is the first failure of the history; one that another host, or another
        change, made good is forgotten."""
        first: dict[str, str] = {}
        for row in self.now.rows["events"]:
            if row["type"] == "instance.fail":
                first.setdefault(row["instance_id"], row["detail"])
            elif row["type"] in _GOOD or (row["type"] == "instance.changed" and not row["detail"]):
                first.pop(row["instance_id"], None)
        for instance in self.instances.values():
            if instance["id"] not in first:
                continue
            fault = msgspec.json.decode(instance["fault"]) if instance["fault"] else None
            kept = f"{fault['step']}: {fault['type']}: {fault['message']}" if fault else "none"
            if kept != first[instance["id"]]:
                text = f"the first error was '{first[instance['id']]}', on record is '{kept}'"
                yield Problem("A6", f"instance {instance['name']}: {text}")


_KINDS = frozenset({"claim", "port", "binding", "disk", "definition", "domain", *WIRED})
_FOLDERS = {"domains": "domain", "disks": "disk", "taps": "vif", "filters": "filter", "dhcp": "dhcp"}


def _found_as(kind: str) -> str:
    """As which kind of thing an effect is seen."""
    return "disk" if kind == "seed" else kind


def _bears(name: str, content: str, effect: Row, instance: Row) -> bool:
    """Whether a thing says that it is this effect's; what names the instance alone could be any effect's."""
    known = {effect["key"], effect["run_id"], *_texts(effect["result"]), *_texts(effect["args"])}
    common = {None, *(instance[column] for column in ("id", "name", "project", "host"))}
    whole = {name, *name.split("/"), name.rpartition("/")[2].partition(".")[0]}
    return bool(known & whole) or any(text in name or text in content for text in known - common)


def _texts(recorded: bytes | None) -> Iterator[str]:
    """Every text of a recorded value that is long enough to tell one thing from another."""
    waiting = [msgspec.json.decode(recorded)] if recorded else []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and len(value) > 3:
            yield value
        elif isinstance(value, (list, dict)):
            waiting += value.values() if isinstance(value, dict) else value


def _kind(name: str) -> str:
    """The kind of effect that makes a thing; `part` for what goes with a port, `file` where none is known to."""
    where, _, what = name.partition(" ")
    if where == "file":
        parts = what.split("/")
        if parts[0] == "instances" and what.endswith(".xml"):
            return "definition"
        in_world = parts[0] == "world" and len(parts) == 4 and what.endswith(".json")
        return _FOLDERS.get(parts[2], "file") if in_world else "file"
    return {"claims": "claim", "ports": "port"}.get(where, "part")


def _twice(what: str, values: list[Any]) -> Iterator[Problem]:
    for value, number in Counter(values).items():
        if number > 1:
            yield Problem("A4", f"{what} {value} is there {number} times")

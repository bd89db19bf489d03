"""Routers and floating IPs of a stack: found, compared with what the file says, and made so."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from slipway import errors
from slipway.drivers.network.base import NetworkDriver
from slipway.drivers.network.routing import RoutingDriver, routing_of
from slipway.model.network import Context
from slipway.model.neutron import ROUTER_INTERFACE as ROUTER_INTERFACE
from slipway.model.routing import FloatingIp, PortForwarding, Router
from slipway.runfile.entries import FloatingIpEntry, ForwardEntry, RouterEntry, RunFile
from slipway.stacks.lookups import Lookups
from slipway.states.store import Transaction

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GATEWAY = frozenset({"external_network", "snat", "external_ips"})


class Routing:
    """The file's names, and what is there of routers and floating IPs. Of a floating IP the description is its name."""

    def __init__(
        self, file: RunFile, driver: NetworkDriver, find: Lookups, tx: Transaction | None, description: str
    ) -> None:
        self._file, self._network_driver, self._find, self._tx = file, driver, find, tx
        self._description = description
        self._admin = Context(file.project, is_admin=True)

    @cached_property
    def _driver(self) -> RoutingDriver:
        """Asked for where a file has such things: not every driver has."""
        return routing_of(self._network_driver)

    # --- found ----------------------------------------------------------------------------------------------------

    def router(self, name: str) -> Router | None:
        """The project's router. Raises `NoUniqueMatch`."""
        return self._find.router(self._driver, name)

    def floating_ip(self, name: str) -> FloatingIp | None:
        """The project's floating IP of that name. Raises `NoUniqueMatch`."""
        return self._find.floating_ip(self._driver, name)

    def said(self, router: Router) -> Mapping[str, Any]:
        """What a router is, in the words of a file."""
        gateway = router.external_gateway_info
        networks = {one.id: one.name for one in self._network_driver.list_networks(self._admin, tx=self._tx)}
        subnets = {one.id: one.name for one in self._network_driver.list_subnets(self._admin, tx=self._tx)}
        found: dict[str, Any] = {
            "subnets": tuple(sorted(subnets.get(id_, id_) or id_ for id_ in self._led_to(router))),
            "routes": tuple(sorted(router.routes, key=str)),
            "external_network": None,
        }
        if gateway is not None:
            outside = networks.get(gateway.network_id, gateway.network_id) or gateway.network_id
            addresses = tuple(sorted(each.ip_address for each in gateway.external_fixed_ips))
            found |= {"external_network": outside, "snat": gateway.enable_snat, "external_ips": addresses}
        return found

    def wanted(self, entry: RouterEntry) -> Mapping[str, Any]:
        """What the file says of a router; what it leaves open is not among it."""
        wanted: dict[str, Any] = {
            "subnets": tuple(sorted(entry.subnets)),
            "routes": tuple(sorted(entry.routes, key=str)),
            "external_network": entry.external_network,
        }
        if entry.external_network is not None:
            wanted["snat"] = entry.snat
        if entry.external_ips:
            wanted["external_ips"] = tuple(sorted(entry.external_ips))
        return wanted

    def differing(self, entry: RouterEntry, router: Router) -> Mapping[str, tuple[Any, Any]]:
        """Where the two differ: as it is, and as the file has it."""
        have, want = self.said(router), self.wanted(entry)
        return {name: (have.get(name), value) for name, value in want.items() if have.get(name) != value}

    def differing_address(self, entry: FloatingIpEntry, found: FloatingIp) -> Mapping[str, tuple[Any, Any]]:
        """The same for a floating IP; a fixed IP that the file does not name is as it is."""
        networks = {one.id: one.name for one in self._network_driver.list_networks(self._admin, tx=self._tx)}
        outside = networks.get(found.floating_network_id, found.floating_network_id)
        have: dict[str, Any] = {"network": outside, "port": found.port_id, "address": found.floating_ip_address}
        want: dict[str, Any] = {
            "network": entry.network,
            "port": entry.port,
            "address": entry.address or found.floating_ip_address,
        }
        if found.port_id is not None:
            port = self._network_driver.show_port(self._admin, found.port_id, tx=self._tx)
            is_meant = entry.port is not None and self._port_id(entry.port) == port.id
            have["port"] = entry.port if is_meant else port.name or port.id
        if entry.fixed_ip is not None:
            have["fixed_ip"], want["fixed_ip"] = found.fixed_ip_address, entry.fixed_ip
        if entry.forward is not None:
            have["forward"] = tuple(sorted(self._forwards(entry.forward, found)))
            want["forward"] = tuple(sorted(map(_words, entry.forward)))
        return {name: (have[name], value) for name, value in want.items() if have[name] != value}

    def _led_to(self, router: Router) -> Mapping[str, str]:
        """The subnets to which it leads, each with the port."""
        ports = self._network_driver.list_ports(self._admin, device_id=router.id, tx=self._tx)
        inside = [port for port in ports if port.device_owner == ROUTER_INTERFACE]
        return {each.subnet_id: port.id for port in inside for each in port.fixed_ips}

    # --- made so --------------------------------------------------------------------------------------------------

    def make_router(self, entry: RouterEntry) -> str:
        """Make a router as the file has it; gives its id."""
        made = self._driver.create_router(
            self._admin, name=entry.name, project_id=self._file.project, description=self._description, tx=self._tx
        )
        self.change_router(made.id, entry, frozenset(self.wanted(entry)))
        return made.id

    def change_router(self, router_id: str, entry: RouterEntry, names: Collection[str]) -> None:
        """Have these attributes of a router be as the file says."""
        (router,) = self._driver.list_routers(self._admin, id=router_id, tx=self._tx)
        if "routes" in names and router.routes:  # They keep what they lead over.
            self._update(router_id, routes=[])
        if _GATEWAY.intersection(names):
            self._update(router_id, external_gateway_info=self._gateway(entry))
        if "subnets" in names:
            self._lead_to(router, {self._subnet_id(name) for name in entry.subnets})
        if "routes" in names and entry.routes:
            routes = [{"destination": one.destination, "nexthop": one.nexthop} for one in entry.routes]
            self._update(router_id, routes=routes)

    def _update(self, router_id: str, **attributes: Any) -> None:
        self._driver.update_router(self._admin, router_id, tx=self._tx, **attributes)

    def _gateway(self, entry: RouterEntry) -> dict[str, Any] | None:
        if entry.external_network is None:
            return None
        info = {"network_id": self._network_id(entry.external_network), "enable_snat": entry.snat}
        return info | (
            {"external_fixed_ips": [{"ip_address": ip} for ip in entry.external_ips]} if entry.external_ips else {}
        )

    def _lead_to(self, router: Router, wanted: Collection[str]) -> None:
        have = self._led_to(router)
        for subnet_id in sorted(set(have) - set(wanted)):
            self._driver.remove_router_interface(self._admin, router.id, subnet_id=subnet_id, tx=self._tx)
        for subnet_id in sorted(set(wanted) - set(have)):
            self._driver.add_router_interface(self._admin, router.id, subnet_id=subnet_id, tx=self._tx)

    def make_floating_ip(self, entry: FloatingIpEntry) -> str:
        """Take an address as the file has it; gives the floating IP's id."""
        said: dict[str, Any] = {"floating_network_id": self._network_id(entry.network), "description": entry.name}
        if entry.address is not None:
            said["floating_ip_address"] = entry.address
        said |= self._association(entry)
        made = self._driver.create_floatingip(self._admin, project_id=self._file.project, tx=self._tx, **said)
        for forward in entry.forward or ():
            self._forward(made.id, forward)
        return made.id

    def change_floating_ip(self, floatingip_id: str, entry: FloatingIpEntry) -> None:
        """Have it stand for the port that the file says, or for none."""
        (found,) = self._driver.list_floatingips(self._admin, id=floatingip_id, tx=self._tx)
        wanted = {_words(forward): forward for forward in entry.forward or ()}
        there = self._forwards(entry.forward or (), found)
        for words in there.keys() - wanted.keys() if entry.forward is not None else ():
            self._driver.delete_port_forwarding(self._admin, floatingip_id, there[words].id, tx=self._tx)
        if entry.port is not None or found.port_id is not None:
            said = {"port_id": None} | self._association(entry)
            self._driver.update_floatingip(self._admin, floatingip_id, tx=self._tx, **said)
        for words in wanted.keys() - there.keys():
            self._forward(floatingip_id, wanted[words])

    def _forward(self, floatingip_id: str, entry: ForwardEntry) -> None:
        port_id = self._port_id(entry.port)
        assert port_id is not None
        port = self._network_driver.show_port(self._admin, port_id, tx=self._tx)
        found = [each.ip_address for each in port.fixed_ips if ":" not in each.ip_address]
        if entry.fixed_ip is None and len(found) != 1:
            raise errors.BadRequest(f"forward: port {entry.port} has {len(found)} addresses of IPv4: give a fixed_ip")
        self._driver.create_port_forwarding(
            self._admin,
            floatingip_id,
            protocol=entry.protocol,
            internal_port_id=port_id,
            internal_ip_address=entry.fixed_ip or found[0],
            external_port_range=_range(entry.external),
            internal_port_range=_range(entry.internal),
            tx=self._tx,
        )

    def _forwards(self, entries: Collection[ForwardEntry], found: FloatingIp) -> Mapping[str, PortForwarding]:
        """What a floating IP forwards, in the words of a file; the address too where the file names it."""
        names = {self._port_id(entry.port): entry.port for entry in entries}
        precise = {(entry.protocol, _range(entry.external)) for entry in entries if entry.fixed_ip}
        said = {}
        for one in found.port_forwardings:
            port = names.get(one.internal_port_id, one.internal_port_id)
            where = (one.protocol, one.external_port_range) in precise
            at = f"{port} ({one.internal_ip_address})" if where else port
            said[_line(one.protocol, one.external_port_range, at, one.internal_port_range)] = one
        return said

    def _association(self, entry: FloatingIpEntry) -> dict[str, Any]:
        if entry.port is None:
            return {}
        fixed = {} if entry.fixed_ip is None else {"fixed_ip_address": entry.fixed_ip}
        return {"port_id": self._port_id(entry.port), **fixed}

    # --- names ----------------------------------------------------------------------------------------------------

    def _network_id(self, name: str) -> str:
        found = None if _UUID.fullmatch(name) else self._find.network(name)
        return name if found is None else found.id

    def _subnet_id(self, name: str) -> str:
        for network in self._file.networks:
            if any(subnet.name == name for subnet in network.subnets):
                there = self._find.network(network.name)
                found = None if there is None else self._find.subnet(there, name)
                if found is None:
                    raise errors.PlanOutdated(f"subnet {name} is not there any more: run it again")
                return found.id
        return name

    def _port_id(self, name: str) -> str | None:
        """The port's id; None for one that is still to be made."""
        for network in self._file.networks:
            if any(port.name == name for port in network.ports):
                there = self._find.network(network.name)
                found = None if there is None else self._find.port(there, name)
                return None if found is None else found.id
        return name


def _words(entry: ForwardEntry) -> str:
    """As `Routing._forwards` says what is there."""
    at = f"{entry.port} ({entry.fixed_ip})" if entry.fixed_ip else entry.port
    return _line(entry.protocol, _range(entry.external), at, _range(entry.internal))


def _line(protocol: str, outer: str, at: str, inner: str) -> str:
    seen, led = ("-".join(dict.fromkeys(ports.split(":"))) for ports in (outer, inner))
    return f"{protocol} {seen} to {at}:{led}"


def _range(ports: tuple[int, int]) -> str:
    return f"{ports[0]}:{ports[1]}"

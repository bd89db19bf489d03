"""A host's DHCP servers: for each network a dnsmasq in a namespace of its own, for the ports that are bound here."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address, ip_interface
from pathlib import Path

import msgspec

from slipway.drivers.files import file_name, make_directories, replace, text_of, wait_for_lock
from slipway.drivers.wiring.linuxbridge.dhcp import names
from slipway.drivers.wiring.linuxbridge.dhcp.config import (
    Served,
    addresses_of,
    configuration,
    options_alone,
    read_leases,
)
from slipway.drivers.wiring.linuxbridge.dhcp.forwarding import Forwarding
from slipway.drivers.wiring.linuxbridge.dhcp.hostaddress import HostAddress
from slipway.drivers.wiring.linuxbridge.dhcp.process import ServerProcess, refusal
from slipway.drivers.wiring.linuxbridge.dhcp.veth import ServerLinks, inner_name
from slipway.errors import InvalidInput, StepTimeout, WiringError
from slipway.model.machine import Lease, Vif, Wired
from slipway.model.network import DhcpOption, Port
from slipway.model.request import Host

_SERVED, _LOCK = "served.json", ".lock"


class DhcpServers:
    """May be used by many threads and processes at once: a network's server is changed by one at a time.

    What a network's server is to do is in `dhcp/<host>/<network id>/` in the state directory, files of mode 0600 in
    directories of mode 0700. A change restarts dnsmasq, which takes 3 ms: only a server that does not run lets go of a
    lease for certain, of whichever IP version, and reads files that its own user may not open.
    """

    def __init__(self, host: Host, state: Path, installation: str) -> None:
        """The host's bridges are in the namespace `host.netns`."""
        self._host, self._installation = host, installation
        self._directory = state.absolute() / "dhcp" / file_name(host.name)
        self._alias = f"slipway:{installation}:dhcp"

    def serve(self, instance_id: str, vif: Vif, server: Port) -> None:
        """Hand the VIF the addresses and options that it has now, whatever it had before.

        What another guest had leased of them is forgotten. Raises `WiringError`, `InvalidInput` for its options.
        """
        if vif.dhcp_options:
            check_options(vif.dhcp_options)
        with self._translated(vif.network_id), self._held(vif.network_id) as directory:
            assert directory is not None
            before = _read(directory)
            if before is not None and before.server.id != server.id:
                self._process(directory, vif.network_id).stop()
                self._relay(directory, vif.network_id).set(wanted=False)
                self._links(vif.network_id).disconnect(before.server.id)
            self._bring(directory, before, (before or Served(server)).with_vif(vif, server))

    def refresh(self, vifs: Sequence[Vif], server: Port) -> None:
        """Replace the entries that there are of these ports, all at once, and say at which addresses the server is now.

        Where that changes nothing nothing is done, so what is broken is no obstacle. Raises `WiringError`; where that
        is for a port's options, all the others have changed.
        """
        with self._translated(server.network_id), self._held(server.network_id, make=False) as directory:
            before = None if directory is None else _read(directory)
            if directory is None or before is None or before.server.id != server.id:
                return
            acceptable, refused = _acceptable(before, vifs)
            served = before.refreshed(acceptable, server)
            if served != before or not self._is_told(directory, served):
                self._bring(directory, before, served)
            if refused:
                raise WiringError("; ".join(refused))

    def outdated(self, vifs: Sequence[Vif], server: Port) -> Sequence[str]:
        """Those of these ports that are served by something else than they and the server's port say now."""
        with self._translated(server.network_id):
            served = _read(str(self._path(server.network_id)))
        if served is None or served.server.id != server.id:
            return ()
        if {ip.ip_address for ip in served.server.fixed_ips} != {ip.ip_address for ip in server.fixed_ips}:
            return [vif.port_id for vif in served.vifs]
        return [vif.port_id for vif in vifs if served.find(vif.port_id) not in (None, vif)]

    def _is_told(self, directory: str, served: Served) -> bool:
        told = self._process(directory, served.server.network_id).configured()
        return served.idle or list(told) == configuration(served, inner_name(served.server.id)).splitlines()

    def _bring(self, directory: str, before: Served | None, served: Served) -> None:
        """Have the network's server serve these, whoever was served before."""
        if before != served:
            process = self._process(directory, served.server.network_id)
            # Before it takes the place of one by which others are served.
            if not served.idle and (why := refusal(configuration(served, inner_name(served.server.id)))):
                raise WiringError(f"dnsmasq refuses its configuration: {why}")
            changed = addresses_of(before.vifs if before else ()) ^ addresses_of(served.vifs)
            process.forget(sorted({address for address, _ in changed}))
            _write(directory, served)
        self._tell(directory, served, connect=True)

    def _tell(self, directory: str, served: Served, *, connect: bool) -> None:
        """Have the server's link and its process as they are to be; `connect` a link that is not, or is damaged."""
        server, vif = served.server, served.vifs[-1]
        self._own(server.network_id).set(vif, served.host_addresses())
        process, links = self._process(directory, server.network_id), self._links(server.network_id)
        if served.idle:
            process.stop()
            self._relay(directory, server.network_id).set(wanted=False)
            links.disconnect(server.id)
            return
        text = configuration(served, inner_name(server.id))
        moved = process.configured()[:1] != text.splitlines()[:1]
        addresses, anew = served.server_addresses(), False
        whole = links.is_connected(server.id, vif.bridge) and not (connect and links.fault(server, addresses))
        if moved if whole else connect:
            anew = links.connect(server, addresses, vif.bridge, vif.mtu)
        process.apply(text, anew=anew)
        self._relay(directory, server.network_id).set(wanted=names.forwards(served.vifs))

    def withdraw(self, network_id: str, port_id: str) -> None:
        """Forget the port and its leases; with the last port the server, its links and its files go.

        Absent: nothing happens. Raises `WiringError`.
        """
        with self._translated(network_id), self._held(network_id, make=False) as directory:
            if directory is None:
                return
            process = self._process(directory, network_id)
            before = _read(directory)
            after = None if before is None else before.without(port_id)
            if before is None or after is None or not after.vifs:
                process.stop()
                self._relay(directory, network_id).set(wanted=False)
                self._own(network_id).clear()
                if before is not None:
                    self._links(network_id).disconnect(before.server.id)
                _delete(directory)
                return
            if (vif := before.find(port_id)) is not None:
                process.forget([address for address, _ in addresses_of([vif])])
                _write(directory, after)
            try:
                self._tell(directory, after, connect=False)
            except WiringError:
                # Nor does a server that cannot start serve the port, after the machine has been booted, say. That the
                # others are not served is what `list` tells.
                process.stop()

    def release(self, network_id: str, port_id: str) -> None:
        """Forget what the port's guest has leased. It stays served, and gets its addresses by whatever id it has then.

        dnsmasq would keep a DHCPv6 address for the DUID that had it until the lease ends. Absent: nothing happens.
        """
        with self._translated(network_id), self._held(network_id, make=False) as directory:
            served = None if directory is None else _read(directory)
            if directory is None or served is None:
                return
            process = self._process(directory, network_id)
            with suppress(FileNotFoundError):
                leases = read_leases(Path(process.leases).read_text(), served)
                if leased := [lease.ip_address for lease in leases if lease.port_id == port_id]:
                    process.forget(leased)
                    self._tell(directory, served, connect=False)

    def list(self) -> Sequence[Wired]:
        """All ports whose server lives, would be started again if it died, and is in the network's bridge.

        Wrong with one is that the server works by another configuration than it was told, or at other addresses. While
        no subnet has DHCP they wait for one that has, and there is no server.
        """
        found: list[Wired] = []
        for network_id in self._networks():
            with self._translated(network_id):
                seen = self._seen(network_id)
                if not seen or seen[0].fault:
                    # Somebody may just be changing it.
                    with self._held(network_id, make=False):
                        seen = self._seen(network_id)
                found += seen
        return tuple(sorted(found, key=lambda wired: wired.name))

    def leases(self, network_id: str) -> Sequence[Lease]:
        """The addresses that the guests on the network have got. Nobody is served: none."""
        with self._translated(network_id):
            directory = str(self._path(network_id))
            served = _read(directory)
            try:
                text = Path(self._process(directory, network_id).leases).read_text()
            except FileNotFoundError:
                return ()
            return () if served is None else read_leases(text, served)

    def _networks(self) -> Sequence[str]:
        try:
            return sorted(text_of(name) for name in os.listdir(self._directory))
        except FileNotFoundError:
            return ()

    def _seen(self, network_id: str) -> Sequence[Wired]:
        directory = str(self._path(network_id))
        process, links, served = self._process(directory, network_id), self._links(network_id), _read(directory)
        if served is None or not served.vifs:
            return ()
        own = self._own(network_id).fault(served.vifs[-1], served.host_addresses())
        if served.idle:
            return [Wired(vif.port_id, own, network_id) for vif in served.vifs]
        if not process.lives() or not links.is_connected(served.server.id, served.vifs[0].bridge):
            return ()
        fault = links.fault(served.server, served.server_addresses()) or own
        if not process.keeps_leases():
            fault = "the file with its server's leases is gone"
        elif not process.works_by(configuration(served, inner_name(served.server.id))):
            fault = "its server works by another configuration than it was told"
        elif not self._relay(directory, network_id).is_set(wanted=names.forwards(served.vifs)):
            fault = "what its server does not know of names is not asked from the host's own name servers"
        return [Wired(vif.port_id, fault, network_id) for vif in served.vifs]

    @contextmanager
    def _held(self, network_id: str, *, make: bool = True) -> Iterator[str | None]:
        """The network's directory, locked; where it is absent, made or None."""
        directory = str(self._path(network_id))
        fd = _locked(directory, make)
        if fd is None:
            yield None
            return
        try:
            yield directory
        finally:
            # Said, not left to the close: a child forked meanwhile still has the file open.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    @contextmanager
    def _translated(self, network_id: str) -> Iterator[None]:
        try:
            yield
        except (OSError, subprocess.SubprocessError, msgspec.MsgspecError, WiringError) as error:
            raise WiringError(f"{self._host.name}: DHCP of network {network_id}: {error}") from error

    def _path(self, network_id: str) -> Path:
        return self._directory / file_name(network_id)

    def _process(self, directory: str, network_id: str) -> ServerProcess:
        return ServerProcess(directory, self.namespace(network_id))

    def _relay(self, directory: str, network_id: str) -> Forwarding:
        return Forwarding(directory, self.namespace(network_id), self._host.netns)

    def _own(self, network_id: str) -> HostAddress:
        return HostAddress(self._host.netns, self._installation, network_id)

    def _links(self, network_id: str) -> ServerLinks:
        return ServerLinks(self._host.netns, self.namespace(network_id), self._alias)

    def way_to(self, network_id: str, address: str) -> str | None:
        """The namespace from which the address is reached: the host's own where it has one on that subnet."""
        with self._translated(network_id):
            served = _read(str(self._path(network_id)))
        if served is None:
            return self._host.netns
        own = [ip_interface(each).network for each in served.host_addresses()]
        return self._host.netns if any(ip_address(address) in each for each in own) else self.namespace(network_id)

    def namespace(self, network_id: str) -> str:
        """Neutron's name; where hosts are namespaces of one machine, which share such names, each host has its own."""
        if self._host.netns is None:
            return f"qdhcp-{network_id}"
        return f"qdhcp-{network_id}-{hashlib.sha256(self._host.name.encode()).hexdigest()[:8]}"


def _acceptable(before: Served, vifs: Sequence[Vif]) -> tuple[Sequence[Vif], Sequence[str]]:
    """The VIFs, each with the options that it had before where dnsmasq refuses those that it has now; and why."""
    found, refused = [], []
    for vif in vifs:
        old = before.find(vif.port_id)
        if old is not None and vif.dhcp_options not in ((), old.dhcp_options):
            try:
                check_options(vif.dhcp_options)
            except InvalidInput as error:
                refused.append(f"port {vif.port_id}: {error}")
                vif = msgspec.structs.replace(vif, dhcp_options=old.dhcp_options)
        found.append(vif)
    return found, refused


def check_options(options: Sequence[DhcpOption]) -> None:
    """Raises `InvalidInput` for options that dnsmasq would refuse, `WiringError` where it is not installed."""
    try:
        why = refusal(options_alone(options))
    except ValueError as error:
        raise InvalidInput(f"extra_dhcp_opts: {error}") from error
    if why is not None:
        raise InvalidInput(f"extra_dhcp_opts: dnsmasq refuses them: {why.replace('dhcp-option=tag:port,', '')}")


def _locked(directory: str, make: bool) -> int | None:
    """The descriptor of the directory's lock, which is held until it is closed. None: there is no such directory.

    The directory may go while we wait, and come again with another lock: ours counts only if it is still there.
    """
    while True:
        if make:
            make_directories(Path(directory))
        try:
            fd = os.open(f"{directory}/{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            if make:
                continue
            return None
        try:
            wait_for_lock(fd)
        except StepTimeout:
            os.close(fd)
            raise
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)


def _delete(directory: str) -> None:
    """Delete it and what is in it, the lock last: those who wait for that will see that it is gone."""
    for name in sorted(os.listdir(directory), key=lambda name: (name == _LOCK, name != _SERVED)):
        os.unlink(f"{directory}/{name}")
    # Somebody may have begun to use it since.
    with suppress(OSError):
        os.rmdir(directory)


def _read(directory: str) -> Served | None:
    try:
        with open(f"{directory}/{_SERVED}", "rb") as file:
            return msgspec.json.decode(file.read(), type=Served)
    except FileNotFoundError:
        return None


def _write(directory: str, served: Served) -> None:
    replace(f"{directory}/{_SERVED}", msgspec.json.encode(served))

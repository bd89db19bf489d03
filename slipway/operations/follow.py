"""A change of the networks before it is on record, and after: what hosts refuse, and how they are told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from slipway.drivers.registry import Drivers
from slipway.errors import InstanceNotFound, InvalidInput, SlipwayError
from slipway.flows.tasks.base import Tools
from slipway.listeners import tell
from slipway.model.network import DhcpOption, Network, Port, Subnet
from slipway.model.neutron import ADMIN
from slipway.model.record import Event
from slipway.operations.addresses import readdress
from slipway.operations.refresh import Behind, may_be_wired, refresh
from slipway.states import instances
from slipway.states.machines import VmState
from slipway.states.store import Store

log = logging.getLogger(__name__)


def check_dhcp_options(options: Sequence[DhcpOption], store: Store, drivers: Drivers) -> None:
    """Raises `InvalidInput` for options that a DHCP server of any host would refuse; who cannot say is passed over."""
    if drivers.network.brings_dhcp:
        return
    for host in may_be_wired(store, drivers):
        try:
            drivers.on(host).wiring.check_dhcp_options(options)
        except InvalidInput:
            raise
        except SlipwayError:
            log.info("host %s could not be asked for DHCP options", host.name, exc_info=True)


def follow(changed: object, tools: Tools, notify: Callable[[Event], None]) -> None:
    """Have record and hosts follow a change of the networks that was committed; None: of whatever it may be.

    It stays as it is, whatever comes of that, so nothing is raised: what cannot follow is told as `host.behind` where
    it has to do with what was changed, and `audit` finds it until a next change, a start or a reboot makes up for it.
    """
    try:
        readdress(changed, tools.store, tools.drivers.network)
        _set_wired(changed, tools)
        behind = refresh(tools.store, tools.drivers)
    except Exception as error:
        log.exception("a change of the networks could not be followed")
        behind = (Behind(None, None, error),)
    network = changed.network_id if isinstance(changed, Port | Subnet) else None
    network = changed.id if isinstance(changed, Network) else network
    for one in behind:
        if network in (None, one.network_id) or one.network_id is None:
            event = Event("host.behind", tools.clock(), "", "", host=one.host, message=one.text)
            tell(notify, event, event.type)


def _set_wired(changed: object, tools: Tools) -> None:
    """A port of an instance that runs is ACTIVE again where it, or its network, is administratively up again."""
    network = tools.drivers.network
    if not network.local or not isinstance(changed, Port | Network):
        return
    ports = [changed] if isinstance(changed, Port) else network.list_ports(ADMIN, network_id=changed.id)
    for device in {port.device_id for port in ports} - {""}:
        with suppress(InstanceNotFound), tools.store.write() as tx:
            if instances.get(tx, device).vm_state in (VmState.ACTIVE, VmState.PAUSED):
                network.set_wired(device, up=True, tx=tx)

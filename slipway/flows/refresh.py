"""Bring the filters of running instances in line with their ports and security groups, after those have changed."""

from __future__ import annotations

from dataclasses import replace

from slipway.drivers.registry import Drivers
from slipway.drivers.wiring.base import WiringDriver
from slipway.errors import PortNotFound
from slipway.flows.tasks import BY_KIND
from slipway.flows.tasks.wiring import FilterPort, rules_of
from slipway.model import Context, Effect, EffectState, Port, Vif
from slipway.states import codec, effects, hosts
from slipway.states.store import Store


def refresh_filters(store: Store, drivers: Drivers) -> None:
    """Replace every filter that is there by what port and rules say now; one that is not there is not made.

    So it is safe beside builds and deletes. Raises `WiringError` for a host that cannot do it.
    """
    with store.read() as tx:
        known = [usage.host for usage in hosts.usages(tx)]
    wirings = {host.name: drivers.on(host).wiring for host in known}
    filtering = {name: wiring for name, wiring in wirings.items() if not wiring.local}
    # Where there is no wiring, a change costs no look at what may be very many effects.
    if not filtering:
        return
    with store.read() as tx:
        standing = effects.standing(tx)
    for effect in standing:
        if effect.kind == FilterPort.kind and effect.state is EffectState.DONE and effect.host in filtering:
            _refresh(effect, drivers, filtering[effect.host])


def _refresh(effect: Effect, drivers: Drivers, wiring: WiringDriver) -> None:
    vif = codec.decode(effect.args, BY_KIND[effect.kind].arguments_type).vif  # type: ignore[attr-defined]
    try:
        port = drivers.network.show_port(Context("", is_admin=True), vif.port_id)
    except PortNotFound:
        return
    now = _as_now(vif, port)
    wiring.refresh_filter(now, rules_of(drivers.network, Context(port.project_id, is_admin=True), now))


def _as_now(vif: Vif, port: Port) -> Vif:
    return replace(
        vif,
        mac_address=port.mac_address,
        fixed_ips=port.fixed_ips,
        port_security_enabled=port.port_security_enabled,
        security_groups=port.security_groups,
        allowed_address_pairs=port.allowed_address_pairs,
    )

"""What is done to one domain of libvirt's. Done already is no error; all raise libvirt's errors."""

from __future__ import annotations

import libvirt

from slipway.drivers.compute.libvirt.lookup import find_named
from slipway.drivers.compute.libvirt.translation import has_code
from slipway.errors import ComputeError
from slipway.model.machine import Domain, PowerState

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
}
"""As Nova has them. Whatever else there is does not run now and may run again: paused."""

_CRASHES = {
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED),
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_FAILED),
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_CRASHED),
}

_WITH_ALL_THAT_IS_KEPT = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def state_of(domain: libvirt.virDomain) -> PowerState:
    """What it does now. Raises libvirt's errors."""
    state, reason = domain.state()
    return PowerState.CRASHED if (state, reason) in _CRASHES else _STATES.get(state, PowerState.PAUSED)


def stop(domain: libvirt.virDomain) -> None:
    """End it at once. Ended: nothing happens."""
    try:
        domain.destroy()
    except libvirt.libvirtError as error:
        # It was stopped before, or its QEMU ended while libvirt was at it.
        if not has_code(error, libvirt.VIR_ERR_OPERATION_INVALID) or domain.isActive():
            raise


def shut_down(domain: libvirt.virDomain) -> None:
    """Ask its guest to shut down. Ended: nothing happens."""
    try:
        domain.shutdown()
    except libvirt.libvirtError:
        # It was stopped before; not every hypervisor has the same code for that.
        if domain.isActive():
            raise


def start(domain: libvirt.virDomain) -> None:
    """Start it. Running already: nothing happens."""
    try:
        domain.create()
    except libvirt.libvirtError:
        # It runs already, or another start was quicker.
        if not domain.isActive():
            raise


def pause(domain: libvirt.virDomain) -> None:
    """Run none of its vCPUs. Paused already: nothing happens."""
    try:
        domain.suspend()
    except libvirt.libvirtError:
        # It was paused before; not every hypervisor takes that.
        if state_of(domain) is not PowerState.PAUSED:
            raise


def resume(domain: libvirt.virDomain) -> None:
    """Let it go on. Not paused: nothing happens."""
    state, _ = domain.state()
    if state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup(0)
    elif state == libvirt.VIR_DOMAIN_PAUSED:
        domain.resume()


def undefine(domain: libvirt.virDomain) -> None:
    """Undefine it, with all that libvirt keeps for it."""
    try:
        domain.undefineFlags(_WITH_ALL_THAT_IS_KEPT)
    except libvirt.libvirtError as error:
        # Not every hypervisor keeps all of it, and one that does not refuses the flags.
        if not has_code(error, libvirt.VIR_ERR_INVALID_ARG):
            raise
        domain.undefine()


def define(libvirtd: libvirt.virConnect, domain: Domain, host: str) -> libvirt.virDomain:
    """Define it. Raises `ComputeError` where another domain of the host has its name."""
    try:
        return libvirtd.defineXMLFlags(domain.xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    except libvirt.libvirtError as error:
        if has_code(error, libvirt.VIR_ERR_OPERATION_FAILED) and find_named(libvirtd, domain.name) is not None:
            raise ComputeError(f"{host}: a domain with the name {domain.name!r} exists already") from error
        raise

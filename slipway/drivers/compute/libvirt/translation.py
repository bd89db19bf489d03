"""libvirt's errors in our own classes, by their code; the text is libvirt's, for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from slipway.errors import (
    ComputeError,
    DomainNotFound,
    HypervisorUnavailable,
    InvalidDomainXml,
    SlipwayError,
    UnsupportedHardware,
)

_CLASSES: dict[type[SlipwayError], frozenset[int]] = {
    HypervisorUnavailable: frozenset(
        {
            libvirt.VIR_ERR_NO_CONNECT,
            libvirt.VIR_ERR_INVALID_CONN,
            libvirt.VIR_ERR_RPC,
            libvirt.VIR_ERR_AUTH_FAILED,
            libvirt.VIR_ERR_AUTH_CANCELLED,
        }
    ),
    DomainNotFound: frozenset({libvirt.VIR_ERR_NO_DOMAIN}),
    InvalidDomainXml: frozenset(
        {libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_ERR_XML_DETAIL, libvirt.VIR_ERR_XML_INVALID_SCHEMA}
    ),
    UnsupportedHardware: frozenset({libvirt.VIR_ERR_CONFIG_UNSUPPORTED}),
}
"""Any other code is a `ComputeError`: libvirt gives QEMU's own failures, whatever they are, as 1, 9, 38 or 55."""


def has_code(error: libvirt.libvirtError, *codes: int) -> bool:
    """Whether libvirt gave one of these codes."""
    return error.get_error_code() in codes


@contextmanager
def suppress_code(*codes: int) -> Iterator[None]:
    """Pass over libvirt's errors with one of these codes."""
    try:
        yield
    except libvirt.libvirtError as error:
        if not has_code(error, *codes):
            raise


def translated(where: str, error: libvirt.libvirtError) -> SlipwayError:
    """Our error for libvirt's; `where` says on which host and at what it was raised."""
    kind = next((kind for kind, codes in _CLASSES.items() if has_code(error, *codes)), ComputeError)
    return kind(f"{where}: {one_line(error)}")


def one_line(error: Exception) -> str:
    """The error's text without line breaks: QEMU's own output may be in it."""
    return " ".join(str(error).split())

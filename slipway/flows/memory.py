"""TaskFlow's storage without a store: its details live as long as the engine, since the ledger is what lasts.

TaskFlow's own memory backend copies every detail at every change, which is two fifths of a flow's cost.
"""

from __future__ import annotations

from typing import Any

from taskflow.persistence import base


class _Connection(base.Connection):  # type: ignore[misc]
    """Gives back what it is to save."""

    def __init__(self, backend: base.Backend) -> None:
        self._backend = backend

    @property
    def backend(self) -> base.Backend:
        """The backend."""
        return self._backend

    def update_flow_details(self, flow_detail: Any) -> Any:
        """The details as they are."""
        return flow_detail

    def update_atom_details(self, atom_detail: Any) -> Any:
        """The details as they are."""
        return atom_detail

    def _nothing(self, *_args: Any, **_kwargs: Any) -> Any:
        """There is nothing to look up, keep or close."""

    close = upgrade = clear_all = validate = save_logbook = destroy_logbook = _nothing
    get_logbook = get_logbooks = get_flows_for_book = get_flow_details = _nothing
    get_atom_details = get_atoms_for_flow = _nothing


class NullBackend(base.Backend):  # type: ignore[misc]
    """A persistence backend that persists nothing."""

    def __init__(self) -> None:
        super().__init__({})

    def get_connection(self) -> _Connection:
        """A connection to nothing."""
        return _Connection(self)

    def close(self) -> None:
        """Nothing to close."""

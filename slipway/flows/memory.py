"""TaskFlow's storage without a store: its details live as long as the engine, since the ledger is what lasts.

TaskFlow's own memory backend copies every detail at every change, which is two fifths of a flow's cost; locks and
retries that a flow of one thread in memory has no use for are half of what is left.
"""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import nullcontext
from functools import cached_property
from inspect import isfunction
from typing import Any

from taskflow.engines.action_engine.engine import ParallelActionEngine, SerialActionEngine
from taskflow.exceptions import NotFound
from taskflow.persistence import base
from taskflow.storage import Storage
from taskflow.utils import persistence_utils


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


class _NoLock:
    """A readers' and writers' lock for a single thread: there is nobody to wait for."""

    read_lock = write_lock = staticmethod(nullcontext)


_WITHOUT_LOCKS = {
    name: of.__wrapped__ for name, of in vars(Storage).items() if isfunction(of) and hasattr(of, "__wrapped__")
}
"""The methods of TaskFlow's storage as they are below the decorators that take its lock."""

_Unlocked: Any = type("_Unlocked", (Storage,), _WITHOUT_LOCKS)


class _Storage(_Unlocked):  # type: ignore[misc]
    """TaskFlow's storage as one thread needs it: no lock, no retry around what cannot fail, no copy in case it did."""

    def __init__(self, flow_detail: Any, backend: base.Backend) -> None:
        super().__init__(flow_detail, backend)
        self._lock = _NoLock()

    def _with_connection(self, save: Any, *args: Any, **kwargs: Any) -> Any:
        return save(None, *args, **kwargs)

    def _atomdetail_by_name(self, name: str, expected_type: Any = None, clone: bool = False) -> tuple[Any, Any]:
        try:
            detail = self._flowdetail.find(self._atom_name_to_uuid[name])
        except KeyError as error:
            raise NotFound(name) from error
        return detail, detail

    def _save_detail(self, _connection: Any, kept: Any, changed: Any) -> Any:
        kept.update(changed)
        return kept

    _save_flow_detail = _save_atom_detail = _save_detail


class SerialEngine(SerialActionEngine):  # type: ignore[misc]
    """TaskFlow's engine of one thread on such a storage, for tasks that neither require nor provide anything.

    May run again after `reset()`, which spares compiling and preparing the flow.
    """

    @cached_property
    def storage(self) -> Storage:
        """Where the states of the flow and its tasks are."""
        return _Storage(self._flow_detail, self._backend)


def make_engine(flow: Any, executor: Executor | None) -> Any:
    """TaskFlow's engine for the flow; with an executor its branches run side by side in it."""
    detail = persistence_utils.create_flow_detail(flow)
    options: dict[str, Any] = {"defer_reverts": True, "gather_statistics": False}
    if executor is None:
        return SerialEngine(flow, detail, NullBackend(), options)
    return ParallelActionEngine(flow, detail, NullBackend(), {**options, "executor": executor})

"""What is known of a flow and its atoms: states, intentions, progress and metadata, saved where there is a backend."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from functools import cache
from itertools import count
from typing import Any

from taskflow import exceptions, retry, states
from taskflow.persistence import models

from slipway.flows.retries import with_retries

_RETRIES, _WAIT = 2, 5.0
"""How often a backend that fails is tried again, and after how many seconds: what TaskFlow's storage does."""

PROGRESS, PROGRESS_DETAILS = "progress", "progress_details"
"""Under which names TaskFlow keeps them in an atom's metadata."""


class Lock:
    """A lock for which readers and writers are the same."""

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock

    def read_lock(self) -> AbstractContextManager[Any]:
        """Held for as long as the context."""
        return self._lock

    write_lock = read_lock


class Details:
    """Of a flow and its atoms, without what came of them: its methods are those of TaskFlow's storage, by name.

    Without a backend details are changed where they are. With one a copy is changed, saved, and then taken over, so
    that nothing is known here which could not be saved.
    """

    injector_name = "_TaskFlow_INJECTOR"
    """The name of the detail that has what is injected for good."""

    def __init__(
        self, flow_detail: models.FlowDetail, backend: Any = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._flowdetail = flow_detail
        self._backend = backend
        self._sleep = sleep
        self._lock = threading.RLock()
        self._details: dict[str, Any] = {}
        self.known: Mapping[str, Any] = self._details
        """What is known of each atom by its name, to be looked at; always the latest."""
        self._adopt()

    # --- the flow -------------------------------------------------------------------------------------------------

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        name: str = self._flowdetail.name
        return name

    @property
    def flow_uuid(self) -> str:
        """The flow's id."""
        flow_id: str = self._flowdetail.uuid
        return flow_id

    @property
    def flow_meta(self) -> dict[str, Any]:
        """What else is known of the flow."""
        meta: dict[str, Any] = self._flowdetail.meta
        return meta

    @property
    def backend(self) -> Any:
        """Where the details are saved; None: nowhere."""
        return self._backend

    @property
    def lock(self) -> Lock:
        """What keeps the threads of one engine apart."""
        return Lock(self._lock)

    def get_flow_state(self) -> str:
        """The flow's state."""
        state: str | None = self._flowdetail.state
        return state or states.PENDING

    def set_flow_state(self, state: str) -> None:
        """Put the flow in a state, whichever it was in."""
        with self._lock:
            flow = self._open_flow()
            flow.state = state
            self._keep_flow(flow)

    def change_flow_state(self, state: str) -> tuple[bool, str]:
        """Move the flow; gives whether it was moved, and its old state. Raises `InvalidState`."""
        with self._lock:
            old = self.get_flow_state()
            moved = states.check_flow_transition(old, state)
            if moved:
                self.set_flow_state(state)
            return moved, old

    def update_flow_metadata(self, update_with: Any) -> None:
        """Keep more about the flow."""
        if update_with:
            with self._lock:
                flow = self._open_flow()
                flow.meta.update(update_with)
                self._keep_flow(flow)

    # --- atoms ----------------------------------------------------------------------------------------------------

    def ensure_atoms(self, atoms: Iterable[Any]) -> list[str]:
        """Have a detail for each atom; gives their ids."""
        atoms = list(atoms)
        with self._lock:
            made: list[Any] = []
            ids = _ids()
            kinds = {one: _kind_of(one) for one in {type(atom) for atom in atoms}}
            for atom in atoms:
                kind = kinds[type(atom)]
                detail = self._details.get(atom.name)
                if detail is None:
                    detail = _pending(atom.name, kind, next(ids), atom.version)
                    made.append(detail)
                elif not isinstance(detail, kind):
                    raise exceptions.Duplicate(f"Atom detail '{atom.name}' already exists in flow detail")
            if made:
                self._add(made)
            return [self._details[atom.name].uuid for atom in atoms]

    def ensure_atom(self, atom: Any) -> str:
        """Have a detail for an atom; gives its id."""
        return self.ensure_atoms([atom])[0]

    def _add(self, details: Iterable[Any]) -> None:
        flow = self._open_flow()
        for detail in details:
            flow.add(detail)
        self._keep_flow(flow)
        self._adopt()

    def detail(self, name: str, kind: type[Any] | None = None) -> Any:
        """What is known of an atom, to be looked at. Raises `NotFound`, and `TypeError` where it is of another kind."""
        try:
            detail = self._details[name]
        except KeyError:
            raise exceptions.NotFound(f"Unknown atom name '{name}'") from None
        if kind is not None and not isinstance(detail, kind):
            raise TypeError(f"Atom '{name}' is not of the expected type: {kind.__name__}")
        return detail

    def get_atom_uuid(self, atom_name: str) -> str:
        """The id of an atom."""
        atom_id: str = self.detail(atom_name).uuid
        return atom_id

    def get_atom_state(self, atom_name: str) -> str:
        """The state of an atom."""
        state: str = self.detail(atom_name).state
        return state

    def get_atom_intention(self, atom_name: str) -> str:
        """What is meant to be done with an atom."""
        intention: str = self.detail(atom_name).intention
        return intention

    def get_atoms_states(self, atom_names: Iterable[str]) -> dict[str, tuple[str, str]]:
        """The states and intentions of atoms."""
        details = {name: self.detail(name) for name in atom_names}
        return {name: (detail.state, detail.intention) for name, detail in details.items()}

    def set_atom_state(self, atom_name: str, state: str) -> None:
        """Put an atom in a state."""
        self.move(atom_name, state, None)

    def set_atom_intention(self, atom_name: str, intention: str) -> None:
        """Say what is meant to be done with an atom."""
        self.move(atom_name, None, intention)

    def move(self, name: str, state: str | None, intention: str | None, progress: float | None = None) -> None:
        """Change state, intention and progress of an atom in one write; None leaves one as it is.

        A progress of nothing is not written where none is known: it reads the same.
        """
        with self._lock:
            detail = self._open(name)
            changed = False
            if state is not None and detail.state != state:
                detail.state, changed = state, True
            if intention is not None and detail.intention != intention:
                detail.intention, changed = intention, True
            if progress is not None and detail.meta.get(PROGRESS, 0.0) != progress:
                detail.meta[PROGRESS], changed = progress, True
            if changed and self._backend is not None:
                self._keep(detail)

    def update_atom_metadata(self, atom_name: str, update_with: Any) -> None:
        """Keep more about an atom."""
        self._update_meta(atom_name, dict(update_with) if update_with else {})

    def _update_meta(self, name: str, values: Mapping[str, Any], kind: type[Any] | None = None) -> None:
        with self._lock:
            self.detail(name, kind)
            if values:
                detail = self._open(name)
                detail.meta.update(values)
                self._keep(detail)

    def set_task_progress(self, task_name: str, progress: float, details: Any = None) -> None:
        """Keep how far a task is, from 0.0 to 1.0, and what it says of that; empty details forget earlier ones."""
        values: dict[str, Any] = {PROGRESS: progress}
        if details is not None:
            values[PROGRESS_DETAILS] = {"at_progress": progress, "details": details} if details else None
        self._update_meta(task_name, values, models.TaskDetail)

    def get_task_progress(self, task_name: str) -> float:
        """How far a task is."""
        progress: float = self.detail(task_name, models.TaskDetail).meta.get(PROGRESS, 0.0)
        return progress

    def get_task_progress_details(self, task_name: str) -> Any:
        """What a task said of its progress."""
        return self.detail(task_name, models.TaskDetail).meta.get(PROGRESS_DETAILS)

    # --- saving ---------------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        self._details.clear()
        self._details.update((detail.name, detail) for detail in self._flowdetail)

    def _open(self, name: str) -> Any:
        """An atom's detail, to be changed."""
        detail = self._details[name] if name in self._details else self.detail(name)
        return detail if self._backend is None else detail.copy()

    def _keep(self, changed: Any) -> None:
        """Save a detail that was opened and changed."""
        if self._backend is not None:
            saved = self._saved(lambda connection: connection.update_atom_details(changed))
            self._details[changed.name].update(saved)

    def _open_flow(self) -> Any:
        return self._flowdetail if self._backend is None else self._flowdetail.copy()

    def _keep_flow(self, changed: Any) -> None:
        if self._backend is not None:
            self._flowdetail.update(self._saved(lambda connection: connection.update_flow_details(changed)))
            self._adopt()

    def _saved(self, save: Callable[[Any], Any]) -> Any:
        def once() -> Any:
            with closing(self._backend.get_connection()) as connection:
                return save(connection)

        again = (exceptions.StorageFailure,)
        return with_retries(
            once, retries=_RETRIES, sleep=self._sleep, step=self.flow_name, on=again, delay=_WAIT, backoff=1.0
        )


def _kind_of(atom: type[Any]) -> type[Any]:
    kind: type[Any] = models.RetryDetail if issubclass(atom, retry.Retry) else models.TaskDetail
    return kind


def _pending(name: str, kind: type[Any], detail_id: str, version: Any) -> Any:
    if not name:
        raise ValueError("an atom's name must be non-empty")
    detail = kind(name, detail_id)
    detail.state = states.PENDING
    detail.version = None if version is None else _version(tuple(version))
    return detail


@cache
def _version(version: tuple[Any, ...]) -> str:
    return ".".join(map(str, version))


def _ids() -> Iterator[str]:
    """Random UUIDs, of which the last part counts up: to draw each of them costs more than all else that is made."""
    drawn = str(uuid.uuid4())[:-12]
    return (f"{drawn}{number:012x}" for number in count())

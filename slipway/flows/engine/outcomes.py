"""What came of atoms: results, failures, and the histories of retry controllers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from taskflow import exceptions, retry, states
from taskflow.persistence import models

from slipway.flows.engine.details import PROGRESS, Details
from slipway.flows.engine.results import check_provided

_WITH_RESULTS = (states.SUCCESS, states.FAILURE, states.REVERTING)
_WITH_REVERT_RESULTS = (states.REVERTED, states.REVERT_FAILURE, states.REVERTING)


class Outcomes(Details):
    """What is known of a flow's atoms, with what came of them; a failure lasts until the atom has another end."""

    def __init__(
        self, flow_detail: models.FlowDetail, backend: Any = None, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(flow_detail, backend, sleep=sleep)
        self._saved_as: dict[str, Mapping[str, Any]] = {}
        # As they were raised: those that come back from a backend have lost their tracebacks.
        self._failures = {detail.name: detail.failure for detail in flow_detail if detail.failure is not None}
        self._revert_failures = {
            detail.name: detail.revert_failure for detail in flow_detail if detail.revert_failure is not None
        }

    def ensure_atoms(self, atoms: Iterable[Any]) -> list[str]:
        """Have a detail for each atom, and know what it is to give; gives their ids."""
        atoms = list(atoms)
        self._saved_as.update((atom.name, atom.save_as) for atom in atoms if atom.save_as)
        return super().ensure_atoms(atoms)

    def reset(self, atom_name: str, state: str = states.PENDING) -> None:
        """Forget what came of an atom, its failures among it, and have it executed again."""
        if atom_name == self.injector_name:
            return
        with self._lock:
            if self.detail(atom_name).state == state:
                return
            detail = self._open(atom_name)
            detail.reset(state)
            detail.meta.pop(PROGRESS, None)
            self._keep(detail)
            self._failures.pop(atom_name, None)
            self._revert_failures.pop(atom_name, None)

    def save(self, atom_name: str, result: Any, state: str = states.SUCCESS, progress: float | None = None) -> None:
        """Keep what came of an atom, with the state that it has now. A retry that was reverted forgets its history."""
        with self._lock:
            detail = self._open(atom_name)
            changed = detail.put(state, result)
            if state == states.REVERTED and isinstance(detail, models.RetryDetail):
                detail.results = []
            if progress is not None and detail.meta.get(PROGRESS) != progress:
                detail.meta[PROGRESS], changed = progress, True
            if changed and self._backend is not None:
                self._keep(detail)
            if state != states.SUCCESS or self._failures or self._revert_failures:
                self._note_failure(atom_name, state, result)
        if state == states.SUCCESS and atom_name in self._saved_as:
            check_provided(atom_name, self._saved_as[atom_name], result)

    def _note_failure(self, name: str, state: str, result: Any) -> None:
        if state == states.FAILURE:
            self._failures[name] = result
            self._revert_failures.pop(name, None)
        elif state == states.REVERT_FAILURE:
            self._revert_failures[name] = result
        elif state == states.SUCCESS:
            self._failures.pop(name, None)
            self._revert_failures.pop(name, None)

    def get_execute_result(self, atom_name: str) -> Any:
        """What an atom gave, or its failure; of a retry all that it gave. Raises `NotFound` where there is nothing."""
        try:
            return self._failure_of(atom_name) or self.detail(atom_name).results
        except exceptions.DisallowedAccess as error:
            raise exceptions.NotFound(f"Result for atom '{atom_name}' execution is not known") from error

    get = get_execute_result

    def last_result(self, name: str) -> Any:
        """What an atom gave at last, or its failure. Raises `DisallowedAccess` where its state has none."""
        return self._failure_of(name) or self.detail(name).last_results

    def _failure_of(self, name: str) -> Any:
        detail = self.detail(name)
        if detail.failure is not None:
            return _original(detail.failure, self._failures.get(name))
        if detail.state not in _WITH_RESULTS:
            text = f"Result for atom '{name}' is not known/accessible due to it being in {detail.state} state"
            raise exceptions.DisallowedAccess(text, state=detail.state)
        return None

    def get_revert_result(self, atom_name: str) -> Any:
        """What an atom's revert gave, or its failure. Raises `NotFound` where there is nothing."""
        detail = self.detail(atom_name)
        if detail.revert_failure is not None:
            return _original(detail.revert_failure, self._revert_failures.get(atom_name))
        if detail.state not in _WITH_REVERT_RESULTS:
            raise exceptions.NotFound(f"Result for atom '{atom_name}' revert is not known")
        return detail.revert_results

    def get_execute_failures(self) -> dict[str, Any]:
        """The failures of atoms, by name."""
        return dict(self._failures)

    get_failures = get_execute_failures

    def get_revert_failures(self) -> dict[str, Any]:
        """The failures of reverts, by the names of their atoms."""
        return dict(self._revert_failures)

    def has_failures(self) -> bool:
        """Whether anything failed."""
        return bool(self._failures or self._revert_failures)

    # --- retry controllers ----------------------------------------------------------------------------------------

    def save_retry_failure(self, retry_name: str, failed_atom_name: str, failure: Any) -> None:
        """Add the failure of an atom to the history of the retry that governs it. Raises `StorageFailure`."""
        with self._lock:
            self.detail(retry_name, models.RetryDetail)
            detail = self._open(retry_name)
            try:
                failures = detail.last_failures
            except exceptions.NotFound as error:
                text = "Unable to fetch most recent retry failures so new retry failure can be inserted"
                raise exceptions.StorageFailure(text) from error
            if failed_atom_name not in failures:
                failures[failed_atom_name] = failure
                self._keep(detail)

    def cleanup_retry_history(self, retry_name: str, state: str) -> None:
        """Forget the history of a retry."""
        with self._lock:
            self.detail(retry_name, models.RetryDetail)
            detail = self._open(retry_name)
            detail.state, detail.results = state, []
            self._keep(detail)

    def get_retry_history(self, retry_name: str) -> retry.History:
        """What a retry gave so far, and how what it governs failed then."""
        detail = self.detail(retry_name, models.RetryDetail)
        failure = detail.failure
        if failure is not None:
            failure = _original(failure, self._failures.get(retry_name))
        return retry.History(detail.results, failure=failure)

    def get_retry_histories(self) -> list[tuple[str, retry.History]]:
        """The histories of all retries."""
        found = [name for name, detail in self._details.items() if isinstance(detail, models.RetryDetail)]
        return [(name, self.get_retry_history(name)) for name in found]


def _original(failure: Any, raised: Any) -> Any:
    """A failure as it was raised, if it is that one."""
    return raised if raised is not None and failure.matches(raised) else failure

"""What an engine knows of its flow, and where the arguments of an atom come from."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from taskflow import exceptions, states
from taskflow.persistence import models

from slipway.flows.engine.outcomes import Outcomes
from slipway.flows.engine.results import MISSING, part

Scope = Iterable[Iterable[str]]
"""The names of atoms that may provide something, those that are preferred first."""

_TRANSIENT = object()
_INJECTED = "injected"
"""Under which name TaskFlow keeps an atom's own arguments in its metadata."""


class Storage(Outcomes):
    """Has the methods of TaskFlow's storage, by name, without a copy, a lock and a retry around each of them.

    An argument is an atom's own, or injected for all, or what the nearest atom before it provides, in this order.
    """

    def __init__(
        self,
        flow_detail: models.FlowDetail,
        backend: Any = None,
        scopes: Callable[[str, str], Scope] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`scopes` gives who may provide a name to an atom; None: nobody, until `scopes` is set."""
        super().__init__(flow_detail, backend, sleep=sleep)
        self.scopes = scopes
        self._transients: dict[str, Any] = {}
        self._own: dict[str, dict[str, Any]] = {}
        self._providers: dict[str, dict[Any, Any]] = {}
        """Who provides a name, and at which index of the result."""
        if self.injector_name in self._details:
            self._provide(self.injector_name, self._details[self.injector_name].results)

    def ensure_atoms(self, atoms: Iterable[Any]) -> list[str]:
        """Have a detail for each atom, and know what it provides; gives their ids."""
        atoms = list(atoms)
        ids = super().ensure_atoms(atoms)
        for atom in atoms:
            for name, index in atom.save_as.items():
                self._providers.setdefault(name, {})[atom.name] = index
        return ids

    # --- injecting ------------------------------------------------------------------------------------------------

    def inject(self, pairs: Any, transient: bool = False) -> None:
        """Give arguments to all atoms; `transient` ones are not saved."""
        pairs = dict(pairs)
        with self._lock:
            if transient:
                self._transients.update(pairs)
                self._provide(_TRANSIENT, pairs)
                return
            if self.injector_name not in self._details:
                self._add_injector()
            detail = self._open(self.injector_name)
            detail.results = {**detail.results, **pairs}
            self._keep(detail)
            self._provide(self.injector_name, pairs)

    def _add_injector(self) -> None:
        detail = models.TaskDetail(self.injector_name, str(uuid.uuid4()))
        detail.state, detail.results = states.SUCCESS, {}
        self._add([detail])

    def _provide(self, provider: Any, names: Iterable[str]) -> None:
        for name in names:
            self._providers.setdefault(name, {})[provider] = name

    def inject_atom_args(self, atom_name: str, pairs: Any, transient: bool = True) -> None:
        """Give arguments to one atom; `transient` ones are not saved."""
        detail = self.detail(atom_name)
        if transient:
            self._own.setdefault(atom_name, {}).update(pairs)
        else:
            self.update_atom_metadata(atom_name, {_INJECTED: {**detail.meta.get(_INJECTED, {}), **dict(pairs)}})

    # --- fetching -------------------------------------------------------------------------------------------------

    def fetch(self, name: str, many_handler: Callable[[list[Any]], Any] | None = None) -> Any:
        """What is provided under a name; `many_handler` chooses where several atoms provide it, the first otherwise.

        Raises `NotFound`.
        """
        if name not in self._providers:
            raise _unknown(name)
        found: list[Any] = []
        for provider, index in self._defaults_first(name):
            value = part(self._result(provider), index)
            if value is MISSING:
                raise exceptions.NotFound(f"Unable to find result {name!r}: {provider} gave something else")
            found.append(value)
        if not found:
            raise exceptions.NotFound(f"Unable to find result {name!r}")
        return found[0] if many_handler is None else many_handler(found)

    def fetch_all(self, many_handler: Callable[[list[Any]], Any] | None = None) -> dict[str, Any]:
        """All that is provided so far, by name: a list where several atoms provide it."""
        handler = many_handler or (lambda values: values if len(values) > 1 else values[0])
        found: dict[str, Any] = {}
        for name in self._providers:
            try:
                found[name] = self.fetch(name, handler)
            except exceptions.NotFound:
                continue
        return found

    def fetch_mapped_args(
        self,
        args_mapping: Mapping[str, str],
        atom_name: str | None = None,
        scope_walker: Scope | None = None,
        optional_args: Collection[str] | None = None,
    ) -> dict[str, Any]:
        """The arguments of an atom, by its own names for them. Raises `NotFound` where a needed one is not there."""
        if not args_mapping:
            return {}
        own = self._own_of(atom_name)
        found: dict[str, Any] = {}
        for argument, name in args_mapping.items():
            value = next((values[name] for values in own if name in values), MISSING)
            if value is MISSING:
                value = self._provided(name, self._scope(atom_name, name, scope_walker))
            if value is not MISSING:
                found[argument] = value
            elif argument not in (optional_args or ()):
                raise self._not_there(argument, name)
        return found

    def fetch_unsatisfied_args(
        self,
        atom_name: str,
        args_mapping: Mapping[str, str],
        scope_walker: Scope | None = None,
        optional_args: Collection[str] | None = None,
    ) -> set[str]:
        """Those needed arguments of an atom that nothing before it is to provide."""
        own = self._own_of(atom_name)
        return {
            argument
            for argument, name in args_mapping.items()
            if argument not in (optional_args or ())
            and not any(name in values for values in own)
            and not self._is_provided(name, self._scope(atom_name, name, scope_walker))
        }

    def _own_of(self, atom_name: str | None) -> Sequence[Mapping[str, Any]]:
        if not atom_name:
            return ()
        return self._own.get(atom_name, {}), self.detail(atom_name).meta.get(_INJECTED) or {}

    def _scope(self, atom_name: str | None, name: str, given: Scope | None) -> Scope:
        if given is not None:
            return given
        return () if atom_name is None or self.scopes is None else self.scopes(atom_name, name)

    def _is_provided(self, name: str, scope: Scope) -> bool:
        if any(name in self._result(default) for default in self._defaults(name)):
            return True
        providers = self._providers.get(name, {})
        return any(provider in providers for level in scope for provider in level)

    def _defaults(self, name: str) -> Iterator[Any]:
        """Who gives a name to all atoms."""
        return (one for one in self._providers.get(name, ()) if one in (_TRANSIENT, self.injector_name))

    def _defaults_first(self, name: str) -> Iterator[tuple[Any, Any]]:
        defaults = [*self._defaults(name)]
        yield from ((one, name) for one in defaults)
        for one, index in self._providers[name].items():
            if one not in defaults and self._has_result(one):
                yield one, index

    def _has_result(self, provider: str) -> bool:
        try:
            self.last_result(provider)
        except exceptions.DisallowedAccess as error:
            if error.state != states.IGNORE:
                raise exceptions.NotFound(f"{provider} has not provided anything yet") from error
            return False
        return True

    def _result(self, provider: Any) -> Any:
        return self._transients if provider is _TRANSIENT else self.last_result(provider)

    def _provided(self, name: str, scope: Scope) -> Any:
        """What the injector, or else the nearest flow in scope provides under a name; `MISSING` where none does."""
        for default in self._defaults(name):
            if name in (values := self._result(default)):
                return values[name]
        providers = self._providers.get(name, {})
        for level in scope:
            there = False
            for provider in (one for one in level if one in providers and self._has_result(one)):
                there = True
                value = part(self._result(provider), providers[provider])
                if value is not MISSING:
                    return value
            if there:
                raise exceptions.NotFound(f"Unable to find result {name!r}: what was to provide it gave something else")
        return MISSING

    def _not_there(self, argument: str, name: str) -> exceptions.NotFound:
        if name not in self._providers:
            return _unknown(name)
        text = f"Mapped argument {argument!r} <= {name!r} was not produced by any accessible provider"
        return exceptions.NotFound(text)


def _unknown(name: str) -> exceptions.NotFound:
    return exceptions.NotFound(f"Name {name!r} is not mapped as a produced output by any providers")

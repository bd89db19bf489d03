"""The steps of a workflow's file, made into definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from slipway.flows.definition import Inverse, OnError, Retry, StepDefinition, Value
from slipway.flows.workflows.calls import Call, check_names_of, check_value_of
from slipway.flows.workflows.keys import FINAL, MAX_STEPS, RETRY, REVERT, STEP, check_errors, take
from slipway.flows.workflows.names import ALL, Names, Place
from slipway.flows.workflows.order import Order, order_steps
from slipway.flows.workflows.reading import Reader, is_expression
from slipway.flows.workflows.types import NoMember, OneOf, Outputs, fits, item_of, list_of, words_of
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import Problem, quoted
from slipway.yamlfile.units import parse_duration


class StepReader:
    """Reads the sections `steps` and `finally` of one document; problems are left in it."""

    def __init__(self, document: Document, names: Names, find: Callable[[NodePath, str], Call | None]) -> None:
        """`find`: what a `uses` at a path is; where that is nothing, it has been noted."""
        self.document = document
        self.names = names
        self.reader = Reader(document, names)
        self.warnings: list[Problem] = []
        self.calls: dict[NodePath, Call] = {}
        """What each step uses, and each `revert`."""
        self._find = find
        self._retry: Retry | None = None

    def read(
        self, steps: Sequence[Any], finals: Sequence[Any], retry: Retry | None
    ) -> tuple[tuple[StepDefinition, ...], tuple[StepDefinition, ...]]:
        """Both sections, each in an order in which its steps can run. `retry`: for steps without one of their own."""
        self._retry = retry
        if len(steps) + len(finals) > MAX_STEPS:
            text = f"a workflow has at most {MAX_STEPS} steps, not {len(steps) + len(finals)}"
            self.document.problem(("steps",), text)
            return (), ()
        taken = {"steps": self._take("steps", steps, STEP), "finally": self._take("finally", finals, FINAL)}
        ids = self._ids(taken)
        self.names.steps = ids["steps"] | {key: at + len(steps) for key, at in ids["finally"].items()}
        self.names.first_final = len(steps)
        first = self._section("steps", taken["steps"], ids["steps"], ids["finally"])
        return first, self._section("finally", taken["finally"], ids["finally"], ids["steps"])

    def _take(self, section: str, entries: Sequence[Any], fields: Any) -> list[dict[str, Any]]:
        return [
            take(self.document, (section, at), entry, fields, required=("id", "uses"))
            for at, entry in enumerate(entries)
        ]

    def _ids(self, taken: Mapping[str, list[dict[str, Any]]]) -> dict[str, dict[str, int]]:
        """The number of each id within its section; the first of two that are the same has it."""
        ids: dict[str, dict[str, int]] = {"steps": {}, "finally": {}}
        first: dict[str, NodePath] = {}
        for section, steps in taken.items():
            for number, step in enumerate(steps):
                name, path = step.get("id"), (section, number, "id")
                if name in first:
                    line = self.document.key_position(first[name]).line
                    self.document.problem(path, f"step {quoted(name)} is there already, in line {line}")
                elif name is not None:
                    first[name] = path
                    ids[section][name] = number
        return ids

    def _section(
        self, section: str, taken: list[dict[str, Any]], ids: Mapping[str, int], others: Mapping[str, int]
    ) -> tuple[StepDefinition, ...]:
        order = order_steps(self.document, section, taken, ids, others)
        return tuple(self._step(section, number, taken, order) for number in order.steps)

    def _step(self, section: str, number: int, taken: list[dict[str, Any]], order: Order) -> StepDefinition:
        step, path = taken[number], (section, number)
        final, before = section == "finally", order.before[number]
        if final:
            # All steps have ended, and of the final ones those that are needed.
            before = (before << self.names.first_final) | ((1 << self.names.first_final) - 1)
        place = Place(before, own=step.get("id", ""), unsure=final)
        call = self._find((*path, "uses"), step["uses"]) if "uses" in step else None
        if call is not None:
            self.calls[path] = call
        for_each, item = self._for_each(path, step, place)
        inside = Place(before, item, own=place.own, unsure=final)
        arguments = self._arguments(path, step.get("with", {}), call, inside)
        one = call.takes.result if call and call.takes.result is not None else Any
        every = one if item is None else list_of(one)
        whole = Place(before, None, every, own=place.own, unsure=final)
        outputs = self._values((*path, "outputs"), step.get("outputs", {}), whole)
        gives = Outputs({name: kind for name, _, kind in outputs}) if outputs else every
        inverted = Place(before, item, one, own=place.own, unsure=final)
        revert = self._revert(path, step["revert"], inverted) if "revert" in step else None
        on_error = OnError(step.get("on_error", OnError.REVERT))
        sure = "if" not in step and on_error is not OnError.CONTINUE
        self.names.gives[step.get("id", "")] = gives if sure else OneOf((gives, None))
        if call is not None and revert is None and not final:
            self._warn(path, step, call)
        return StepDefinition(
            id=step.get("id", ""),
            uses=call.uses if call else step.get("uses", ""),
            arguments=arguments,
            needs=tuple(taken[need].get("id", "") for need in order.needs[number]),
            for_each=for_each,
            timeout=seconds(step.get("timeout")),
            retry=read_retry(self.document, (*path, "retry"), step["retry"]) if "retry" in step else self._retry,
            position=self.document.where(path),
            name=step.get("name", ""),
            condition=self._condition((*path, "if"), step, place),
            parallel=self._parallel(path, step),
            on_error=on_error,
            revert=revert,
            outputs=tuple((name, value) for name, value, _ in outputs),
        )

    def _warn(self, path: NodePath, step: Mapping[str, Any], call: Call) -> None:
        given = step.get("with", {})
        harmless = any(_among(given.get(name), values) for name, values in call.takes.harmless.items())
        if call.takes.irreversible and not harmless:
            name = quoted(step.get("id", ""))
            text = f"what step {name} does cannot be undone: {call.what} has no undo, give the step a revert"
            self.warnings.append(Problem(self.document.key_position(path), text))

    def _for_each(self, path: NodePath, step: Mapping[str, Any], place: Place) -> tuple[Value, Any]:
        """What is gone over, and the type of its items, None where there is nothing to go over."""
        where = (*path, "for_each")
        if "for_each" not in step:
            return None, Any if where in self.document.dropped or where in self.document.unusable else None
        value, kind = self.reader.value(where, step["for_each"], place)
        if isinstance(step["for_each"], (str, int, float, bool)) and not is_expression(value) and value is not None:
            text = "for_each must be a list, a mapping or an expression, such as ${{ steps.ID.outputs }}"
            self.document.problem(where, text)
            return None, Any
        try:
            return value, item_of(kind)
        except NoMember as error:
            self.document.problem(where, f"for_each must be a list or a mapping, not {error}")
            return None, Any

    def _parallel(self, path: NodePath, step: Mapping[str, Any]) -> int:
        if "parallel" in step and "for_each" not in step and (*path, "for_each") not in self.document.dropped:
            self.document.problem((*path, "parallel"), "parallel is for a step that has for_each", key=True)
        return int(step.get("parallel", 1))

    def _condition(self, where: NodePath, step: Mapping[str, Any], place: Place) -> Value:
        if "if" not in step:
            return True
        value, kind = self.reader.value(where, step["if"], place)
        wrong = not (is_expression(value) or isinstance(value, bool) or value is None)
        if wrong or not fits(kind, bool):
            shown = quoted(step["if"]) if wrong else words_of(kind)
            self.document.problem(where, f"if must be true, false or an expression that gives that, not {shown}")
        return value

    def _arguments(
        self, path: NodePath, given: Mapping[str, Any], call: Call | None, place: Place
    ) -> tuple[tuple[str, Value], ...]:
        where = (*path, "with")
        if call is not None and where not in self.document.dropped:
            check_names_of(self.document, path, call, given)
        arguments = []
        for name, value, kind in self._values(where, given, place):
            if call is not None:
                check_value_of(self.document, (*where, name), call, name, value, kind)
            arguments.append((name, value))
        return tuple(arguments)

    def _values(self, where: NodePath, given: Mapping[str, Any], place: Place) -> list[tuple[str, Value, Any]]:
        return [(name, *self.reader.value((*where, name), value, place)) for name, value in given.items()]

    def _revert(self, path: NodePath, entry: Mapping[str, Any], place: Place) -> Inverse | None:
        where = (*path, "revert")
        fields = take(self.document, where, entry, REVERT, required=("uses",))
        if "uses" not in fields:
            return None
        call = self._find((*where, "uses"), fields["uses"])
        if call is not None:
            self.calls[where] = call
        arguments = self._arguments(where, fields.get("with", {}), call, place)
        return Inverse(call.uses if call else fields["uses"], arguments)

    def outputs(self, given: Mapping[str, Any]) -> list[tuple[str, Value, Any]]:
        """The outputs of the whole: name, value and type."""
        return self._values(("outputs",), given, Place(ALL, unsure=True))


def _among(value: Any, values: frozenset[object]) -> bool:
    return (value is None or isinstance(value, str)) and value in values


def read_retry(document: Document, path: NodePath, entry: Mapping[str, Any]) -> Retry | None:
    """How often is tried, None where that is wrong."""
    fields = take(document, path, entry, RETRY, required=("max_attempts",))
    if "max_attempts" not in fields:
        return None
    waits: dict[str, Any] = {key: seconds(fields[key]) for key in ("delay", "max_delay") if key in fields}
    waits |= {key: float(fields[key]) for key in ("backoff", "jitter") if key in fields}
    names = check_errors(document, (*path, "errors"), fields.get("errors", []))
    return Retry(fields["max_attempts"], errors=names, **waits)


def seconds(duration: str | None) -> float | None:
    """The seconds of a duration that is right."""
    return None if duration is None else parse_duration(duration)

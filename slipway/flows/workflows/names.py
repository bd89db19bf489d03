"""What the names in a workflow's expressions may refer to at each place, and of which type that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from slipway.flows.definition import InputDefinition
from slipway.flows.values import path_text
from slipway.flows.workflows.types import NoMember, OneOf, Outputs, member_of, type_of_input
from slipway.yamlfile.mistakes import quoted

ALL = -1
"""All steps have ended: the set of them, and of those that there may be besides."""

ROOTS = ("steps", "inputs", "item", "index", "run", "result")
_RUN = Outputs({"id": str, "name": str})


class Place(Struct, frozen=True):
    """Where an expression stands. `before`: which steps have ended then, a bit each, by the order in the file.

    `item`: the type of what `for_each` goes over, None where there is none. `result`: the type of what the step's task
    gives, a list of it for all items, where that can be asked for. `own`: the step's id. `unsure`: steps before it may
    have given nothing.
    """

    before: int = 0
    item: Any = None
    result: Any = None
    own: str = ""
    unsure: bool = False


class Wrong(Exception):
    """What is written refers to nothing; `wrong` and `known` for a word that may have been misspelt."""

    def __init__(self, text: str, wrong: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.wrong = wrong
        self.known = tuple(known)


@dataclass(slots=True)
class Names:
    """What a file has: its inputs, None for one that is wrong and for all where the section is; its steps' numbers by
    id, and what they give."""

    inputs: Mapping[str, InputDefinition | None] | None = field(default_factory=dict)
    steps: Mapping[str, int] = field(default_factory=dict)
    first_final: int = 0
    """The number of the first step of `finally`."""
    gives: dict[str, Any] = field(default_factory=dict)
    """The type of the outputs of each step."""

    def type_of(self, path: tuple[str, ...], place: Place) -> Any:
        """The type of what a path refers to. Raises `Wrong` where that is nothing."""
        found, rest = self._begin(path, place)
        for at, part in enumerate(rest):
            try:
                found = member_of(found, part)
            except NoMember as error:
                whole = path_text(path[: len(path) - len(rest) + at])
                text = f"{whole} is {error}, which has no {quoted(part)}"
                if "outputs" in str(error):
                    text = f"{whole} has no {quoted(part)}"
                raise Wrong(text, part, error.known) from error
        return found

    def _begin(self, path: tuple[str, ...], place: Place) -> tuple[Any, tuple[str, ...]]:
        head = path[0]
        match head:
            case "steps":
                return self._step(path, place), path[3:]
            case "inputs":
                return self._input(path), path[2:]
            case "run":
                return _RUN, path[1:]
            case "item" | "index" if place.item is None:
                raise Wrong(f"{head} is there only in with and revert of a step that has for_each")
            case "item":
                return place.item, path[1:]
            case "index":
                return Any, path[1:]
            case "result" if place.result is None:
                raise Wrong("result is there only in outputs and revert of a step: elsewhere write steps.ID.outputs")
            case "result":
                return place.result, path[1:]
        hint = f": write inputs.{head}" if head in (self.inputs or ()) else ""
        raise Wrong(f"unknown name {quoted(head)}{hint}", "" if hint else head, ROOTS)

    def _input(self, path: tuple[str, ...]) -> Any:
        if len(path) == 1:
            return dict[str, Any]
        if self.inputs is None:
            return Any
        name = path[1]
        if name not in self.inputs:
            hint = "" if "-" not in name else ": for a subtraction put blanks around the -"
            raise Wrong(f"unknown input {quoted(name)}{hint}", "" if hint else name, self.inputs)
        definition = self.inputs[name]
        if definition is None:
            return Any
        kind = type_of_input(definition)
        return kind if definition.required or definition.default is not None else kind | None

    def _step(self, path: tuple[str, ...], place: Place) -> Any:
        if len(path) == 1:
            raise Wrong("steps alone is no value: write steps.ID.outputs")
        name = path[1]
        number = self.steps.get(name)
        if number is None:
            raise Wrong(f"unknown step {quoted(name)}", name, self.steps)
        if name == place.own:
            raise Wrong(f"step {quoted(name)} has no outputs before it has ended")
        if number >= self.first_final > self.steps.get(place.own, number):
            raise Wrong(f"step {quoted(name)} is of finally, which comes after all steps")
        if not place.before >> number & 1:
            raise Wrong(f"step {quoted(name)} may not have ended when this one begins: name it in needs")
        what = path[2] if len(path) > 2 else ""
        if what == "status":
            return str
        if what != "outputs":
            raise Wrong(f"a step has outputs and status: write steps.{name}.outputs", what, ("outputs", "status"))
        given = self.gives.get(name, Any)
        return OneOf((given, None)) if place.unsure else given

"""What a task says of itself: its arguments with types and defaults, its result, and what it makes of what is given."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from slipway.errors import InvalidArguments
from slipway.flows.tasks.base import Task, Tools, Work
from slipway.flows.tasks.catalog import CATALOG, SIGNATURES
from slipway.model.request import Host
from slipway.states.intent import Durability


class Mark(Struct, frozen=True):
    where: str
    size: int


class Leave(Task):
    """Leave a mark."""

    name = "leave-mark"
    kind = "mark"
    irreversible = True

    def durability(self, tools: Tools, host: Host | None) -> Durability:
        return Durability.FOREIGN

    def do(self, work: Work, where: str, marks: tuple[Mark, ...] = (), for_: float | str = "1s") -> Mark | None:
        return None


def test_arguments_with_a_default_are_optional() -> None:
    signature = Leave().signature
    assert signature.inputs == frozenset({"where"})
    assert signature.optional == frozenset({"marks", "for"})
    assert signature.types == {"where": str, "marks": tuple[Mark, ...], "for": float | str}
    assert signature.result == Mark | None
    assert (signature.in_build_only, signature.irreversible) == (False, True)


def test_what_is_given_gets_the_types_that_the_task_says() -> None:
    given = {"where": "here", "for": 2, "marks": [{"where": "there", "size": 1}]}
    assert Leave().accept(given) == {"where": "here", "for_": 2, "marks": (Mark("there", 1),)}
    mark = Mark("a", 1)
    accepted = Leave().accept({"where": "here", "marks": (mark,)})
    assert accepted["marks"][0] is mark, "records of earlier steps are passed as they are"
    assert "for_" not in accepted, "what is not given is left to the task's default"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"where": 3}, "leave-mark: where must be a text, not an integer"),
        ({}, "leave-mark needs where"),
        ({"where": "here", "wher": 1}, 'leave-mark takes no "wher", did you mean "where"?'),
        (
            {"where": "here", "marks": [{"where": "a", "size": "big"}]},
            "leave-mark: marks[0].size must be an integer, not a text",
        ),
        ({"where": "here", "marks": [{"where": "a"}]}, "leave-mark: marks[0] needs size"),
        ({"where": "here", "for": True}, "leave-mark: for must be a number or a text, not true or false"),
        ({"where": "here", "for_": 1}, 'leave-mark takes no "for_", did you mean "for"?'),
    ],
)
def test_what_does_not_fit_is_refused_by_name(given: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        Leave().accept(given)
    assert str(caught.value) == text


def test_no_value_is_shown_in_a_refusal() -> None:
    """It may be a secret."""
    with pytest.raises(InvalidArguments) as caught:
        Leave().accept({"where": "here", "marks": "s3cret"})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", CATALOG)
def test_every_task_says_the_types_of_all_its_arguments(name: str) -> None:
    signature = SIGNATURES[name]
    assert signature.types.keys() == signature.inputs | signature.optional
    assert signature.in_build_only is CATALOG[name].in_build_only

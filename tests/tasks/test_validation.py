"""What is wrong with the arguments of our tasks is said before anything is done."""

from __future__ import annotations

import pytest

from slipway.errors import InvalidFile
from slipway.flows.loader import find_definition, loads_definition
from slipway.flows.tasks.catalog import SIGNATURES

FLOW = "schema: 1\nname: mine\nsteps:\n  - {id: one, uses: http, with: {url: http://a/}}\n  - %s\n"


def mistakes(text: str) -> list[str]:
    try:
        loads_definition(text, "mine.yaml", SIGNATURES)
    except InvalidFile as error:
        return [problem.split(": ", 1)[1] for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("step", "mistake"),
    [
        ("{id: s, uses: sleep, with: {for: 3 weeks}}", "for must be a time such as 30s, 2m or 500ms, or seconds"),
        ("{id: s, uses: sleep, with: {for: -1}}", "for must be a time such as 30s, 2m or 500ms, or seconds"),
        ("{id: s, uses: sleep, with: {for: [1s]}}", "for must be a time such as 30s, 2m or 500ms, or seconds"),
        ("{id: s, uses: sleep, with: {for: 1s, fro: 1s}}", 'task sleep takes no "fro", did you mean "for"?'),
        ("{id: s, uses: wait-for, with: {port: 22}}", 'port must be "ADDRESS:PORT", such as 10.0.0.5:22 or '),
        ("{id: s, uses: wait-for, with: {port: host}}", 'port must be "ADDRESS:PORT", such as 10.0.0.5:22 or '),
        ("{id: s, uses: wait-for, with: {http: ftp://a/}}", "http must be an http or https URL"),
        ("{id: s, uses: http, with: {url: example.org}}", "url must be an http or https URL"),
        ("{id: s, uses: http, with: {url: http://a/, expect: [2xx]}}", "expect[0] must be an integer, not a text"),
        ("{id: s, uses: command, with: {argv: ls -l}}", "argv must be a list, not a text"),
        ("{id: s, uses: command, with: {argv: [sleep, 5]}}", "argv[1] must be a text, not an integer"),
        ("{id: s, uses: assert, with: {that: yes, message: m}}", "that must be true or false, not a text"),
        ("{id: s, uses: stop, with: {instance: web, force: 1}}", "force must be true or false, not an integer"),
        (
            "{id: s, uses: build-instance, with: {name: a, flavor: small, image: {}}}",
            "flavor must be a mapping, not",
        ),
        (
            '{id: s, uses: log, with: {message: "${{ steps.one.outputs.statu }}"}}',
            "steps.one.outputs is a Http",
        ),
        (
            '{id: s, uses: assert, with: {that: "${{ steps.one.outputs.status }}", message: m}}',
            "that must be a bool",
        ),
    ],
)
def test_what_never_fits_is_a_mistake(step: str, mistake: str) -> None:
    (said,) = mistakes(FLOW % step)
    assert said.startswith(mistake)


@pytest.mark.parametrize(
    "step",
    [
        "{id: s, uses: sleep, with: {for: 1.5h}}",
        "{id: s, uses: sleep, with: {for: 5}}",
        '{id: s, uses: sleep, with: {for: "${{ steps.one.outputs.text }}"}}',
        '{id: s, uses: wait-for, with: {port: "${{ steps.one.outputs.text }}:22", interval: 500ms}}',
        '{id: s, uses: wait-for, with: {http: "${{ steps.one.outputs.text }}/health"}}',
        "{id: s, uses: http, with: {url: HTTPS://a/, expect: 404, json: [1, {a: null}]}}",
        "{id: s, uses: set, with: {value: {a: [1, x]}}}",
    ],
)
def test_what_may_fit_is_none(step: str) -> None:
    assert mistakes(FLOW % step) == []


def test_a_build_cannot_be_paused() -> None:
    text = find_definition("build-instance").read_text()
    step = "  - {id: ask, uses: %s}\n\n  - id: finish\n"
    for uses in ("pause, with: {message: well?}", "sleep, with: {for: 1s}"):
        (said,) = mistakes(text.replace("  - id: finish\n", step % uses))
        assert said.endswith("may have its run paused, which the build of an instance cannot be")
    assert mistakes(text.replace("  - id: finish\n", step % "log, with: {message: soon}")) == []

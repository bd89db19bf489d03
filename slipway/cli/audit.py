"""`slipway audit`: the record against what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say

if TYPE_CHECKING:
    from slipway.model.record import Instance
    from slipway.operations.audit import Finding

_COLOURS = {
    **dict.fromkeys(("missing", "stuck", "damaged", "unfinished"), "ERROR"),
    **dict.fromkeys(("orphaned", "different"), "BUILDING"),
}


@click.command("audit", epilog=example("slipway audit", "slipway audit --output json"))
@common_options()
@click.pass_obj
def command(options: Options) -> int:
    """Compare the record with what every host and network holds, both ways.

    Changes nothing and is safe at any time; what is being worked on is left out. The exit code is 5 if there are
    differences.
    """
    from slipway.cli.failures import Code
    from slipway.cli.output import print_json

    with orchestrator(options) as slipway:
        findings = slipway.audit()
        known = {instance.id: instance for instance in slipway.list()}
    if options.json:
        print_json(findings_json(findings, known, options))
    else:
        write_findings(findings, known, options)
    return Code.DIFFERENT if findings else Code.DONE


def findings_json(findings: Sequence[Finding], known: Mapping[str, Instance], options: Options) -> list[dict[str, Any]]:
    """For programs; `known` are the instances on record, by id."""
    from msgspec.structs import asdict

    from slipway.cli.advice import after_audit

    return [
        {
            **asdict(one),
            "instance": _name(one, known),
            "next": [options.command(*words) for words, _ in after_audit([one], known) if words],
        }
        for one in findings
    ]


def write_findings(findings: Sequence[Finding], known: Mapping[str, Instance], options: Options) -> None:
    """For people, with what to type next."""
    from slipway.cli.advice import after_audit, write_advice
    from slipway.cli.output import coloured, table, without_owner, write

    if not findings:
        say("no differences")
        return
    rows = [
        (
            coloured(f.difference, _COLOURS.get(f.difference)),
            f.kind,
            f.host or "-",
            _whose(f, known),
            without_owner(f.detail, f.instance_id),
        )
        for f in findings
    ]
    write(table(("DIFFERENCE", "KIND", "HOST", "INSTANCE", "DETAIL"), rows, folded=("DETAIL",)))
    write_advice(options, list(after_audit(findings, known)))


def _whose(finding: Finding, known: Mapping[str, Instance]) -> str:
    """The instance's name, or the name of the thing where it belongs to none that is on record."""
    return _name(finding, known) or finding.name


def _name(finding: Finding, known: Mapping[str, Instance]) -> str | None:
    instance = known.get(finding.instance_id or "")
    return instance.name if instance else None

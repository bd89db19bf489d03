"""`slipway audit`: the record against what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from slipway.cli.options import Options, common_options, example, orchestrator
from slipway.cli.say import say

if TYPE_CHECKING:
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
    from msgspec.structs import asdict

    from slipway.cli.advice import after_audit, write_advice
    from slipway.cli.failures import Code
    from slipway.cli.output import coloured, print_json, table, without_owner, write

    with orchestrator(options) as slipway:
        findings = slipway.audit()
        known = {instance.id: instance for instance in slipway.list()}
    names = {instance.id: instance.name for instance in known.values()}
    if options.json:
        print_json(
            [
                {
                    **asdict(one),
                    "instance": names.get(one.instance_id or ""),
                    "next": [options.command(*words) for words, _ in after_audit([one], known)],
                }
                for one in findings
            ]
        )
    elif not findings:
        say("no differences")
    else:
        rows = [
            (
                coloured(f.difference, _COLOURS.get(f.difference)),
                f.kind,
                f.host or "-",
                _whose(f, names),
                without_owner(f.detail, f.instance_id),
            )
            for f in findings
        ]
        write(table(("DIFFERENCE", "KIND", "HOST", "INSTANCE", "DETAIL"), rows, folded=("DETAIL",)))
        write_advice(options, list(after_audit(findings, known)))
    return Code.DIFFERENT if findings else Code.DONE


def _whose(finding: Finding, names: Mapping[str, str]) -> str:
    """The instance's name, or the name of the thing where it belongs to none that is on record."""
    return names.get(finding.instance_id or "", finding.name)

"""What there is to mend: hosts that were started anew."""

from __future__ import annotations

import json

from slipway.drill.bench import Bench

_LOST = ("taps", "filters", "dhcp")
"""What of a host's world is not there any more when it was started anew."""


def restart_hosts(bench: Bench) -> None:
    """Have the hosts started anew as far as the drilled instances go: guests have ended, what wires them is gone."""
    drilled = {instance.id for instance in bench.drilled}
    bench.rest()
    for path in sorted((bench.state / "world").glob("*/*/*.json")):
        content = json.loads(path.read_text())
        if content.get("instance_id") not in drilled:
            continue
        if path.parent.name in _LOST:
            path.unlink()
        elif path.parent.name == "domains":
            path.write_text(json.dumps({**content, "state": "shutdown"}))
    bench.forget()

"""Random sequences of requests to Slipway's embedded network and to a real Neutron: do both do the same?

Automatic addresses and MACs are drawn at random by Neutron; Slipway is made to draw the same ones, and has to find them
free. So everything else can be compared as it is: addresses, attributes, error classes, HTTP statuses. A sequence ends
where the two differ. Differences that are meant are in docs/neutron-differences.md; others are shown, shortened.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import neutron_process
from bench.common import TMPFS, scratch
from bench.known_differences import why
from bench.routed_sequences import RoutedSequences
from bench.sequences import Op, Sequences
from bench.two_sides import Ours, Outcome, Theirs

AT_ONCE = 400
"""Sequences that one Neutron process gets: it has 4,000 VLANs, and slows down with what is left in its database."""


@dataclass(frozen=True)
class Difference:
    """The first difference of a sequence: in its operation `at`."""

    ops: list[Op]
    at: int
    theirs: Outcome
    ours: Outcome

    @property
    def reason(self) -> str | None:
        """Why it is meant to be so; None when it is not."""
        return why(self.ops[: self.at + 1], self.theirs, self.ours)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.differential", description=__doc__)
    parser.add_argument("--sequences", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first one (default 0)")
    parser.add_argument("--stop", type=int, default=10, help="differences without a reason to stop at (default 10)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after so many")
    parser.add_argument("--no-routers", dest="routers", action="store_false", help="none about routers")
    neutron_process.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    python = neutron_process.python_of(options)
    if python is None:
        parser.error("no Neutron: see --install")
    results = _compare(options, python)
    print(json.dumps(results, indent=2) if options.json else "\n".join(f"{k}: {v}" for k, v in results.items()))
    return 1 if results["without a reason"] else 0


def _compare(options: argparse.Namespace, python: str) -> dict[str, Any]:
    counted: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unexplained = 0
    end, late = options.seed + options.sequences, time.monotonic() + options.seconds
    for start in range(options.seed, end, AT_ONCE):
        with ExitStack() as stack:
            neutron = stack.enter_context(neutron_process.running(python))
            ours = Ours(stack.enter_context(scratch(TMPFS)))
            stack.callback(ours.store.close)
            pair = Pair(neutron, ours)
            for seed in range(start, min(start + AT_ONCE, end)):
                if time.monotonic() > late:
                    return _results(counted, outcomes, reasons, unexplained)
                # Every other one is about routers.
                ops = RoutedSequences(seed).draw() if options.routers and seed % 2 else Sequences(seed).draw()
                difference = pair.first_difference(ops, outcomes)
                counted["sequences"] += 1
                counted["operations"] += len(ops) if difference is None else difference.at + 1
                if difference is None:
                    continue
                if difference.reason:
                    reasons[difference.reason] += 1
                    continue
                unexplained += 1
                _show(seed, pair.shortened(difference))
                if unexplained >= options.stop:
                    return _results(counted, outcomes, reasons, unexplained)
    return _results(counted, outcomes, reasons, unexplained)


def _results(counted: Counter[str], outcomes: Counter[str], reasons: Counter[str], unexplained: int) -> dict[str, Any]:
    return {
        **counted,
        "outcomes": dict(outcomes.most_common()),
        "meant": dict(reasons),
        "without a reason": unexplained,
    }


def _show(seed: int, difference: Difference) -> None:
    print(f"--- seed {seed} at {time.strftime('%H:%M:%S')}", file=sys.stderr)
    for op in difference.ops[: difference.at + 1]:
        print(json.dumps(op), file=sys.stderr)
    for name, outcome in (("Neutron", difference.theirs), ("Slipway", difference.ours)):
        other = difference.ours if name == "Neutron" else difference.theirs
        print(f"{name}: {json.dumps(_unlike(outcome, other))}", file=sys.stderr, flush=True)


def _unlike(outcome: Outcome, other: Outcome) -> Any:
    """Of two results only what differs."""
    mine, theirs = outcome.get("result"), other.get("result")
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return outcome
    return {key: value for key, value in mine.items() if theirs.get(key) != value}


class Pair:
    """Slipway and Neutron, asked the same."""

    def __init__(self, neutron: neutron_process.Neutron, ours: Ours) -> None:
        self._neutron = neutron
        self._ours = ours
        self._asked = 0

    def first_difference(self, ops: list[Op], outcomes: Counter[str] | None = None) -> Difference | None:
        """Where the two differ first, each sequence in projects of its own."""
        self._asked += 1
        theirs = Theirs(self._neutron, self._asked)
        with self._ours.sequence(self._asked):
            for at, op in enumerate(ops):
                expected = theirs.run(op)
                if outcomes is not None:
                    outcomes["ok" if expected["ok"] else expected["error"]] += 1
                found = self._ours.run(op, expected)
                if not same(expected, found):
                    return Difference(ops, at, expected, found)
        return None

    def shortened(self, difference: Difference) -> Difference:
        """The same difference with the operations left out that it does not need."""
        best = Difference(difference.ops[: difference.at + 1], difference.at, difference.theirs, difference.ours)
        for index in reversed(range(difference.at)):
            shorter = self.first_difference(best.ops[:index] + best.ops[index + 1 :])
            if shorter is not None and shorter.at == len(shorter.ops) - 1 and shorter.reason is None:
                best = shorter
        return best


def same(theirs: Outcome, ours: Outcome) -> bool:
    """Whether both succeeded with the same result, or failed with the same error and status."""
    if theirs["ok"] and ours["ok"]:
        return _in_order(theirs["result"]) == _in_order(_as_far(ours["result"], theirs["result"]))
    kinds = ("ok", "error", "status")
    return all(theirs.get(kind) == ours.get(kind) for kind in kinds)


def _as_far(mine: Any, theirs: Any) -> Any:
    """Of our result what theirs has as well: Neutron shows bindings to administrators only."""
    if isinstance(mine, list) and isinstance(theirs, list) and theirs:
        return [_as_far(each, theirs[0]) for each in mine]
    return {key: mine.get(key) for key in theirs} if isinstance(mine, dict) and isinstance(theirs, dict) else mine


def _in_order(result: Any) -> Any:
    return sorted(result, key=json.dumps) if isinstance(result, list) else result


if __name__ == "__main__":
    sys.exit(main())

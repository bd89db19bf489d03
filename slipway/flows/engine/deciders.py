"""Whether an atom is gone on to, by the deciders on the links that lead to it, and what a no keeps from being done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from taskflow import states
from taskflow.deciders import Depth, pick_widest

from slipway.flows.engine.atoms import Atoms
from slipway.flows.engine.graph import Kind, Node, Vote
from slipway.flows.engine.storage import Storage


def goes_on(node: Node, storage: Storage, atoms: Atoms) -> bool:
    """Ask the deciders; where one of them says no, what it reaches is ignored from here on.

    What was ignored has no vote. Raises what a decider raises.
    """
    votes = list(_votes(node))
    if not votes:
        return True
    ignored = {vote.source for vote in votes if _is_ignored(vote.source, storage)}
    asked = [vote for vote in votes if vote.source not in ignored]
    history = {vote.source.name: storage.get(vote.source.name) for vote in asked if vote.source.is_atom}
    against = [vote.depth for vote in asked if not vote.decider(history=history)]
    if not against:
        return True
    for reached in (node, *_reached(node, pick_widest(against))):
        atoms.enter(reached, states.IGNORE, states.IGNORE)
    return False


def _votes(node: Node) -> Iterator[Vote]:
    """Those on the links to a node, and on the links to the flows that begin with it."""
    yield from node.votes
    waiting, seen = list(node.before), {node}
    while waiting:
        flow = waiting.pop()
        if flow.kind is Kind.FLOW and flow not in seen:
            seen.add(flow)
            yield from flow.votes
            waiting += flow.before


def _is_ignored(node: Node, storage: Storage) -> bool:
    return node.is_atom and storage.get_atom_state(node.name) == states.IGNORE


def _reached(node: Node, depth: Any) -> Iterator[Node]:
    if depth is Depth.ALL:
        yield from node.below()
    elif depth is Depth.FLOW:
        yield from node.below(through=lambda other: other.kind is Kind.TASK)
    elif depth is Depth.NEIGHBORS:
        yield from (other for other in node.after if other.kind is Kind.TASK)

"""The workflow by which an instance is built: Slipway's own by its name, a user's by the text that its build began
with."""

from __future__ import annotations

from functools import cache

from msgspec import Struct

from slipway.flows.definition import Definition
from slipway.flows.loader import definition_of_change, find_definition, known_workflows, load_definition
from slipway.flows.runs.reading import read_workflow
from slipway.flows.tasks.catalog import CHANGES, SIGNATURES
from slipway.flows.workflows.loading import FINISH, Workflow
from slipway.model.record import Instance
from slipway.states import codec, instance_runs, runs
from slipway.states.instance_runs import Begun
from slipway.states.schema import OWN_TEXT
from slipway.states.store import Store


def users_workflow(workflow: str) -> Workflow | None:
    """The one of that path as it is now; None for the name of one of Slipway's own. Raises `InvalidFile`."""
    return None if workflow in known_workflows() else read_workflow(workflow)


def definition_now(workflow: str) -> Definition:
    """The workflow of that name or path as it is now. Raises `InvalidFile`."""
    users = users_workflow(workflow)
    return _own(workflow) if users is None else users.definition


class Chosen(Struct, frozen=True):
    """The workflow by which an instance is to be built, by its name or path; `users`: what was read of a user's own."""

    name: str
    users: Workflow | None


def chosen(workflow: str) -> Chosen:
    """The one of that name or path. Raises `InvalidFile`."""
    return Chosen(workflow, users_workflow(workflow))


def build_of(store: Store, instance: Instance) -> Begun | None:
    """The run by which an instance was built, None where it is not on record any more."""
    with store.read(once=True) as tx:
        return instance_runs.build_of(tx, instance.id)


def definition_of(store: Store, workflow: str, build: Begun | None) -> Definition:
    """A workflow by the text with which a build began; by its file, where none was kept. Raises `InvalidFile`."""
    if build is None or build.digest == OWN_TEXT:
        return _own(workflow)
    with store.read() as tx:
        texts = runs.texts_of(tx, build.digest)
    return read_workflow(workflow, codec.decode(texts, dict[str, str])).definition


@cache
def _own(workflow: str) -> Definition:
    return load_definition(find_definition(workflow), SIGNATURES)


@cache
def change_of_name(workflow: str) -> Definition:
    """The workflow of one of Slipway's changes. Its steps may use tasks that no other workflow may."""
    # It has no step that ends the build: that has ended.
    known = {name: takes for name, takes in SIGNATURES.items() if name != FINISH}
    known |= {name: task.signature for name, task in CHANGES.items()}
    return load_definition(definition_of_change(workflow), known)

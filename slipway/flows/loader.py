"""Workflows by name or path, checked as a whole and made into definitions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from slipway.errors import InvalidRequest
from slipway.flows.definition import Definition, TaskSignature
from slipway.flows.workflows.loading import Loading, Workflow
from slipway.yamlfile.mistakes import did_you_mean, quoted

_DEFINITIONS = Path(__file__).parent / "definitions"


@cache
def known_workflows() -> tuple[str, ...]:
    """The names of the workflows that come with Slipway; each build asks for them, so their directory is read once."""
    return tuple(sorted(path.stem for path in _DEFINITIONS.glob("*.yaml")))


def absolute(workflow: str) -> str:
    """A workflow as it may stand on record: a name that is known, or the absolute path of a file.

    Raises `InvalidRequest` where it is neither.
    """
    known = known_workflows()
    if workflow in known:
        return workflow
    if not os.path.isfile(workflow):
        text = f"unknown workflow {quoted(workflow)}: neither a known name nor a file{did_you_mean(workflow, known)}"
        raise InvalidRequest((text,))
    return os.path.abspath(workflow)


def find_definition(workflow: str) -> Path:
    """The file of a workflow that is known by name, or the path as it is."""
    return _DEFINITIONS / f"{workflow}.yaml" if workflow in known_workflows() else Path(workflow)


@cache
def known_changes() -> tuple[str, ...]:
    """The names of the workflows by which instances that were built are changed."""
    return tuple(sorted(path.stem for path in (_DEFINITIONS / "changes").glob("*.yaml")))


def definition_of_change(workflow: str) -> Path:
    """The file of a workflow by which an instance that was built is changed."""
    return _DEFINITIONS / "changes" / f"{workflow}.yaml"


def load_definition(path: Path, catalog: Mapping[str, TaskSignature]) -> Definition:
    """Read a workflow whose steps use tasks of the catalog. Raises `InvalidFile` with all that is wrong with it."""
    return load_workflow(path, catalog).definition


def loads_definition(text: str, name: str, catalog: Mapping[str, TaskSignature]) -> Definition:
    """The same of a text; `name` is what problems call its file, relative to which the workflows are that it uses."""
    return load_workflow(Path(name), catalog, texts={os.path.abspath(name): text}).definition


def load_workflow(
    path: Path, catalog: Mapping[str, TaskSignature], *, texts: Mapping[str, str] | None = None
) -> Workflow:
    """Read a workflow with its warnings and with the workflows that its steps use.

    `texts`: what is read in place of the files of these absolute paths, as a run does that goes on with the texts that
    it began with. Raises `InvalidFile` with all that is wrong in any of the files.
    """
    return Loading(catalog, _known, texts or {}).load(path)


def _known(name: str) -> Path | None:
    return find_definition(name) if name in known_workflows() else None

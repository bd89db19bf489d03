"""Reads a run file: its YAML, its shape, what it refers to, and at last the dataclasses."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from slipway.flows.loader import known_workflows
from slipway.runfile.addressing import check_networks
from slipway.runfile.build import build
from slipway.runfile.declared_faults import check_faults
from slipway.runfile.entries import DEFAULT_WORKFLOW, RunFile
from slipway.runfile.guests import check_keypairs, resolve
from slipway.runfile.here import check_here
from slipway.runfile.instances import check_instances
from slipway.runfile.nat import check_nat
from slipway.runfile.records import make_records
from slipway.runfile.references import References
from slipway.runfile.routing import check_routing
from slipway.runfile.security import check_security_groups
from slipway.runfile.shape import check_shape
from slipway.yamlfile.document import Document, parse, read
from slipway.yamlfile.mistakes import quoted


def load(path: str | os.PathLike[str], *, here: bool = False, state: str | os.PathLike[str] | None = None) -> RunFile:
    """Read a run file. Raises `InvalidFile` with all that is wrong with it.

    `here`: with what this machine knows that it cannot have as well, such as drivers that are not installed and images
    that are not there; for those who build on this machine, and with the installed drivers. `state`: the state
    directory with the images that instances may name, beside those of the catalogue.
    """
    return _load(read(Path(path)), here=here, state=state)


def loads(text: str, name: str) -> RunFile:
    """Read the text of a run file that is called `name`; paths in it are relative to that name's directory."""
    return _load(parse(text, name))


def _load(document: Document, *, here: bool = False, state: str | os.PathLike[str] | None = None) -> RunFile:
    stored = partial(_stored_images, state)
    references = References(document.value if isinstance(document.value, dict) else {}, stored)
    check_shape(document)
    if not isinstance(document.value, dict):
        raise document.error()
    check_networks(document)
    check_security_groups(document)
    _check_references(document, references)
    check_routing(document, references)
    check_nat(document)
    check_keypairs(document)
    check_instances(document, references)
    check_faults(document)
    workflow = _workflow(document)
    records = make_records(document)
    if here:
        check_here(document, records, stored)
    document.finish()
    return build(document, workflow, records)


def _stored_images(state: str | os.PathLike[str] | None) -> tuple[str, ...]:
    """Only where one is named that the file does not have: all others do without the catalogue."""
    from slipway.drivers.images.catalogue import catalogue
    from slipway.drivers.images.library import ImageLibrary

    return tuple(catalogue().names() if state is None else ImageLibrary(Path(state)).names())


def _check_references(document: Document, references: References) -> None:
    tree: dict[str, Any] = document.value
    network = tree.get("settings", {}).get("default_access_network")
    references.check(document, ("settings", "default_access_network"), "network", network)
    for name, entry in tree.get("networks", {}).items():
        for port, settings in entry.get("ports", {}).items():
            for index, group in enumerate(settings.get("security_groups", ())):
                place = ("networks", name, "ports", port, "security_groups", index)
                references.check(document, place, "security group", group)


def _workflow(document: Document) -> str:
    workflow: str = document.value.get("workflow", DEFAULT_WORKFLOW)
    if workflow == DEFAULT_WORKFLOW or workflow in known_workflows():
        return workflow
    path = Path(resolve(document, workflow))
    if not path.is_file():
        text = f"unknown workflow {quoted(workflow)}: neither a known name nor a file"
        document.problem(("workflow",), text, wrong=workflow, known=known_workflows())
    return str(path)

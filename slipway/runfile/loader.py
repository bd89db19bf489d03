"""Reads a run file: its YAML, its shape, what it refers to, and at last the dataclasses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.flows.loader import known_workflows
from slipway.runfile.addressing import check_networks
from slipway.runfile.build import build
from slipway.runfile.declared_faults import check_faults
from slipway.runfile.entries import RunFile
from slipway.runfile.guests import check_keypairs, resolve
from slipway.runfile.instances import check_instances
from slipway.runfile.references import References
from slipway.runfile.security import check_security_groups
from slipway.runfile.shape import check_shape
from slipway.yamlfile.document import Document, parse, read
from slipway.yamlfile.mistakes import quoted
from slipway.yamlfile.units import parse_size

DEFAULT_WORKFLOW = "build-instance"


def load(path: Path) -> RunFile:
    """Read a run file. Raises `InvalidFile` with all that is wrong with it."""
    return _load(read(path))


def loads(text: str, name: str) -> RunFile:
    """Read the text of a run file that is called `name`; paths in it are relative to that name's directory."""
    return _load(parse(text, name))


def _load(document: Document) -> RunFile:
    references = References(document.value if isinstance(document.value, dict) else {})
    check_shape(document)
    if not isinstance(document.value, dict):
        raise document.error()
    check_networks(document)
    check_security_groups(document)
    _check_hosts_and_images(document, references)
    check_keypairs(document)
    check_instances(document, references)
    check_faults(document)
    workflow = _workflow(document)
    document.finish()
    return build(document, workflow)


def _check_hosts_and_images(document: Document, references: References) -> None:
    tree: dict[str, Any] = document.value
    network = tree.get("settings", {}).get("default_access_network")
    references.check(document, ("settings", "default_access_network"), "network", network)
    for name, host in tree.get("hosts", {}).items():
        if "simulate" in host and host.get("compute", "sim") != "sim":
            document.problem(("hosts", name, "simulate"), "simulate is for hosts with compute: sim", key=True)
        if host.get("compute") == "libvirt" and "uri" not in host:
            document.problem(("hosts", name), "compute: libvirt needs uri, such as qemu:///system", key=True)
    for name, entry in tree.get("networks", {}).items():
        for port, settings in entry.get("ports", {}).items():
            for index, group in enumerate(settings.get("security_groups", ())):
                place = ("networks", name, "ports", port, "security_groups", index)
                references.check(document, place, "security group", group)
    for name, flavor in tree.get("flavors", {}).items():
        _check_flavor(document, ("flavors", name), flavor)
    for name, image in tree.get("images", {}).items():
        path = ("images", name)
        if image.get("boot") == "network":
            if "kernel" in image:
                document.problem((*path, "boot"), "boot: network and kernel exclude each other", key=True)
        elif not {"path", "kernel"} & image.keys() and not document.dropped & {(*path, "path"), (*path, "kernel")}:
            document.problem(path, f"{quoted(name)} needs path or kernel", key=True)
        for key, owner in (("initrd", "kernel"), ("cmdline", "kernel"), ("format", "path"), ("sha256", "path")):
            if key in image and owner not in image and (*path, owner) not in document.dropped:
                document.problem((*path, key), f"{key} needs {owner}", key=True)


def _check_flavor(document: Document, path: tuple[str, str], flavor: dict[str, Any]) -> None:
    vcpus, memory = flavor.get("vcpus"), flavor.get("memory")
    cells, pins, page = flavor.get("numa_cells"), flavor.get("pin_cpus"), flavor.get("hugepages")
    if vcpus and cells and vcpus % cells:
        document.problem((*path, "numa_cells"), f"{vcpus} vCPUs cannot be divided evenly among {cells} NUMA cells")
    if vcpus and pins is not None and len(pins) != vcpus:
        document.problem((*path, "pin_cpus"), f"pin_cpus needs a CPU for each of the {vcpus} vCPUs, not {len(pins)}")
    if memory and page and parse_size(memory) % parse_size(page):
        document.problem((*path, "hugepages"), f"a memory of {memory} is not made of pages of {page}")


def _workflow(document: Document) -> str:
    workflow: str = document.value.get("workflow", DEFAULT_WORKFLOW)
    if workflow == DEFAULT_WORKFLOW or workflow in known_workflows():
        return workflow
    path = Path(resolve(document, workflow))
    if not path.is_file():
        text = f"unknown workflow {quoted(workflow)}: neither a known name nor a file"
        document.problem(("workflow",), text, wrong=workflow, known=known_workflows())
    return str(path)

"""A request for one instance from an entry that stands alone, with its flavor and image in it: a step of a workflow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from slipway.errors import InvalidRequest
from slipway.model.request import NAMED_IMAGE, InstanceRequest
from slipway.runfile.guests import check_keypairs
from slipway.runfile.instances import check_instances
from slipway.runfile.records import make_records
from slipway.runfile.references import References
from slipway.runfile.requests import Tree
from slipway.runfile.shape import check_shape
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import did_you_mean, quoted

_SIZES = ("memory", "disk", "hugepages", "min_disk", "min_memory", "size")
_FILES = ("path", "kernel", "initrd", "file", "volume", "cdrom")
_TAKEN_OUT = {"flavor": "flavors", "image": "images", "group": "server_groups"}


def make_inline_request(name: str, entry: Mapping[str, Any], *, project: str) -> InstanceRequest:
    """The request for the instance, by the rules of run files. Sizes may be bytes, durations seconds.

    `flavor`, `image` and `group` are the mappings that a run file has under a name, with a `name` if they have one (a
    group must); `ssh_keys` the public keys; paths of files are absolute, since there is no file to which they could be
    relative. Networks, ports and the like are by name or id, and nobody looks here whether they exist.
    Raises `InvalidRequest` with all that is wrong.
    """
    said: Tree = msgspec.to_builtins(entry)
    keys = said.pop("ssh_keys", ())
    said |= {"keypairs": [f"key {number}" for number in range(len(keys))]} if keys else {}
    tree: Tree = {"schema": 1, "project": project, "instances": {name: said}}
    if keys:
        tree["keypairs"] = dict(zip(said["keypairs"], keys, strict=True))
    for key, section in _TAKEN_OUT.items():
        if isinstance(one := said.get(key), dict):
            if key == "group" and "name" not in one:
                raise InvalidRequest(("group needs name",), f"instance {name}")
            said[key] = one.pop("name", key)
            tree[section] = {said[key]: one}
    document = Document("", value=_with_units(tree))
    check_shape(document)
    if isinstance(document.value, dict):
        for path, file in _relative(document.value, ()):
            document.problem(path, f"{path[-1]} must be an absolute path, not {quoted(file)}")
        check_keypairs(document)
        check_instances(document, _Anything())
        records = make_records(document)
        if not document.problems and records.instances:
            return records.instances[0].request
    mistakes = (f"{problem.text}{did_you_mean(problem.wrong, problem.known)}" for problem in document.problems)
    raise InvalidRequest(tuple(dict.fromkeys(mistakes)), f"instance {name}")


class _Anything(References):
    """What stands elsewhere, and is looked for when the instance is built."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(("networks", "hosts")))

    def check(self, document: Document, path: NodePath, kind: str, name: str | None) -> None:
        """Nothing is unknown here."""


def _with_units(value: Any, key: str | int = "") -> Any:
    """The tree with sizes in bytes and durations in seconds as a file has them."""
    if isinstance(value, dict):
        return {name: _with_units(one, "within" if key == "wait_for" else name) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_units(one, "disk" if key == "disks" else "") for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and key in _SIZES:
        return f"{value}B"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and key == "within":
        return f"{value}s"
    return value


def _relative(value: Any, path: NodePath) -> Iterator[tuple[NodePath, str]]:
    """The paths of files that are not absolute, and no URLs."""
    if path[2:3] in (("metadata",), ("requires",)):
        return
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _relative(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _relative(one, (*path, index))
    elif (
        isinstance(value, str)
        and (path[-1] in _FILES or path[2:3] == ("shares",))
        and "://" not in value
        and not (value.startswith(NAMED_IMAGE) or os.path.isabs(value))
    ):
        yield path, value

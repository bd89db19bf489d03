"""The checks that hosts and requests of programs pass as well, each mistake with its place in the file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from slipway.checks import Mistake, mistakes_of
from slipway.model.request import NAMED_IMAGE, Flavor, Host, Image, InstanceRequest, ServerGroup
from slipway.runfile.entries import InstanceEntry
from slipway.runfile.instances import names_of
from slipway.runfile.requests import Tree, make_flavor, make_host, make_image, make_request, make_settings
from slipway.settings import Settings
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

R = TypeVar("R")

_FLAVOR, _IMAGE = Flavor("unknown", 1, 1, 0), Image("unknown", path="/unknown")
"""Stand for one that is unknown or has mistakes: they are told where it stands, not where it is used."""


@dataclass(slots=True)
class Records:
    """What the file says of hosts and instances; whole only where the document has no problems."""

    settings: Settings = field(default_factory=Settings)
    hosts: dict[str, Host] = field(default_factory=dict)
    flavors: dict[str, Flavor] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    requests: dict[str, InstanceRequest] = field(default_factory=dict)
    """By the entry's name; of an entry with `count` the first one."""
    instances: list[InstanceEntry] = field(default_factory=list)


def make_records(document: Document) -> Records:
    """Make them, and note what is wrong with them as settings, hosts, flavors, images and requests."""
    tree: Tree = document.value
    made = Records()
    if not any(path[:1] == ("settings",) for path in document.dropped):
        made.settings = make_settings(tree.get("settings", {}))
        _note(document, ("settings",), mistakes_of(made.settings, Settings))
    made.hosts = _each(document, "hosts", lambda name, entry: make_host(name, entry, made.settings), Host)
    made.flavors = _each(document, "flavors", make_flavor, Flavor)
    made.images = _each(document, "images", lambda name, entry: make_image(document, name, entry), Image)
    made.instances = list(_instances(document, made))
    return made


def _entries(document: Document, section: str) -> Iterator[tuple[str, Tree]]:
    """The entries of which a record can be made, some without what was taken out of them."""
    lost: defaultdict[str | int, list[NodePath]] = defaultdict(list)
    for path in document.dropped:
        if path[:1] == (section,) and len(path) > 2:
            lost[path[1]].append(path[2:])
    for name, entry in document.value.get(section, {}).items():
        mended = _mended(entry, lost[name]) if name in lost else entry
        if all(key in mended for key in _NEEDED.get(section, ())):
            yield name, mended


_MAPPINGS = ("metadata", "files", "shares", "simulate", "ratios", "labels", "requires")
_NEEDED = {
    "hosts": ("vcpus", "memory", "disk"),
    "flavors": ("vcpus", "memory", "disk"),
    "server_groups": ("policy",),
    "instances": ("flavor", "image"),
}


def _mended(entry: Tree, lost: list[NodePath]) -> Tree:
    """An entry without the attributes of which something was taken out; what others need is there, as anything."""
    mended = dict(entry)
    for path in lost:
        match path:
            case ("path" | "kernel" as key,):
                mended[key] = "/unknown"
            case ("networks", int(index), *rest):
                nic = mended["networks"][index]
                known = {**nic, rest[0]: "unknown"} if rest and rest[0] in ("network", "port") else nic
                known = "unknown" if known is None else known
                mended["networks"] = [*mended["networks"][:index], known, *mended["networks"][index + 1 :]]
            case (str(key), *rest) if key in _MAPPINGS and all(isinstance(step, str) for step in rest):
                pass
            case (str(key), _, *_):
                mended.pop(key, None)
    return mended


def _each(document: Document, section: str, make: Callable[[str, Tree], R], kind: type[R]) -> dict[str, R]:
    made = {name: make(name, entry) for name, entry in _entries(document, section)}
    for name, record in made.items():
        _note(document, (section, name), mistakes_of(record, kind))
    return made


def _instances(document: Document, made: Records) -> Iterator[InstanceEntry]:
    groups = {name: ServerGroup(name, entry["policy"]) for name, entry in _entries(document, "server_groups")}
    expanded = {name: names_of(name, entry) for name, entry in document.value.get("instances", {}).items()}
    for entry_name, entry in _entries(document, "instances"):
        flavor, image = made.flavors.get(entry["flavor"], _FLAVOR), _image(document, made, entry["image"])
        group = groups.get(entry.get("group", ""))
        first = make_request(document, expanded[entry_name][0], entry, flavor=flavor, image=image, group=group)
        made.requests[entry_name] = first
        own = [one for one in mistakes_of(first, InstanceRequest) if one.place[:1] not in _ELSEWHERE]
        _note(document, ("instances", entry_name), [one._replace(place=_place_of(first, one.place)) for one in own])
        if (host := made.hosts.get(first.host or "")) and first.zone not in (None, host.zone):
            text = f"host {quoted(host.name)} is in zone {quoted(host.zone)}, not {quoted(first.zone)}"
            document.problem(("instances", entry_name, "zone"), text)
        before = (name for other in entry.get("depends_on", ()) for name in expanded.get(other, (other,)))
        depends_on = tuple(dict.fromkeys(before))
        position = document.where(("instances", entry_name))
        yield from (InstanceEntry(replace(first, name=name), depends_on, position) for name in expanded[entry_name])


def _image(document: Document, made: Records, name: str) -> Image:
    """The image of that name in the file, or that of the machine's cache or the catalogue."""
    if name in made.images or name in document.value.get("images", {}):
        return made.images.get(name, _IMAGE)
    return Image(name, path=f"{NAMED_IMAGE}{name}")


_ELSEWHERE = [(name,) for name in ("project", "flavor", "image", "group", "ssh_keys")]
"""Attributes of a request whose values stand elsewhere in the file, and are checked there."""


def _place_of(request: InstanceRequest, place: NodePath) -> NodePath:
    """Where in its entry an attribute of a request stands."""
    match place:
        case ("files", int(index), *rest):
            return ("files", request.files[index].path, *rest) if rest != ["path"] else place
        case ("wait_for", int(index), *_):
            return ("wait_for", request.wait_for[index].sign.value)
        case ("shares", int(index), "path"):
            return ("shares", request.shares[index].tag)
        case ("metadata", int(index), *_):
            return ("metadata", request.metadata[index][0])
        case ("requires", int(index), *_):
            return ("requires", request.requires[index][0])
        case ("disks", int(index), "path"):
            return ("disks", index, "volume")
    return place


_KEYS = (("files", "path"), ("shares", "tag"))


def _note(document: Document, entry: NodePath, mistakes: list[Mistake]) -> None:
    for mistake in mistakes:
        # Names, paths of files and tags of shares are keys, which were checked with the file's shape.
        if mistake.place != ("name",) and (*mistake.place[:1], *mistake.place[2:]) not in _KEYS:
            path = (*entry, *mistake.place)
            text = mistake.text if mistake.sentence else f"{path[-1]} {mistake.text}"
            document.problem(path, text, key=mistake.there)

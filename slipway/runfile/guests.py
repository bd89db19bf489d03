"""Checks of what instances bring to their guests: user data, SSH keys and files, some of it read from files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted

MAX_TEXT = 64 * 1024
"""Bytes of user data, and of all files of an instance together."""

_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]{16,}={0,3}( [^\n\r]*)?")


def resolve(document: Document, file: str) -> str:
    """The absolute path of a file that is named relative to the run file."""
    return os.path.abspath(Path(document.name).parent / file)


def check_keypairs(document: Document) -> None:
    """Note what is no public key, and put the keys in place of their files' paths."""
    keypairs: dict[str, Any] = document.value.get("keypairs", {})
    for name in keypairs:
        text = _text(document, ("keypairs", name), keypairs[name], quoted(name))
        if text is None:
            continue
        keypairs[name] = text.strip()
        if not _KEY.fullmatch(keypairs[name]):
            what = "a private key" if "PRIVATE KEY" in text else "no public key, a line such as ssh-ed25519 AAAA..."
            document.problem(("keypairs", name), f"{quoted(name)} is {what}")


def check_guest(document: Document, path: NodePath, entry: dict[str, Any]) -> None:
    """Note what an instance's guest cannot be given or waited for, and put texts in place of their files' paths."""
    if entry.get("networks") == []:
        for sign in ("lease", "ping", "ssh"):
            if sign in entry.get("wait_for", {}):
                document.problem((*path, "wait_for", sign), f"{sign} needs a network: networks is empty", key=True)
    if "lease" in entry.get("wait_for", {}) and (network := _first_without_dhcp(document, entry)):
        text = f"lease needs DHCP, which no subnet of network {quoted(network)} has"
        document.problem((*path, "wait_for", "lease"), text, key=True)
    if "user_data" in entry:
        entry["user_data"] = _text(document, (*path, "user_data"), entry["user_data"], "user_data")
    size = 0
    for name, file in entry.get("files", {}).items():
        place = (*path, "files", name)
        if {"content", "file"} <= file.keys():
            document.problem((*place, "file"), "content and file exclude each other", key=True)
        elif not {"content", "file"} & file.keys():
            if not document.dropped & {(*place, "content"), (*place, "file")}:
                document.problem(place, f"{quoted(name)} needs content or file", key=True)
        else:
            file["content"] = _text(document, place, file if "file" in file else file["content"], quoted(name))
            size += len((file["content"] or "").encode())
    if size > MAX_TEXT:
        document.problem((*path, "files"), f"the files are larger than {MAX_TEXT // 1024} KiB together", key=True)


def _first_without_dhcp(document: Document, entry: dict[str, Any]) -> str | None:
    """The first NIC's network, by its name, where the file says that nobody hands out addresses there."""
    first = (entry.get("networks") or [None])[0]
    name = first.get("network") if isinstance(first, dict) else first
    subnets = document.value.get("networks", {}).get(name, {}).get("subnets", {})
    return name if subnets and not any(subnet.get("enable_dhcp", True) for subnet in subnets.values()) else None


def _text(document: Document, path: NodePath, given: Any, label: str) -> str | None:
    """The text that is given, or that of the file that is named; None where there is a problem with it."""
    if not isinstance(given, dict):
        content = given.encode() if isinstance(given, str) else b""
    elif "file" in given:
        path = (*path, "file")
        try:
            with open(resolve(document, given["file"]), "rb") as stream:
                content = stream.read(MAX_TEXT + 1)
        except OSError as error:
            document.problem(path, f"{label} file {quoted(given['file'])} cannot be read: {error.strerror}")
            return None
    else:
        return None
    if len(content) > MAX_TEXT:
        document.problem(path, f"{label} is larger than {MAX_TEXT // 1024} KiB")
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        document.problem(path, f"{label} file {quoted(given['file'])} is not UTF-8")
        return None

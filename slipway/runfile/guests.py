"""Checks of what instances bring to their guests: user data, SSH keys and files, some of it read from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from slipway.checks import mistakes_of
from slipway.checks.rules import MOST_TEXT
from slipway.model.request import PublicKey
from slipway.yamlfile.document import Document, NodePath
from slipway.yamlfile.mistakes import quoted


def resolve(document: Document, file: str) -> str:
    """The absolute path of a file that is named relative to the run file; `~` is whoever runs it."""
    return os.path.abspath(Path(document.name).parent / os.path.expanduser(file))


def check_keypairs(document: Document) -> None:
    """Note what is no public key, and put the keys in place of their files' paths; a line each, as in
    `authorized_keys`."""
    keypairs: dict[str, Any] = document.value.get("keypairs", {})
    for name in keypairs:
        text = _text(document, ("keypairs", name), keypairs[name], quoted(name))
        if text is None:
            continue
        keys = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        keypairs[name] = "\n".join(keys)
        if not keys or any(mistakes_of(key, PublicKey) for key in keys):
            what = "a private key" if "PRIVATE KEY" in text else "no public key, a line such as ssh-ed25519 AAAA..."
            document.problem(("keypairs", name), f"{quoted(name)} is {what}")


def check_guest(document: Document, path: NodePath, entry: dict[str, Any]) -> None:
    """Note what an instance's guest cannot be given or waited for, and put texts in place of their files' paths."""
    if "lease" in entry.get("wait_for", {}) and (network := _first_without_dhcp(document, entry)):
        text = f"lease needs DHCP, which no subnet of network {quoted(network)} has"
        document.problem((*path, "wait_for", "lease"), text, key=True)
    if "user_data" in entry:
        entry["user_data"] = _text(document, (*path, "user_data"), entry["user_data"], "user_data")
    if "network_config" in entry:
        place = (*path, "network_config")
        entry["network_config"] = _text(document, place, entry["network_config"], "network_config")
    for name, file in list(entry.get("files", {}).items()):
        file["content"] = _content(document, (*path, "files", name), file, quoted(name))
        if file["content"] is None:
            document.drop((*path, "files", name))


def _content(document: Document, path: NodePath, file: dict[str, Any], label: str) -> str | None:
    """What is in a file for the guest; None where there is a problem with it."""
    if {"content", "file"} <= file.keys():
        document.problem((*path, "file"), "content and file exclude each other", key=True)
    elif {"content", "file"} & file.keys():
        return _text(document, path, file if "file" in file else file["content"], label)
    elif not document.dropped & {(*path, "content"), (*path, "file")}:
        document.problem(path, f"{label} needs content or file", key=True)
    return None


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
                content = stream.read(MOST_TEXT + 1)
        except OSError as error:
            document.problem(path, f"{label} file {quoted(given['file'])} cannot be read: {error.strerror}")
            return None
    else:
        return None
    if len(content) > MOST_TEXT:
        document.problem(path, f"{label} is larger than {MOST_TEXT // 1024} KiB")
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        document.problem(path, f"{label} file {quoted(given['file'])} is not UTF-8")
        return None

"""Whether a network config of one's own is one that cloud-init reads."""

from __future__ import annotations


def network_config_mistake(text: str) -> str | None:
    """Why cloud-init would not go by it; None: it is of version 1 or 2."""
    from slipway.errors import InvalidFile
    from slipway.yamlfile.document import parse

    try:
        document = parse(text, "network_config")
        document.finish()
    except InvalidFile as error:
        return f"network_config cannot be read: {error.problems[0]}"
    found = document.value
    if isinstance(found, dict) and isinstance(found.get("network"), dict) and "version" not in found:
        return "network_config begins with network:, which cloud-init has in files of its own; begin with version:"
    if not isinstance(found, dict) or found.get("version") not in (1, 2):
        return "network_config needs version: 1 or version: 2, as cloud-init has them"
    if not found.get(key := "config" if found["version"] == 1 else "ethernets") and len(found) < 2:
        return f"network_config of version {found['version']} says nothing: it needs {key}"
    return None

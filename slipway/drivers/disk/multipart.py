"""Two texts for cloud-init in one: a MIME message, as it takes them."""

from __future__ import annotations

import hashlib
from email import message_from_string
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

_MERGE = "list(append)+dict(no_replace,recurse_list)+str()"
"""What user data say stays as it is, and our files come after theirs; else one list would replace the other."""

_MIME_WITHIN = 4096
"""cloud-init takes user data for MIME where the header is within so many characters."""


def multipart(text: str, config: str) -> str:
    """The user's text, and a cloud-config of ours that is merged into it; the same two give the same message."""
    boundary = hashlib.sha256((text + config).encode()).hexdigest()
    message = MIMEMultipart(boundary=boundary)
    message.attach(_part(text))
    ours = MIMEText(config, "cloud-config", "utf-8")
    ours["Merge-Type"] = _MERGE
    message.attach(ours)
    return message.as_string()


def _part(text: str) -> Message:
    """cloud-init looks at the first line of a plain text for what it is, as it does without MIME."""
    if "mime-version:" in text[:_MIME_WITHIN].lower():
        return message_from_string(text)
    return MIMEText(text, "plain", "utf-8")

"""Workflows read once for many runs: that takes longer than most of their steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from slipway.errors import InvalidFile
from slipway.flows.loader import load_workflow
from slipway.flows.tasks.catalog import SIGNATURES
from slipway.flows.workflows.loading import Workflow
from slipway.yamlfile.document import read_text

_MOST = 64
_read: dict[str, tuple[int, Workflow]] = {}
"""What was read by its path, with how many tasks there were then; the oldest is forgotten first."""


def read_workflow(path: str, texts: Mapping[str, str] | None = None) -> Workflow:
    """The workflow of an absolute path, as its file is now, or by `texts` in place of files. Raises `InvalidFile`."""
    tasks, known = _read.get(path, (0, None))
    if known is not None and tasks == len(SIGNATURES) and _is_still(known, texts):
        return known
    workflow = load_workflow(Path(path), SIGNATURES, texts=texts)
    _read.pop(path, None)
    _read[path] = len(SIGNATURES), workflow
    while len(_read) > _MOST:
        _read.pop(next(iter(_read)), None)
    return workflow


def _is_still(workflow: Workflow, texts: Mapping[str, str] | None) -> bool:
    """Whether all its files have the texts that they had."""
    try:
        return all((read_text(Path(p)) if texts is None else texts.get(p)) == t for p, t in workflow.texts.items())
    except InvalidFile:
        return False

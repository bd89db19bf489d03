"""The tasks in a user's module, which is named on the command line."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from slipway.errors import InvalidRequest
from slipway.flows.tasks.base import Task
from slipway.flows.tasks.decorator import said_of
from slipway.texts import named

_files: dict[str, ModuleType] = {}
"""What was loaded from a file, by its real path: a task is one, however often its file is named."""


def things_of(spec: str) -> list[Any]:
    """What is a task, or is to be one, in "MODULE", "FILE.py", "MODULE:NAME" or "FILE.py:NAME".

    Raises `InvalidRequest` where there is no such thing, or it cannot be imported.
    """
    where, colon, name = spec.partition(":")
    if not where or (colon and not name):
        raise InvalidRequest((f"{spec!r} names no tasks: write MODULE, FILE.py or MODULE:NAME",))
    module = _module(where)
    if not name:
        return [one for one in vars(module).values() if _is_meant(one, module)]
    thing: Any = module
    for part in name.split("."):
        try:
            thing = getattr(thing, part)
        except AttributeError as error:
            raise InvalidRequest((f"{where} has no {name}",)) from error
    return list(thing) if isinstance(thing, (list, tuple)) else [thing]


def _is_meant(thing: Any, module: ModuleType) -> bool:
    """Whether something in a module is a task of that module: what it imports from others is theirs."""
    is_class = isinstance(thing, type) and issubclass(thing, Task) and "name" in vars(thing)
    return (is_class or said_of(thing) is not None) and thing.__module__ == module.__name__


def _module(where: str) -> ModuleType:
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return _from_file(os.path.realpath(where)) if where.endswith(".py") else import_module(where)
    except (Exception, SystemExit) as error:
        # Whatever a user's module does when it is imported.
        raise InvalidRequest((f"the tasks of {where} cannot be loaded: {named(error)}",)) from error
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _from_file(path: str) -> ModuleType:
    """The module, under a name that no other has: a `json.py` is not what others import as json."""
    if path not in _files:
        name = f"slipway_tasks_{len(_files)}_{os.path.basename(path).removesuffix('.py')}"
        spec = spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} is no module")
        module = sys.modules[name] = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        _files[path] = module
    return _files[path]

"""What programs are given goes through `pickle` and `copy` unchanged: they have process pools and caches."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec import Struct

import slipway
from slipway import BuildFailed, Fault, Flavor, Image, Instance, InstanceRequest, Orchestrator, errors
from slipway.runfile import loads
from tests.api.samples import sample
from tests.api.test_embedding import FILE, SECRET


def submodules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def records() -> list[type]:
    """The classes that cross our boundaries, by themselves and not by a list that one could forget to extend."""
    exported = [getattr(slipway, name) for name in slipway.__all__]
    places = [*submodules(importlib.import_module("slipway.model")), importlib.import_module("slipway.runfile.entries")]
    found = [value for place in places for value in vars(place).values()] + exported
    classes = {one: None for one in found if isinstance(one, type) and issubclass(one, Struct) and one is not Struct}
    return [one for one in classes if one is not slipway.HostDrivers and one.__module__ != "slipway.model.limits"]


def error_classes() -> list[type[BaseException]]:
    found = {
        one: None
        for module in submodules(errors)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, BaseException)
    }
    return list(found)


INSTANCE = Instance(
    id="1",
    name="web",
    project="default",
    vm_state="ERROR",
    task_state=None,
    generation=1,
    request=InstanceRequest("web", Flavor("small", 1, 1 << 30, 0), Image("tiny", path="/tiny.qcow2")),
    host=None,
    fault=Fault("NoValidHost", "no host fits", "schedule", datetime.now(UTC)),
    attempt=1,
    created_at=datetime.now(UTC),
    workflow="build-instance",
)
FAILED = BuildFailed(INSTANCE, (), ())


def made(kind: type[BaseException]) -> BaseException:
    """An error as its own code makes it."""
    of_many = kind in (errors.InvalidFile, errors.InvalidRequest)
    return kind(("f.yaml:1:1: a", "f.yaml:2:1: b")) if of_many else kind("what is wrong")


@pytest.mark.parametrize("error", [*map(made, error_classes()), FAILED], ids=lambda error: type(error).__name__)
def test_an_error_says_the_same(error: BaseException) -> None:
    error.add_note("a note")
    for again in (*(pickle.loads(pickle.dumps(error, protocol)) for protocol in range(6)), copy.deepcopy(error)):
        assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
        assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", records(), ids=lambda kind: kind.__qualname__)
def test_a_record_is_the_same(kind: type) -> None:
    record = sample(kind)
    assert pickle.loads(pickle.dumps(record)) == copy.deepcopy(record) == record


def build(state: Path, name: str) -> Any:
    """In another process: an instance, or the error that it failed with."""
    file = loads(FILE.format(more=", simulate: {fail: [spawn]}" if name == "bad" else "", secret=SECRET), "f.yaml")
    with Orchestrator(state / name) as orchestrator:
        result = orchestrator.run(file)
        return result, orchestrator.create(msgspec.structs.replace(file.instances[0].request, name=name))


def test_results_and_errors_come_through_a_process_pool(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(BuildFailed, match="told to fail in spawn") as caught:
            pool.submit(build, tmp_path, "bad").result()
        assert caught.value.cause is not None
        assert caught.value.undone
        result, instance = pool.submit(build, tmp_path, "good").result()
    assert (result.ended[0].status, instance.vm_state) == ("built", "ACTIVE")

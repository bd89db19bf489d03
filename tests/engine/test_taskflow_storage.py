"""TaskFlow's own tests of its storage, against ours."""

from __future__ import annotations

import pytest
from taskflow.tests.unit import test_storage

from slipway.flows.engine.storage import Storage

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_storage.storage, "Storage", Storage)


class TestStorageInMemory(test_storage.StorageMemoryTest): ...  # type: ignore[misc]


class TestStorageOnSqlite(test_storage.StorageSQLTest): ...  # type: ignore[misc]

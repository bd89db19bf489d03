"""What the examples find outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.examples.services import Services, served


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Every service that a workflow asks."""
    with served() as services:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, services.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield services

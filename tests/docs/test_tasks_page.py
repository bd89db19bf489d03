"""docs/tasks.md is what the catalog says."""

from __future__ import annotations

from tests.docs.tasks_page import PAGE, page


def test_the_page_is_as_the_catalog_has_it() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m tests.docs.tasks_page"

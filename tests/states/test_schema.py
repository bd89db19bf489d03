"""The tables as each database is told to make them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

import slipway.drivers.network.embedded.common.tables  # noqa: F401 - its tables are among them
from slipway.states.schema import metadata

PARTIAL = {
    "instances_name",
    "instances_busy",
    "instances_group",
    "instances_stack",
    "networks_segment",
    "router_ports_gateway",
    "security_groups_default",
    "runs_unfinished",
    "runs_under_way",
    "runs_instance",
    "events_instance",
    "events_run",
}


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://"])
def test_the_same_indexes_are_partial_on_every_database(url: str) -> None:
    told: list[str] = []
    dialect = sa.make_url(url).get_dialect()()
    engine = sa.create_mock_engine(url, lambda ddl, *_args, **_more: told.append(str(ddl.compile(dialect=dialect))))
    metadata.create_all(engine, checkfirst=False)
    indexes = [text for text in told if " INDEX " in text]
    assert {name for name in PARTIAL for text in indexes if f" INDEX {name} " in text and " WHERE " in text} == PARTIAL
    assert len([text for text in indexes if " WHERE " in text]) == len(PARTIAL)

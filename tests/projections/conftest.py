"""Fixtures of the projections' tests: the current-state tables, without a ledger."""

from collections.abc import Iterator

import pytest

from ledger.sqlite.connection import Connection, temporary
from projections.current.resources import Resources
from projections.current.stored_indexes import Indexes
from scim_api.protocol.schema.resource_types import KINDS


@pytest.fixture
def database() -> Iterator[Connection]:
    connection = temporary()
    projection = Resources(KINDS)
    projection.create_tables(connection)
    Indexes().create_tables(connection)
    projection.prepare(connection)
    yield connection
    connection.close()

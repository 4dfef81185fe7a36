"""The store: migrations and tables agree, one writer at a time."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from kitestring.server.context import Context
from kitestring.server.store.tables import metadata


def test_migrations_make_the_tables_that_the_code_names(context: Context) -> None:
    with context.store.engine.connect() as db:
        found = compare_metadata(MigrationContext.configure(db), metadata)
    assert not found

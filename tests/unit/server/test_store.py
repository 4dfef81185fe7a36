"""The store: migrations and tables agree, one writer at a time."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from kitestring.server.context import Context
from kitestring.server.store.tables import metadata, users


def test_migrations_make_the_tables_that_the_code_names(context: Context) -> None:
    with context.store.engine.connect() as db:
        found = compare_metadata(MigrationContext.configure(db), metadata)
    assert not found


def test_an_error_of_the_database_holds_no_values(context: Context) -> None:
    with pytest.raises(DBAPIError) as told, context.store.write() as db:
        db.execute(users.insert().values(id="1", email=None, name="canary"))
    assert "users" in str(told.value)
    assert "canary" not in str(told.value)

"""The store: migrations and tables agree, one writer at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from kitestring.server.context import Context
from kitestring.server.settings import Settings
from kitestring.server.store.tables import metadata, users


def test_migrations_make_the_tables_that_the_code_names(context: Context) -> None:
    with context.store.engine.connect() as db:
        actual_compare_metadata = compare_metadata(MigrationContext.configure(db), metadata)
    assert not actual_compare_metadata


def test_an_error_of_the_database_holds_no_values(context: Context) -> None:
    with pytest.raises(DBAPIError) as caught, context.store.write() as db:
        db.execute(users.insert().values(id="1", email=None, name="canary"))
    assert "users" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_new_store_is_its_owners_alone(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    wide.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        created = Context.of(Settings(home=wide))
        with created.store.read() as db:
            assert db.execute(select(users.c.id)).first() is None
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in wide.glob("kitestring.sqlite*")}
        created.close()
    finally:
        os.umask(before)
    modes.pop("kitestring.sqlite.upgrade.lock")
    assert set(modes) >= {"kitestring.sqlite", "kitestring.sqlite-wal"}
    assert set(modes.values()) == {"0o600"}

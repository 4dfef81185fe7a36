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
        found = compare_metadata(MigrationContext.configure(db), metadata)
    assert not found


def test_an_error_of_the_database_holds_no_values(context: Context) -> None:
    with pytest.raises(DBAPIError) as told, context.store.write() as db:
        db.execute(users.insert().values(id="1", email=None, name="canary"))
    assert "users" in str(told.value)
    assert "canary" not in str(told.value)


def test_a_new_store_is_its_owners_alone(tmp_path: Path) -> None:
    wide = tmp_path / "wide"
    wide.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        made = Context.of(Settings(home=wide))
        with made.store.read() as db:
            assert db.execute(select(users.c.id)).first() is None
        modes = {one.name: oct(one.stat().st_mode & 0o777) for one in wide.glob("kitestring.sqlite*")}
        made.close()
    finally:
        os.umask(before)
    modes.pop("kitestring.sqlite.upgrade.lock")
    assert set(modes) >= {"kitestring.sqlite", "kitestring.sqlite-wal"}
    assert set(modes.values()) == {"0o600"}

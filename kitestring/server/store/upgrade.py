"""Brings a store to the version of this program."""

from __future__ import annotations

from pathlib import Path

from kitestring.server.store.store import Store

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(store: Store) -> None:
    """Run the migrations that are missing."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.engine.connect() as db:
        config.attributes["connection"] = db
        command.upgrade(config, "head")
        db.commit()

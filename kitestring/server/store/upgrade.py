"""Upgrades a store to the version of this program: one process at a time, after a backup of an SQLite file.

A store that a newer program has migrated is refused. A migration that fails leaves the store as it was: each step is a
transaction, and the backup lies beside the store.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitestring import __version__
from kitestring.errors import ConfigError
from kitestring.server.store.backup import backup
from kitestring.server.store.store import Store

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

log = logging.getLogger("kitestring.server")

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK = 7_061_947


def upgrade(store: Store, migrations: Path = MIGRATIONS) -> list[str]:
    """Run the migrations that are missing; their names. `ConfigError` for a store that is newer than this program."""
    with exclusive(store):
        if stored_version(store) == newest_version(migrations):
            return []
        current, newest = versions(store, migrations)
        if current == newest:
            return []
        if current:
            log.info("upgrading the store", extra={"from": current, "to": newest})
            backup(store, f"before-{newest}")
        return migrate(store, migrations, current)


def stored_version(store: Store) -> str:
    """The version of a store, "" for an empty one. Without Alembic: its import is a quarter of a server's start."""
    from sqlalchemy import inspect, text

    with store.read() as db:
        if not inspect(db).has_table("alembic_version"):
            return ""
        return str(db.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def newest_version(migrations: Path = MIGRATIONS) -> str:
    """The version of this program: the number that begins the name of its last migration, "" without any."""
    return max((path.name.partition("_")[0] for path in (migrations / "versions").glob("[0-9]*.py")), default="")


def versions(store: Store, migrations: Path = MIGRATIONS) -> tuple[str, str]:
    """The version of a store ("" for an empty one) and that of this program. `ConfigError` where the first is newer."""
    from alembic.migration import MigrationContext

    scripts = scripts_of(migrations)
    with store.read() as db:
        current = MigrationContext.configure(db).get_current_revision() or ""
    revisions = {script.revision for script in scripts.walk_revisions()}
    if current and current not in revisions:
        raise ConfigError(
            f"the store {store.display_url} has the version {current}, and Kitestring {__version__} knows it up to "
            f"{scripts.get_current_head()}: a newer Kitestring has used it",
            hint="Install that version again, or restore the backup that it made (folder backups beside the store).",
            version=current,
        )
    return current, scripts.get_current_head() or ""


def migrate(store: Store, migrations: Path, current: str) -> list[str]:
    """Run the missing migrations, each in a transaction of its own."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations))
    missing = [script.revision for script in scripts_of(migrations).iterate_revisions("head", current or "base")][::-1]
    done: list[str] = []
    for revision in missing:
        with store.engine.connect().execution_options(kitestring_write=True) as db, unlinked(store, db), db.begin():
            config.attributes["connection"] = db
            try:
                command.upgrade(config, revision)
                if store.sqlite and (lost := db.exec_driver_sql("PRAGMA foreign_key_check").first()):
                    raise ConfigError(f"a row of {lost[0]} would refer to a row of {lost[2]} that does not exist")
            except Exception as error:
                raise ConfigError(
                    f"the store {store.display_url} could not be brought to the version {revision}: {error}",
                    hint="The store is as before this step. Report this. Until then, use the version that you had.",
                    version=revision,
                ) from error
        done.append(revision)
    return done


@contextlib.contextmanager
def unlinked(store: Store, db: Connection) -> Iterator[None]:
    """Foreign keys out of force on SQLite, which replaces a table to change it: dropping the old would cascade."""
    raw: Any = db.connection.dbapi_connection
    if store.sqlite:
        raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        if store.sqlite:
            raw.execute("PRAGMA foreign_keys=ON")


def scripts_of(migrations: Path) -> ScriptDirectory:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrations))
    return ScriptDirectory.from_config(config)


@contextlib.contextmanager
def exclusive(store: Store) -> Iterator[None]:
    """One process at a time: by a lock file beside SQLite, by an advisory lock of PostgreSQL."""
    if store.path is None:
        from sqlalchemy import text

        with store.engine.connect() as db:
            db.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            db.commit()
            try:
                yield
            finally:
                db.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
                db.commit()
        return
    try:
        store.path.parent.mkdir(parents=True, exist_ok=True)
        file: Any = store.path.with_name(f"{store.path.name}.upgrade.lock").open("a+")
    except OSError as error:
        raise ConfigError(
            f"the data folder {store.path.parent} cannot be written: {error.strerror or error}",
            hint="Give this user the right to write there, or set KITESTRING_HOME.",
        ) from error
    with file:
        if os.name != "nt":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""Backup of an SQLite store while a server runs, and restore while none does.

PostgreSQL has tools of its own for both (pg_dump, pg_restore).
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from kitestring.errors import ConfigError
from kitestring.server.store.store import Store

log = logging.getLogger("kitestring.server")

BACKUP_LIMIT = 5
IN_USE_S = 2.0


def backup(store: Store, name: str = "") -> Path | None:
    """A whole copy in the folder `backups` beside the store; None for PostgreSQL.

    The oldest of more than five are removed.
    """
    if store.path is None:
        return None
    folder = store.path.parent / "backups"
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = copy_store(store.path, folder / f"{store.path.stem}-{moment}{f'-{name}' if name else ''}.sqlite")
    for old in sorted(folder.glob(f"{store.path.stem}-*.sqlite"))[:-BACKUP_LIMIT]:
        old.unlink(missing_ok=True)
    return path


def copy_store(store: Path, path: Path) -> Path:
    """A whole copy at `path`, its owner's alone, taken while others may write. `ConfigError` where it cannot be."""
    draft = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(store)) as source, contextlib.closing(sqlite3.connect(draft)) as to:
            source.backup(to)
            to.execute("PRAGMA journal_mode=DELETE")  # one file, without a journal beside it
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except (OSError, sqlite3.Error) as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(
            f"the store cannot be backed up to {path}: {error}",
            hint="Make room, or choose a folder that can be written; nothing was changed.",
        ) from error
    log.info("the store was backed up", extra={"path": str(path)})
    return path


def version_of(path: Path) -> str:
    """The version of the store in a copy. `ConfigError` for a file that is not a store, or is damaged."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT version_num FROM alembic_version").fetchone()
            damage = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise ConfigError(
            f"{path} is not a copy of a Kitestring store: {error}", hint="Give a file that `store backup` has written."
        ) from error
    if damage != "ok" or row is None:
        raise ConfigError(f"the copy {path} is damaged: {damage}", hint="Take an older one.")
    return str(row[0])


def restore(copy: Path, store: Store) -> Path | None:
    """Replace a store by a copy; returns the path of the backup of the old one.

    `ConfigError` while any process has the store open: it is as it was then.
    """
    assert store.path is not None
    store.close()
    before = None
    try:
        if store.path.exists():
            # SQLite leaves its journal only for a connection that is alone: this tells whether another process uses it.
            with contextlib.closing(sqlite3.connect(store.path, timeout=IN_USE_S)) as db:
                db.execute("PRAGMA journal_mode=DELETE")
            before = backup(store, "before-restore")
    except sqlite3.OperationalError as error:
        raise ConfigError(
            f"the store {store.path} is in use: {error}", hint="Stop every process of the server, then restore again."
        ) from error
    copy_store(copy, store.path)
    return before

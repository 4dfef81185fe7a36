"""Rotation of the encryption key: seals every secret in the store with the current key.

1. Put the new key in front: KITESTRING_SECRET_KEY=NEW,OLD on every process, and restart them one after another.
2. Rotate.
3. Take the old key away.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table, select

from kitestring.errors import ConfigError
from kitestring.server.secrets.secret_box import KEY_FILE, SecretBox, new_key
from kitestring.server.store import Store
from kitestring.server.store.tables import builder_projects, destinations, oauth_credentials, sources, workspaces

SEALED = (sources, destinations, oauth_credentials, workspaces, builder_projects)


def rotate(store: Store, secret_box: SecretBox) -> dict[str, int]:
    """Seal every secret with the current key; how many rows changed, by table. Can be repeated.

    One transaction per row: a worker that keeps a rotated token meanwhile is not overtaken.
    """
    return {table.name: sum(_reseal(store, secret_box, table, key) for key in _keys(store, table)) for table in SEALED}


def count_unreadable(store: Store, secret_box: SecretBox) -> int:
    """How many rows have a secret that no key opens."""
    unreadable = 0
    for table in SEALED:
        with store.read() as db:
            for row in db.execute(select(table)):
                try:
                    secret_box.open_config(row._mapping[column_of(table)], owner_of(table, row))
                except ConfigError:
                    unreadable += 1
    return unreadable


def column_of(table: Table) -> Column[Any]:
    """The column of a table that holds secrets."""
    return table.c.notifications if table is workspaces else table.c.config


def owner_of(table: Table, row: object) -> str:
    """The owner that the secrets of a row are sealed for: its id, or for an OAuth client its scope, kind and name."""
    if table is oauth_credentials:
        return f"{row.scope_id} {row.kind} {row.name}"  # type: ignore[attr-defined]
    return str(row.id)  # type: ignore[attr-defined]


def new_key_file(home: Path) -> None:
    """Put a new key in front of those in `secret.key`. `ConfigError` where there is no such file."""
    path = home / KEY_FILE
    if not path.is_file():
        raise ConfigError(
            f"there is no {path}: the key comes from KITESTRING_SECRET_KEY",
            hint="Put the new key in front of the old one there, separated by a comma.",
        )
    draft = path.with_name(f"{KEY_FILE}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{new_key()},{path.read_text('ascii').strip()}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _keys(store: Store, table: Table) -> list[tuple[object, ...]]:
    with store.read() as db:
        return [tuple(row) for row in db.execute(select(*table.primary_key.columns))]


def _reseal(store: Store, secret_box: SecretBox, table: Table, key: tuple[object, ...]) -> bool:
    mine = [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
    with store.write() as db:
        row = db.execute(select(table).where(*mine).with_for_update()).one_or_none()
        if row is None:
            return False
        column = column_of(table)
        old = row._mapping[column]
        new = secret_box.rotate(old, owner_of(table, row))
        if new == old:
            return False
        db.execute(table.update().where(*mine).values({column: new}))
        return True

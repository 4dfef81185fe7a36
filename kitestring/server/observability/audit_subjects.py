"""The names of what entries of the audit log are about, for sentences that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select

from kitestring.server.store import tables

NAMED: Mapping[str, tuple[Table, str]] = {
    "organization": (tables.organizations, "name"),
    "workspace": (tables.workspaces, "name"),
    "user": (tables.users, "email"),
    "application": (tables.applications, "name"),
    "definition": (tables.definitions, "name"),
    "builder_project": (tables.builder_projects, "name"),
    "source": (tables.sources, "name"),
    "destination": (tables.destinations, "name"),
    "connection": (tables.connections, "name"),
    "tag": (tables.tags, "name"),
}
LINKED = ("source", "destination", "connection", "job", "builder_project")
"""Kinds that have a page of their own."""
OF_CONNECTION = ("connection_tag", "state", "schema_change")
"""Kinds whose entries have the id of a connection."""


def subjects(db: Connection, entries: Sequence[Any]) -> list[dict[str, Any]]:
    """For each entry, the name of what it is about, a detail (a tag, a stream, a role), and the page that shows it.

    One query for each kind. What is gone has the name that its entry kept, and no page.
    """
    keys = [key_of(entry) for entry in entries]
    jobs = [int(entry.resource_id) for entry in entries if entry.kind == "job" and entry.resource_id.isdigit()]
    left = set(db.execute(select(tables.jobs.c.id).where(tables.jobs.c.id.in_(jobs))).scalars()) if jobs else set()
    tag_ids = [str(kept(entry, "tag_id")) for entry in entries if entry.kind == "connection_tag"]
    names = names_of(db, [*keys, *(("tag", tag_id) for tag_id in tag_ids)])
    described = []
    for entry, key in zip(entries, keys, strict=True):
        name, removed = names.get(key, ("", True))
        link = (entry.kind, entry.resource_id) if entry.kind == "job" else key
        if link[0] not in LINKED or (removed if entry.kind != "job" else int(entry.resource_id) not in left):
            link = (None, None)
        described.append(
            {
                "subject": name or str(kept(entry, "name") or kept(entry, "email") or ""),
                "detail": detail_of(entry, names),
                "linkKind": link[0],
                "linkId": link[1],
            }
        )
    return described


def key_of(entry: Any) -> tuple[str, str]:
    """Kind and id of what has the name: a job has that of its connection, a permission that of its user."""
    if entry.kind == "job":
        return "connection", str(kept(entry, "connection_id"))
    if entry.kind == "permission":
        return "user", str(kept(entry, "user_id"))
    return ("connection" if entry.kind in OF_CONNECTION else entry.kind), entry.resource_id


def kept(entry: Any, field: str) -> Any:
    """A field that an entry kept: the value after its change, else the one before."""
    before, after = (entry.changes or {}).get(field) or (None, None)
    return before if after is None else after


def detail_of(entry: Any, names: Mapping[tuple[str, str], tuple[str, bool]]) -> str:
    if entry.kind == "connection_tag":
        return names.get(("tag", str(kept(entry, "tag_id"))), ("", True))[0]
    field = {"state": "stream", "permission": "permission_type", "job": "kind", "schema_change": "schema"}
    return str(kept(entry, field.get(entry.kind, "")) or "")


def names_of(db: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, bool]]:
    """The names by kind and id, and whether it was deleted."""
    names: dict[tuple[str, str], tuple[str, bool]] = {}
    requested = set(keys)
    for kind, (table, column) in NAMED.items():
        ids = [resource_id for other, resource_id in requested if other == kind]
        if not ids:
            continue
        columns = [table.c.id, table.c[column].label("name")]
        if "deleted_at_ms" in table.c:
            columns.append(table.c.deleted_at_ms)
        for row in db.execute(select(*columns).where(table.c.id.in_(ids))):
            names[kind, row.id] = (row.name, getattr(row, "deleted_at_ms", None) is not None)
    return names

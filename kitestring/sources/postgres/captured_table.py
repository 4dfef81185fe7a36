"""Tables as change data capture needs them: what names a row in the log, and what the log leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kitestring.types import Path
from kitestring.vendors.postgres import rows
from kitestring.vendors.sql_quoting import literal, quoted

# `key`: the columns of the replica identity's index, or of the primary key where the whole old row is in the log.
# `leaves`: the tables with the rows of a partitioned table, the replica identity and the name of each.
TABLES = """
SELECT n.nspname::text AS namespace, c.relname::text AS name, c.oid::int8 AS oid, c.relkind::text AS kind,
       c.relpersistence::text AS persistence, c.relreplident::text AS identity,
       row_security_active(c.oid) AS has_policies,
       EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid) AND c.relkind = 'r' AS has_children,
       coalesce((
           SELECT json_agg(a.attname ORDER BY k.place) FROM pg_index i
           CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
           WHERE i.indrelid = c.oid AND k.place <= i.indnkeyatts
           AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END
       ), '[]')::text AS key,
       coalesce((
           SELECT json_object_agg(l.oid::int8, json_build_array(CASE
               WHEN l.relreplident = 'd' AND NOT EXISTS (
                   SELECT FROM pg_index i WHERE i.indrelid = l.oid AND i.indisprimary
               ) THEN 'n' ELSE l.relreplident::text END, format('%I.%I', m.nspname, l.relname)))
           FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid
           JOIN pg_namespace m ON m.oid = l.relnamespace WHERE t.isleaf AND c.relkind = 'p'
       ), '{{}}')::text AS leaves,
       (
           SELECT json_object_agg(a.attname, json_build_object(
               'number', a.attnum, 'oid', a.atttypid::int8, 'type', format_type(a.atttypid, a.atttypmod),
               'filled', a.attgenerated <> '' OR a.atthasdef OR a.atthasmissing OR a.attidentity <> '',
               'version', a.xmin::text))
           FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       )::text AS columns,
       coalesce(
           (SELECT sum(pg_relation_filenode(t.relid)::int8) FROM pg_partition_tree(c.oid) t),
           pg_relation_filenode(c.oid)::int8
       )::int8 AS files,
       coalesce((
           SELECT json_agg(entry ORDER BY entry) FROM (
               SELECT oid::int8 AS entry FROM pg_publication WHERE pubname = {publication}
             UNION ALL
               SELECT r.oid::int8 FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
               WHERE p.pubname = {publication}
               AND (r.prrelid = c.oid OR r.prrelid IN (SELECT relid FROM pg_partition_tree(c.oid)))
             {schemas}
           ) AS entries
       ), '[]')::text AS published,
       EXISTS (
           SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
           WHERE p.pubname = {publication}
           AND (r.prrelid = c.oid OR r.prrelid IN (SELECT relid FROM pg_partition_tree(c.oid)))
       ) AS is_named,
       coalesce((SELECT xmin::text FROM pg_publication WHERE pubname = {publication}), '') AS publication_version
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {where}
"""

# The schemas of a publication (PostgreSQL 15 and later): one that was taken out and put in again has another oid.
SCHEMAS = """
             UNION ALL
               SELECT s.oid::int8 FROM pg_publication_namespace s JOIN pg_publication p ON p.oid = s.pnpubid
               WHERE p.pubname = {publication} AND s.pnnspid IN (
                   SELECT c.relnamespace UNION
                   SELECT l.relnamespace FROM pg_partition_tree(c.oid) t JOIN pg_class l ON l.oid = t.relid
               )
"""


@dataclass(frozen=True, slots=True)
class ColumnDetail:
    """What change data capture needs of a column. `oid`: of its type in the log; `type`: its declaration. `filled`:
    rows may have values in it that were never written (a default, a generated column). `version`: another one after
    each change of its declaration."""

    number: int
    oid: int
    type: str
    filled: bool
    version: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class CapturedTable:
    """A table in the catalog. `identity` is its replica identity (d, i, f or n), `key` the columns that name a row."""

    namespace: str
    name: str
    oid: int
    kind: str
    persistence: str
    identity: str
    has_policies: bool
    has_children: bool
    key: tuple[str, ...]
    leaves: Mapping[int, tuple[str, str]]
    """Replica identity and name by oid."""
    columns: Mapping[str, ColumnDetail]
    files: int
    """Another number after all rows were rewritten (an ALTER TABLE … TYPE … USING, a VACUUM FULL, a TRUNCATE)."""
    published: tuple[int, ...]
    """What puts it into the publication, by oid: others once it was taken out and put in again."""
    is_named: bool
    """The publication names it. (Else it is in it by its schema, or with all tables, and can be set to unlogged.)"""
    publication_version: str
    """Another one after an ALTER PUBLICATION … SET (…)."""

    @property
    def stream(self) -> str:
        return f"{self.namespace}.{self.name}"

    @property
    def sql(self) -> str:
        return f"{quoted(self.namespace)}.{quoted(self.name)}"

    @property
    def primary_key(self) -> tuple[Path, ...]:
        return tuple((name,) for name in self.key)

    @property
    def oids(self) -> tuple[int, ...]:
        """The tables under which its changes are in the log."""
        return self.oid, *self.leaves

    @property
    def obstacle(self) -> str:
        """Why its changes cannot be captured, with the SQL that changes that; empty where they can."""
        if self.persistence != "p":
            return (
                f"the table {self.stream} is unlogged: nothing of it is in the log. ALTER TABLE {self.sql} SET LOGGED;"
            )
        if self.has_children:
            return f"the table {self.stream} has tables that inherit from it: choose these as streams"
        if self.has_policies:
            return (
                f"row policies hide rows of {self.stream} from the user, and the log has all of them. Use a user with "
                "the attribute BYPASSRLS, or the owner of the table"
            )
        identity = self.identity if self.identity != "d" or self.key else "n"
        identities = {of_leaf for of_leaf, _ in self.leaves.values()} or {identity}
        if "n" in identities:
            return (
                f"the table {self.stream} has no replica identity: as part of a publication it would refuse UPDATE and "
                f"DELETE. ALTER TABLE {self.sql} ADD PRIMARY KEY (…); or, where it has none, "
                f"ALTER TABLE {self.sql} REPLICA IDENTITY FULL;"
            )
        return ""

    def names_rows_by(self, key: Sequence[str]) -> bool:
        """True where the log has the values of these columns for every row that is changed or deleted."""
        return self.identity == "f" or (bool(key) and set(key) <= set(self.key))

    def note(self) -> dict[str, Any]:
        """What the state keeps of it, so that the next sync knows what was altered."""
        leaves = {"leaves": sorted(name for _, name in self.leaves.values())} if self.kind == "p" else {}
        return {
            "oid": self.oid,
            **leaves,
            "columns": {name: [column.number, column.type, column.version] for name, column in self.columns.items()},
            "files": self.files,
            "explained_files": self.files,
            "published": [*self.published],
            "publication": self.publication_version,
        }

    def is_published_since(self, note: Mapping[str, Any]) -> bool:
        """False where it was taken out of the publication since the note: changes were made that are in no log."""
        return {*note.get("published", ())} <= {*self.published}

    def may_lack_changes(self, note: Mapping[str, Any]) -> bool:
        """True where the publication was altered since the note: it may have left out a kind of changes meanwhile."""
        return bool(note.get("publication", self.publication_version) != self.publication_version)

    def may_lack_a_rewrite(self, note: Mapping[str, Any]) -> bool:
        """True where all its rows were rewritten since the note, and nothing shows that they were the same: it may
        have been unlogged for a while. (A TRUNCATE that the log has is explained, see `emptied_note`.)"""
        if self.is_named or note.get("leaves") != self.note().get("leaves") or self.altered(note):
            return False
        return bool(note.get("explained_files", self.files) != self.files)

    def emptied_note(self, now: CapturedTable) -> dict[str, Any]:
        """Its note after a TRUNCATE in the log, which gave it the files that it has now."""
        return {**self.note(), "explained_files": now.files}

    def added_leaves(self, note: Mapping[str, Any]) -> list[str]:
        """The partitions that it did not have at the time of the note. Rows that one brought with it are in no log."""
        if self.kind != "p" or "leaves" not in note:
            return []
        return sorted({name for _, name in self.leaves.values()} - {*note["leaves"]})

    def departed_leaves(self, note: Mapping[str, Any]) -> list[str]:
        """The partitions that it no longer has. The log does not say that their rows are gone."""
        return sorted({*note.get("leaves", ())} - {name for _, name in self.leaves.values()}) if self.leaves else []

    def altered(self, note: Mapping[str, Any]) -> str:
        """What happened to it since the note, if rows now have other values and none is in the log; else empty."""
        before: Mapping[str, Any] = note.get("columns", {})
        highest = max((number for number, *_ in before.values()), default=0)
        is_rewritten = note.get("files", self.files) != self.files
        for name, column in self.columns.items():
            if name not in before:
                if column.number <= highest:
                    return f"its column {name} was renamed"
                if column.filled:
                    return f"its column {name} is new and came with values"
                continue
            number, type_, *version = before[name]
            if number != column.number:
                return f"its column {name} is another one than before with that name"
            if type_ != column.type:
                return f"its column {name} was {type_} and is now {column.type}"
            if is_rewritten and version and version[0] != column.version:
                return f"its column {name} was altered and all rows were rewritten"
        return ""


def captured_tables(connection: Any, where: str, publication: str = "") -> dict[str, CapturedTable]:
    """The tables by stream key, as they are in this publication."""
    tables, name = {}, literal(publication)
    (server,) = rows(connection, "SELECT to_regclass('pg_catalog.pg_publication_namespace') IS NOT NULL AS has_schemas")
    schemas = SCHEMAS.format(publication=name) if server["has_schemas"] else ""
    for row in rows(connection, TABLES.format(where=where, publication=name, schemas=schemas)):
        columns = {name: ColumnDetail(**detail) for name, detail in json.loads(row.pop("columns") or "{}").items()}
        leaves = {int(oid): (identity, name) for oid, (identity, name) in json.loads(row.pop("leaves")).items()}
        key, published = tuple(json.loads(row["key"])), tuple(json.loads(row["published"]))
        table = CapturedTable(**{**row, "key": key, "published": published, "leaves": leaves, "columns": columns})
        tables[table.stream] = table
    return tables


def named(tables: Iterable[tuple[str, str]]) -> str:
    """The condition for these tables, by schema and name."""
    listed = ", ".join(f"({literal(namespace)}, {literal(name)})" for namespace, name in tables)
    return f"(n.nspname, c.relname) IN ({listed})"

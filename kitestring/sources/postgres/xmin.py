"""Incremental reads by `xmin`: the rows whose version was written by a transaction since the last sync.

PostgreSQL stores in every row version the id of the transaction that wrote it. The state is the oldest transaction that
was still open at the snapshot of the last sync: everything older was finished, and so was read. A row comes again if
its transaction was open then or began later. The form of the state is that of Airbyte's source-postgres.

Ids of 32 bits wrap around. `age(xmin)` counts transactions back from now, up to 2^31: rows older than that have a
negative age and are old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kitestring.batch import Batch
from kitestring.errors import ConfigError
from kitestring.source import Item
from kitestring.sources.postgres.catalog import page_ranges, table_of
from kitestring.sources.postgres.result import tables_of, with_decimals
from kitestring.types import Checkpoint, State, Stream, SyncMode
from kitestring.vendors.postgres import rows
from kitestring.vendors.sql_quoting import literal

WRAP = 2**32
FURTHEST = 2**31 - 2**20
"""The largest age that is compared; a state that is older leads to a read of the whole table."""

# `files` changes when a table is rewritten (VACUUM FULL, CLUSTER): then a row may be in another page than before.
NOW = """
SELECT pg_snapshot_xmin(s)::text::int8 AS oldest, pg_snapshot_xmax(s)::text::int8 AS next,
       (SELECT md5(string_agg(c.oid::text || ':' || c.relfilenode::text, ' ' ORDER BY c.oid)) FROM pg_class c
        WHERE c.oid = {0}::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree({0}::regclass))) AS files
FROM pg_current_snapshot() AS s
"""

TABLES = """
SELECT n.nspname::text || '.' || c.relname::text AS key FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT') AND {where} AND NOT EXISTS (
    SELECT FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid WHERE p.isleaf AND l.relkind = 'f')
"""


@dataclass(frozen=True, slots=True)
class Position:
    """What the state of a stream says. `since`: the oldest transaction that was open when the last sync began to read,
    None before the first one. `begun` is the same of a read that was interrupted behind the range of pages `after`."""

    since: int | None = None
    begun: int | None = None
    after: str = ""
    files: str = ""

    @classmethod
    def of(cls, state: State, stream: str) -> Position:
        """`ConfigError` for a state of another replication method."""
        if not state:
            return cls()
        scan = state.get("scan") or {}
        since = state.get("xmin_raw_value")
        if state.get("state_type") != "xmin" or not isinstance(since, int | None) or not isinstance(scan, Mapping):
            raise ConfigError(
                f"the state of {stream} is not one of a read by xmin: it was read by a cursor or from the log before",
                hint="Refresh the stream, or set `replication_method` back.",
            )
        return cls(since, scan.get("begun"), str(scan.get("after", "")), str(scan.get("files", "")))

    def state(self) -> State:
        xid = {} if self.since is None else {"num_wraparound": self.since // WRAP, "xmin_xid_value": self.since % WRAP}
        scan = {"begun": self.begun, "after": self.after, "files": self.files}
        return {
            "state_type": "xmin",
            "version": 2,
            **xid,
            "xmin_raw_value": self.since,
            **({} if self.begun is None else {"scan": scan}),
        }


def readable_tables(connection: Any, where: str) -> set[str]:
    """The keys of the streams that can be read by xmin: tables, not views, whose rows all are on this server."""
    return {row["key"] for row in rows(connection, TABLES.format(where=where))}


def incremental_stream(stream: Stream, readable: bool) -> Stream:
    """A stream as it can be read by xmin: without a cursor that a user chooses."""
    modes = (SyncMode.full_refresh, SyncMode.incremental) if readable else (SyncMode.full_refresh,)
    return replace(stream, sync_modes=modes, source_defined_cursor=readable)


def read_by_xmin(
    connection: Any, stream: Stream, columns: str, decimals: Mapping[str, Any], state: State, batch_bytes: int
) -> Iterator[Item]:
    """The rows that were written since the state, range by range of the table's pages, with a checkpoint behind each.

    Where every version is kept, each comes once: those of transactions that are newer than the oldest open one wait for
    the next sync. Where the last one is kept, they come now and once more.
    """
    position = Position.of(state, stream.key)
    (now,) = rows(connection, NOW.format(literal(table_of(stream))))
    since, following, oldest = position.since, now["next"], now["oldest"]
    if max(since or 0, position.begun or 0) > following:
        raise ConfigError(
            f"the state of {stream.key} is at transaction {max(since or 0, position.begun or 0)}, and the server has "
            f"reached {following} only: the database was restored, or is another one",
            hint="Refresh the stream.",
        )
    ranges = list(page_ranges(connection, table_of(stream))) or [("", f"{table_of(stream)} AS t")]
    begun, start = oldest, 0
    keys = [key for key, _ in ranges]
    if position.begun is not None and position.files == now["files"] and position.after in keys:
        begun, start = position.begun, keys.index(position.after) + 1
    written = conditions(since, begun, following, stream.write.appends)
    for number, (key, place) in enumerate(ranges[start:], start):
        query = f"SELECT {columns} FROM {place}{' AND ' if ' WHERE ' in place else ' WHERE '}{written}"  # noqa: S608 - quoted
        for read in tables_of(connection, query, batch_bytes):
            table, rejects = with_decimals(read, decimals)
            yield from rejects
            if table.num_rows:
                yield Batch(stream.key, table=table)
        last = number == len(ranges) - 1
        reached = Position(begun) if last else Position(since, begun, key, now["files"])
        yield Checkpoint(reached.state())
    if start == len(ranges):  # it was interrupted behind the last range
        yield Checkpoint(Position(begun).state())


def conditions(since: int | None, begun: int, following: int, appends: bool) -> str:
    """The condition for the rows to read."""
    parts = []
    if since is not None and following - since < FURTHEST:
        parts.append(f"age(t.xmin) BETWEEN 0 AND age({xid(since)})")
    if appends and following - begun < FURTHEST:
        parts.append(f"NOT age(t.xmin) BETWEEN 0 AND age({xid(begun)})")
    return " AND ".join(parts) or "true"


def xid(number: int) -> str:
    return f"'{number % WRAP}'::xid"

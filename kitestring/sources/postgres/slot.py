"""The replication slot and the publication of a connection: what they are, whether they can be used, how they are made.

Nothing of a user's table is altered, and no table enters a publication in which its UPDATE and DELETE would fail.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kitestring.errors import ConfigError, KitestringError, TransientError
from kitestring.replication_slot import SlotReport
from kitestring.sources.postgres.captured_table import CapturedTable
from kitestring.vendors.postgres import Place, PostgresConfig, rows, run
from kitestring.vendors.postgres.replication import lsn_number, lsn_text
from kitestring.vendors.sql_quoting import literal, quoted

log = logging.getLogger("kitestring.postgres")

LOCK_TIMEOUT_MS = 10_000
HEARTBEAT = "kitestring"
"""The prefix of our messages in the log."""

SERVER = """
SELECT pg_is_in_recovery() AS standby, current_setting('wal_level') AS wal_level,
       current_setting('max_slot_wal_keep_size') AS keep_size,
       current_setting('max_replication_slots')::int8 AS slots,
       (SELECT count(*) FROM pg_replication_slots) AS used_slots,
       (SELECT rolreplication OR rolsuper OR EXISTS (
            SELECT FROM pg_roles m WHERE m.rolname IN ('rds_replication', 'rds_superuser')
            AND pg_has_role(r.oid, m.oid, 'member'))
        FROM pg_roles r WHERE rolname = current_user) AS replicates
"""

SLOT = """
SELECT s.plugin::text AS plugin, s.slot_type::text AS kind, s.database::text AS database,
       s.database = current_database() AS same_database, s.wal_status::text AS status,
       s.confirmed_flush_lsn::text AS confirmed,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::int8 AS retained, s.safe_wal_size::int8 AS safe
FROM pg_replication_slots s WHERE s.slot_name = {0}
"""

REPORT = """
SELECT s.wal_status::text AS status, s.active, s.active_pid::int8 AS pid,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8 AS end_lsn,
       pg_wal_lsn_diff(s.confirmed_flush_lsn, '0/0')::int8 AS confirmed,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::int8 AS retained, s.safe_wal_size::int8 AS safe
FROM (SELECT 1) AS present LEFT JOIN pg_replication_slots s ON s.slot_name = {0}
"""

SYSTEM = "SELECT system_identifier::text AS system FROM pg_control_system()"

OTHER_SLOTS = """
SELECT count(*) AS n FROM pg_replication_slots WHERE database = current_database() AND slot_name <> {0}
"""

CREATED_BY = "created by Kitestring"
"""The comment on a publication that Kitestring created: only such a publication is dropped."""

OWN_PUBLICATION = "SELECT obj_description(oid, 'pg_publication') AS comment FROM pg_publication WHERE pubname = {0}"

PUBLICATION = """
SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AS whole, pubviaroot AS via_root
FROM pg_publication WHERE pubname = {0}
"""

PUBLISHED = """
SELECT c.oid::int8 AS oid FROM pg_publication_tables p
JOIN pg_namespace n ON n.nspname = p.schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
WHERE p.pubname = {0}
"""

MAY_CREATE = "SELECT has_database_privilege(current_database(), 'CREATE') AS may"

ROW_FILTERS = """
SELECT r.prrelid::int8 AS oid FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
WHERE p.pubname = {0} AND r.prqual IS NOT NULL
"""

BLOCKERS = """
SELECT pid::int8 AS pid, usename::text AS username, xact_start::text AS since FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """A slot as the server shows it. `confirmed`: it has every transaction that commits there or later. `retained`:
    bytes of the log that the server keeps for it. `safe`: bytes that may still be written before it is lost; None where
    there is no limit."""

    name: str
    confirmed: int
    is_lost: bool
    retained: int
    safe: int | None
    is_endangered: bool
    """The server has begun to remove the log that it needs."""


class ReplicationObjects:
    """The slot and the publication with these names, seen through a connection in autocommit mode."""

    def __init__(self, connection: Any, config: PostgresConfig, slot: str, publication: str) -> None:
        self._connection = connection
        self._place = config.place
        self._translated = config.translated
        self.slot = slot
        self.publication = publication

    # -- the server ----------------------------------------------------------------------------------------------------

    def check_server(self) -> None:
        """`ConfigError` where the server does not send its log to this user."""
        (server,) = rows(self._connection, SERVER)
        place = self._place
        if server["standby"]:
            raise ConfigError(
                f"{place} is a standby: it takes no slot that follows the primary's tables",
                hint="Set `host` to the primary server.",
            )
        if server["wal_level"] != "logical":
            raise ConfigError(
                f"{place} writes its log with wal_level {server['wal_level']}, change data capture needs logical",
                hint="ALTER SYSTEM SET wal_level = logical; and restart it. On Amazon RDS: rds.logical_replication = 1",
            )
        if not server["replicates"]:
            raise ConfigError(
                f"{place}: the user {place.user} has no right to replicate",
                hint=f"ALTER USER {place.user} WITH REPLICATION; on Amazon RDS: GRANT rds_replication TO {place.user};",
            )
        if self.status() is None and server["used_slots"] >= server["slots"]:
            raise ConfigError(
                f"{place} has {server['slots']} replication slots, all are in use, and none is called {self.slot}",
                hint="Drop a slot that nobody reads (SELECT * FROM pg_replication_slots), or raise "
                "max_replication_slots.",
            )

    def warn_of_unlimited_log(self) -> None:
        (server,) = rows(self._connection, SERVER)
        if server["keep_size"] == "-1":
            log.warning(
                "%s keeps the log for a slot without limit: while nobody syncs, its disk may fill up. Set "
                "max_slot_wal_keep_size to what the disk has room for",
                self._place,
            )

    # -- the slot ------------------------------------------------------------------------------------------------------

    def status(self) -> SlotStatus | None:
        """The slot; None where there is none. `ConfigError` for a slot of another kind or database."""
        slots = rows(self._connection, SLOT.format(literal(self.slot)))
        if not slots:
            return None
        (slot,) = slots
        if slot["kind"] != "logical" or slot["plugin"] != "pgoutput" or not slot["same_database"]:
            what = f"{slot['kind']}, plugin {slot['plugin']}, database {slot['database']}"
            raise ConfigError(
                f"{self._place} has a slot {self.slot} of another kind ({what}): it has to be logical, of pgoutput",
                hint="Set `replication_slot` to another name.",
            )
        is_lost = slot["status"] == "lost" or slot["confirmed"] is None
        return SlotStatus(
            self.slot,
            lsn_number(slot["confirmed"]) if slot["confirmed"] else 0,
            is_lost,
            slot["retained"] or 0,
            slot["safe"],
            slot["status"] == "unreserved",
        )

    def drop_slot(self) -> None:
        run(self._connection, f"SELECT pg_drop_replication_slot({literal(self.slot)})")

    def report(self, created: bool) -> SlotReport:
        """The slot for those who watch it. `created`: the caller has created it."""
        (slot,) = rows(self._connection, REPORT.format(literal(self.slot)))
        return SlotReport(
            server=self._system(),
            place=str(self._place),
            slot=self.slot,
            publication=self.publication,
            wal_status=slot["status"] or ("missing" if slot["active"] is None else "lost"),
            active=bool(slot["active"]),
            end=slot["end_lsn"],
            confirmed=slot["confirmed"],
            retained_bytes=slot["retained"] or 0,
            safe_bytes=slot["safe"],
            created=created,
        )

    def _system(self) -> str:
        import psycopg

        try:
            (row,) = rows(self._connection, SYSTEM)
        except psycopg.Error:  # a provider may have revoked the right
            return ""
        return str(row["system"])

    def drop_all(self, wait_s: float) -> list[str]:
        """Drop the slot once no process reads it, and our own publication if no other slot of the database can use it.

        Returns what was dropped. `TransientError` if the slot is still read after `wait_s`.
        """
        import psycopg

        dropped, deadline = [], time.monotonic() + wait_s
        while True:
            (slot,) = rows(self._connection, REPORT.format(literal(self.slot)))
            if slot["active"] is None:
                break
            try:
                if not slot["active"]:
                    self.drop_slot()
                    dropped.append(f"the slot {self.slot}")
                    break
            except psycopg.Error as error:
                if error.sqlstate != "55006":  # a process has begun to read it meanwhile
                    raise
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{self._place}: the process {slot['pid']} still reads the slot {self.slot}",
                    hint=f"End it, then drop the slot: SELECT pg_terminate_backend({slot['pid']}); {self.drop_sql}",
                )
            time.sleep(0.25)
        comments = rows(self._connection, OWN_PUBLICATION.format(literal(self.publication)))
        (others,) = rows(self._connection, OTHER_SLOTS.format(literal(self.slot)))
        if comments and comments[0]["comment"] == CREATED_BY and not others["n"]:
            run(self._connection, f"DROP PUBLICATION {quoted(self.publication)}")
            dropped.append(f"the publication {self.publication}")
        return dropped

    @property
    def drop_sql(self) -> str:
        return f"SELECT pg_drop_replication_slot({literal(self.slot)});"

    def blocker(self) -> str:
        """The oldest transaction that a new slot waits for, in words."""
        blockers = rows(self._connection, BLOCKERS)
        if not blockers:
            return "a transaction that is open"
        (first,) = blockers
        return (
            f"a transaction of {first['username']} (process {first['pid']}) that has been open since {first['since']}"
        )

    # -- the publication -----------------------------------------------------------------------------------------------

    def publish(self, tables: Sequence[CapturedTable], create: bool = True) -> dict[str, KitestringError | None]:
        """The publication has these tables when this returns, but for those with an error, by stream key.

        `ConfigError`, with the SQL for the owner, where the user may not create it, or it leaves out changes of all
        tables. `create=False` changes nothing, and says what could not be done."""
        errors: dict[str, KitestringError | None] = {}
        name = literal(self.publication)
        publications = rows(self._connection, PUBLICATION.format(name))
        listed = ", ".join(table.sql for table in tables)
        if not publications:
            statement = f"CREATE PUBLICATION {quoted(self.publication)} FOR TABLE {listed}"
            if create:
                self._change(statement)
                run(self._connection, f"COMMENT ON PUBLICATION {quoted(self.publication)} IS {literal(CREATED_BY)}")
            elif not rows(self._connection, MAY_CREATE)[0]["may"]:
                raise self._denied(statement)
            return errors
        (publication,) = publications
        if not publication["whole"]:
            raise ConfigError(
                f"{self._place}: the publication {self.publication} leaves out some kinds of changes",
                hint=f"ALTER PUBLICATION {quoted(self.publication)} "
                "SET (publish = 'insert, update, delete, truncate');",
            )
        if publication["via_root"] and any(table.leaves for table in tables):
            raise ConfigError(
                f"{self._place}: the publication {self.publication} hides the partitions of its tables, and so a "
                "TRUNCATE of one partition",
                hint=f"ALTER PUBLICATION {quoted(self.publication)} SET (publish_via_partition_root = false);",
            )
        filtered = self._row_filters()
        for table in tables:
            if filtered & set(table.oids):
                errors[table.stream] = ConfigError(
                    f"{self._place}: the publication {self.publication} has only some rows of {table.stream} (WHERE), "
                    "and the table is loaded as a whole",
                    hint="Publish the table without WHERE, and filter its rows with a mapper.",
                )
        for table in self.unpublished(tables) if create else ():
            try:
                with self._translated():
                    self._change(f"ALTER PUBLICATION {quoted(self.publication)} ADD TABLE {table.sql}")
            except TransientError:
                raise
            except KitestringError as error:
                errors[table.stream] = error
            else:
                log.info("the table %s was added to the publication %s", table.stream, self.publication)
        return errors

    def unpublished(self, tables: Sequence[CapturedTable]) -> list[CapturedTable]:
        """Those that are not in the publication, or not with all their partitions."""
        published = {row["oid"] for row in rows(self._connection, PUBLISHED.format(literal(self.publication)))}
        return [t for t in tables if t.oid not in published and not (t.leaves and published.issuperset(t.leaves))]

    def _row_filters(self) -> set[int]:
        """The tables, by oid, of which the publication has only some rows."""
        version = int(rows(self._connection, "SELECT current_setting('server_version_num')::int8 AS v")[0]["v"])
        filtered = rows(self._connection, ROW_FILTERS.format(literal(self.publication))) if version >= 150000 else []
        return {row["oid"] for row in filtered}

    def _change(self, statement: str) -> None:
        import psycopg

        try:
            run(self._connection, f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
            run(self._connection, statement)
        except psycopg.Error as error:
            if error.sqlstate == "42501":
                raise self._denied(statement) from error
            raise
        finally:
            run(self._connection, "SET lock_timeout = 0")

    def _denied(self, statement: str) -> ConfigError:
        return ConfigError(
            f"{self._place}: the user {self._place.user} may not change the publication {self.publication}",
            hint=f"Its owner, or the owner of the tables, runs: {statement};",
        )

    # -- the log -------------------------------------------------------------------------------------------------------

    def end(self) -> int:
        """The end of the log."""
        (row,) = rows(self._connection, "SELECT pg_current_wal_flush_lsn()::text AS lsn")
        return lsn_number(row["lsn"])

    def written(self) -> int:
        """A position behind everything that a snapshot of now has, flushed or not."""
        (row,) = rows(self._connection, "SELECT pg_current_wal_insert_lsn()::text AS lsn")
        return lsn_number(row["lsn"])

    def heartbeat(self) -> int:
        """Write a message into the log and return a position that the log has passed when the message is read.

        Without the right to do that: the end of the log. (It passes once anything else is written.)
        """
        import psycopg

        try:
            run(self._connection, "SET synchronous_commit = local")
            run(self._connection, f"SELECT pg_logical_emit_message(true, {literal(HEARTBEAT)}, {literal(self.slot)})")
        except psycopg.Error as error:
            log.info("no heartbeat could be written: %s", error)
        return self.end()


def lost_error(place: Place, slot: str, what: str, position: int | None) -> ConfigError:
    """The log that a connection needs is gone. Nothing is loaded again before the user decides."""
    since = f" from {lsn_text(position)} on" if position else ""
    return ConfigError(
        f"{place}: {what}, so the changes{since} are lost",
        hint="Choose one: refresh the streams: a new copy takes the place of the present data when it is complete, and "
        "the log is followed from there (without a server: clear their states, which leaves records that were deleted "
        "meanwhile); or load them beside the present data, in a new connection with another prefix and slot; or take "
        "the streams out of the connection, which keeps what is there. To keep the log longer, raise "
        "max_slot_wal_keep_size.",
        slot=slot,
    )

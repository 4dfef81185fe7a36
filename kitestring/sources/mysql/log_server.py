"""The server as a source of changes: its settings, the files of its log, and whether a position is still in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.errors import ConfigError
from kitestring.sources.mysql.gtid_position import GtidPosition
from kitestring.vendors.mysql import MysqlConfig, server_of
from kitestring.vendors.mysql.binlog import FIRST_OFFSET, Binlog, LogName, offset_of, position_of
from kitestring.vendors.mysql.binlog_event import MARIADB_GTID
from kitestring.vendors.sql_quoting import literal

if TYPE_CHECKING:
    from kitestring.vendors.mysql.session import Session

log = logging.getLogger("kitestring.mysql")

SHORTEST_RETENTION_S = 3 * 86_400
DENIED = frozenset({1045, 1142, 1227, 1044})


@dataclass(frozen=True, slots=True)
class LogEnd:
    """The end of the log. `gtid`: of everything before it. `shift`: see `LogName`."""

    file: str
    offset: int
    gtid: str
    shift: int = 0

    @property
    def position(self) -> int:
        return position_of(self.file, self.offset, self.shift)


class LogServer:
    """Answers from one session. Nothing is changed there. `shift`: see `LogName`."""

    def __init__(self, config: MysqlConfig, session: Session, shift: int = 0) -> None:
        self.config = config
        self.session = session
        self.shift = shift
        title, self.version = server_of(session)
        self.is_mariadb = title == "MariaDB"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.session.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def variable(self, name: str) -> str:
        rows = self.rows(f"SHOW GLOBAL VARIABLES LIKE {literal(name)}")
        return str(rows[0][1]) if rows else ""

    @property
    def folds_names(self) -> bool:
        return self.variable("lower_case_table_names") not in ("0", "")

    def charsets(self) -> dict[int, str]:
        """The character sets of collations by their numbers. MariaDB 10.10 and later have some for several."""
        query = "SELECT id, character_set_name FROM information_schema.collations WHERE id IS NOT NULL"
        if self.is_mariadb and self.version >= (10, 10):
            query = "SELECT id, character_set_name FROM information_schema.collation_character_set_applicability"
        return {int(number): str(name) for number, name in self.rows(query) if number is not None}

    # -- settings and rights -------------------------------------------------------------------------------------------

    def check_settings(self) -> None:
        """`ConfigError` where the log cannot be used."""
        place = self.config.server_address
        if self.variable("log_bin").upper() not in ("ON", "1"):
            raise ConfigError(
                f"{place} keeps no binary log",
                hint="Start the server with log_bin, binlog_format = ROW and a server_id.",
            )
        if (format_ := self.variable("binlog_format").upper()) not in ("ROW", ""):
            raise ConfigError(
                f"{place} logs statements (binlog_format is {format_}), and changes can be read from rows alone",
                hint="SET GLOBAL binlog_format = 'ROW'; and set it in the server's configuration, too.",
            )
        if self.variable("binlog_row_value_options"):
            raise ConfigError(
                f"{place} logs parts of JSON documents (binlog_row_value_options), and changes can be read from whole "
                "ones alone",
                hint="SET GLOBAL binlog_row_value_options = '';",
            )
        database = self.config.database
        _, _, included, ignored = self._status()
        if (included and database not in included) or database in ignored:
            raise ConfigError(
                f"{place} leaves the database {database} out of its binary log (binlog_do_db or binlog_ignore_db)",
                hint="Take the database into the log, and restart the server.",
            )

    def warn(self) -> None:
        """Log what is only risky."""
        place = self.config.server_address
        seconds = float(self.variable("binlog_expire_logs_seconds") or 0)
        seconds = seconds or float(self.variable("expire_logs_days") or 0) * 86_400
        if 0 < seconds < SHORTEST_RETENTION_S:
            log.warning(
                "%s keeps its binary log for %.1f hours: a connection that pauses for longer has to load its tables "
                "again; raise binlog_expire_logs_seconds",
                place,
                seconds / 3600,
            )
        if self.variable("binlog_row_metadata").upper() != "FULL":
            log.warning(
                "%s: binlog_row_metadata is not FULL, so the log has no names of columns: a stream fails when its "
                "table is altered; SET GLOBAL binlog_row_metadata = 'FULL'",
                place,
            )
        if (image := self.variable("binlog_row_image").upper()) not in ("FULL", ""):
            log.warning(
                "%s: binlog_row_image is %s, so values that the log leaves out are read from the tables; "
                "SET GLOBAL binlog_row_image = 'FULL'",
                place,
                image,
            )

    def denied(self, what: str) -> ConfigError:
        user = f"{literal(self.config.username)}@'%'"
        rights = "REPLICATION SLAVE, " + ("BINLOG MONITOR" if self.is_mariadb else "REPLICATION CLIENT, RELOAD")
        return ConfigError(
            f"{self.config.server_address}: the user {self.config.username} may not {what}",
            hint=f"GRANT {rights} ON *.* TO {user};",
        )

    # -- the log -------------------------------------------------------------------------------------------------------

    def _status(self) -> tuple[str, int, list[str], list[str]]:
        import pymysql

        is_new = not self.is_mariadb and self.version >= (8, 4)
        try:
            rows = self.rows("SHOW BINARY LOG STATUS" if is_new else "SHOW MASTER STATUS")
        except pymysql.Error as error:
            if error.args and error.args[0] in DENIED:
                raise self.denied("see the position of the binary log") from error
            raise
        if not rows:
            raise ConfigError(
                f"{self.config.server_address} keeps no binary log",
                hint="Start the server with log_bin and a server_id.",
            )
        file, offset, included, ignored = rows[0][:4]
        return str(file), int(offset), names(included), names(ignored)

    def end(self, *, gtid: bool = True) -> LogEnd:
        """Without `gtid` it is known at once: for that, MariaDB reads the whole file of the log."""
        file, offset, _, _ = self._status()
        return LogEnd(file, offset, self.gtid_at(file, offset) if gtid else "", self.shift)

    def gtid_at(self, file: str, offset: int) -> str:
        """The GTIDs of everything before a position of MariaDB; for MySQL nothing, since it does not say."""
        if not self.is_mariadb:
            return ""
        ((gtid,),) = self.rows(f"SELECT binlog_gtid_pos({literal(file)}, {offset})")
        return ",".join(sorted(names(gtid)))

    def identity(self) -> str:
        """What names the server, whatever its address. MariaDB has only a number, which is unique among a server and
        its replicas."""
        return self.variable("server_id" if self.is_mariadb else "server_uuid")

    def files(self) -> dict[str, int]:
        """The files of the log with their sizes."""
        import pymysql

        try:
            return {str(row[0]): int(row[1]) for row in self.rows("SHOW BINARY LOGS")}
        except pymysql.Error as error:
            if error.args and error.args[0] in DENIED:
                raise self.denied("see the files of the binary log") from error
            raise

    def bytes_after(self, position: int) -> int:
        """The size of the log from a position on."""
        files = self.files()
        return sum(
            size - (offset_of(position) if position_of(file, 0, self.shift) <= position else 0)
            for file, size in files.items()
            if position_of(file, size, self.shift) >= position
        )

    def loss(self, position: int, state: Mapping[str, Any]) -> str:
        """Why the log from a position on is not there; empty where it is. `state`: what is kept of the server."""
        if position < state.get("floor", 0):
            return "it is another server than the changes were read from"
        files = self.files()
        base = next(iter(files), "")
        name = LogName.of(base, self.shift) if base else LogName("", 6)
        if state.get("base", name.base) != name.base:
            return f"the files of its binary log are called {name.base}, and were {state['base']}"
        if (known := state.get("server", "")) and known != self.identity():
            return "it is another server than the changes were read from"
        file = name.file(position)
        if file not in files:
            return f"it has purged the file {file} of its binary log, or it is another server"
        if offset_of(position) > files[file]:
            return f"its binary log {file} is shorter than it was: it was reset, or it is another server"
        gtid = state.get("gtid", "")
        is_known = state.get("position") != position
        if self.is_mariadb and not is_known and sequences(gtid) != sequences(self.gtid_at(file, offset_of(position))):
            return "its binary log has other transactions than it had: it was reset, or it is another server"
        if not self.is_mariadb and gtid:
            ((is_known,),) = self.rows(f"SELECT gtid_subset({literal(gtid)}, @@global.gtid_executed)")
            if not is_known:
                return f"it does not know the transaction {gtid}: it was reset, or it is another server"
        return ""

    def find(self, gtid: str, last: Sequence[Any]) -> tuple[str, int] | None:
        """The file of MariaDB's log and the offset in it with exactly these transactions before it; None where there
        is none. `last`: the last of them, see `GtidPosition`."""
        with closing(Binlog(self.config)) as binlog:
            end = binlog.find(gtid)
        if end is None or sequences(self.gtid_at(*end)) != sequences(gtid):
            return None
        files = list(self.files())
        before = files[max(0, files.index(end[0]) - 1)]
        with closing(Binlog(self.config)) as binlog:  # where the file of the end begins with it
            binlog.start(before, FIRST_OFFSET)
            gtids = GtidPosition(True, "")
            for event in binlog.events():
                if event.kind == MARIADB_GTID:
                    gtids.begin(event)
                    gtids.commit()
                    if gtids.last == list(last):
                        return end
                if event.end >= position_of(*end):
                    return None
        return None

    def lost(self, what: str, position: int, stream: str = "") -> ConfigError:
        """The log that a connection needs is gone. Nothing is loaded again before the user decides."""
        files: Sequence[str] = list(self.files())
        since = LogName.of(files[0], self.shift).text(position) if files else str(position)
        fields = {"stream": stream} if stream else {}
        return ConfigError(
            f"{self.config.server_address}: {what}, so the changes from {since} on are lost",
            hint="Choose one: clear the streams of the connection, and the next sync loads their tables again; or load "
            "them beside the present data, in a new connection with another prefix; or take the streams out of the "
            "connection, which keeps what is there. To keep the log longer, raise binlog_expire_logs_seconds.",
            **fields,
        )


def names(text: Any) -> list[str]:
    return [name.strip() for name in str(text or "").split(",") if name.strip()]


def sequences(gtid: Any) -> str:
    """The GTIDs of MariaDB by domain, without the number of the server that wrote them: `0-?-12,1-?-3`."""
    parts = [part.split("-") for part in names(gtid)]
    return ",".join(sorted(f"{domain}-?-{sequence}" for domain, _, sequence in parts))

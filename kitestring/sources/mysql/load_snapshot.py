"""One snapshot of a database, at a known position of its log, in several sessions."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.errors import TransientError
from kitestring.sources.mysql.log_server import LogEnd, LogServer
from kitestring.sources.mysql.reader import MysqlReader
from kitestring.vendors.mysql.binlog import position_of

if TYPE_CHECKING:
    from kitestring.vendors.mysql import MysqlConfig

log = logging.getLogger("kitestring.mysql")

TRIES = 5
BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a snapshot is in the log. `seconds`: since 1970, by the server's clock."""

    end: LogEnd
    seconds: float

    @property
    def position(self) -> int:
        return self.end.position


class LoadSnapshot:
    """Readers that all see the tables as they were at `moment`. Several threads may use it."""

    def __init__(self, config: MysqlConfig, server: LogServer, count: int, lock_timeout_s: int) -> None:
        self._readers: list[MysqlReader] = []
        self._free: queue.Queue[MysqlReader] = queue.Queue()
        self._config = config
        self._is_closed = False
        try:
            for _ in range(count):
                reader = MysqlReader(config)
                self._readers.append(reader)
                execute(reader, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            with config.translated():
                end = self._at_own_positions(server) if server.is_mariadb else self._locked(server, lock_timeout_s)
                ((seconds,),) = server.rows("SELECT unix_timestamp(now(6))")
        except BaseException:
            self.close()
            raise
        self.moment = Moment(end, float(seconds))
        for reader in self._readers:
            self._free.put(reader)

    def _at_own_positions(self, server: LogServer) -> LogEnd:
        """Without a lock: MariaDB says at which position a snapshot is. Readers with another one are not used."""
        for _ in range(TRIES):
            positions = []
            for reader in self._readers:
                execute(reader, BEGIN)
            for reader in self._readers:
                status = dict(fetched(reader, "SHOW STATUS LIKE 'binlog_snapshot_%'"))
                status = {name.lower(): value for name, value in status.items()}
                positions.append((status["binlog_snapshot_file"], int(status["binlog_snapshot_position"])))
            if len({*positions}) == 1:
                break
        last = max(positions, key=lambda place: position_of(*place))
        for reader, place in zip(list(self._readers), positions, strict=True):
            if place != last:
                reader.close()
                self._readers.remove(reader)
        file, offset = last
        return LogEnd(file, offset, server.gtid_at(file, offset), server.shift)

    def _locked(self, server: LogServer, timeout_s: int) -> LogEnd:
        """With a lock against commits while the snapshots begin: MySQL does not say where they are."""
        import pymysql

        began = time.monotonic()
        with server.session.cursor() as cursor:
            cursor.execute("SET SESSION lock_wait_timeout = 2")
            while True:
                try:
                    cursor.execute("FLUSH TABLES WITH READ LOCK")
                    break
                except pymysql.Error as error:
                    if error.args[0] == 1227:
                        raise server.denied("take the short lock with which the first load begins") from error
                    if error.args[0] != 1205:
                        raise
                    # The lock makes others wait while it waits itself: it is tried for a short time, and then again.
                    if time.monotonic() - began > timeout_s:
                        raise TransientError(
                            f"{self._config.server_address} did not give the lock for the first load within "
                            f"{timeout_s} seconds: a statement that runs for long holds a table",
                            hint="Wait until it has ended, or raise `initial_waiting_seconds`; then sync again.",
                        ) from error
                    time.sleep(WAIT_S)
            try:
                for reader in self._readers:
                    execute(reader, BEGIN)
                return server.end()
            finally:
                cursor.execute("UNLOCK TABLES")

    @contextmanager
    def reader(self) -> Iterator[MysqlReader]:
        """A reader for one part."""
        while True:
            if self._is_closed or not any(reader.session.open for reader in self._readers):
                raise TransientError(
                    f"{self._config.server_address} lost the snapshot of the load: its connections were cut",
                    hint="Sync again: the load goes on with the parts that are missing.",
                )
            try:
                reader = self._free.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            if reader.session.open:
                break
        try:
            yield reader
        finally:
            if reader.session.open:
                self._free.put(reader)

    def close(self) -> None:
        self._is_closed = True
        for reader in self._readers:
            reader.close()


def execute(reader: MysqlReader, statement: str) -> None:
    with reader.config.translated(), reader.session.cursor() as cursor:
        cursor.execute(statement)


def fetched(reader: MysqlReader, query: str) -> list[tuple[Any, ...]]:
    with reader.config.translated(), reader.session.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())

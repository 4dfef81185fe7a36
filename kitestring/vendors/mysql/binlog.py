"""Reading the binary log of a server, as a replica does: the connection, and the events in their order.

A position in the log is one number, the number of the file above that of the byte, so that positions have an order.
"""

from __future__ import annotations

import secrets
import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import pymysql
from pymysql.constants import COMMAND

from kitestring.errors import ConnectorError
from kitestring.vendors.mysql import binlog_event
from kitestring.vendors.mysql.connection import MysqlConfig
from kitestring.vendors.mysql.session import Session
from kitestring.vendors.sql_quoting import literal

OFFSET_BITS = 40
READ_BYTES = 1 << 20
LONGEST_PACKET = 0xFFFFFF
HEARTBEAT_S = 0.2
SILENCE_S = 60
"""A server that sends nothing for so long, not even a heartbeat, is gone."""
CHECKSUM_BYTES = 4
UNKNOWN_CHECKSUM = 255
WITHOUT_CHECKSUM = (0, UNKNOWN_CHECKSUM)
FIRST_OFFSET = 4
OUTSIDE = frozenset({binlog_event.HEARTBEAT, binlog_event.HEARTBEAT_LONG})
"""Events that are not in the log's file."""
PURGED = 1236
"""The code of the server for a place in the log that it has not."""


def position_of(file: str, offset: int, shift: int = 0) -> int:
    """`shift`: see `LogName`."""
    return number_of(file) + shift << OFFSET_BITS | offset


def number_of(file: str) -> int:
    return int(file.rpartition(".")[2])


def offset_of(position: int) -> int:
    return position & (1 << OFFSET_BITS) - 1


@dataclass(frozen=True, slots=True)
class LogName:
    """The name of the log's files without their numbers. `digits`: of those. `shift`: what positions have in addition
    to the numbers, so that they rise when the log is read on at another server, whose files have lower numbers."""

    base: str
    digits: int
    shift: int = 0

    @classmethod
    def of(cls, file: str, shift: int = 0) -> LogName:
        base, _, number = file.rpartition(".")
        return cls(base, len(number), shift)

    def file(self, position: int) -> str:
        return f"{self.base}.{(position >> OFFSET_BITS) - self.shift:0{self.digits}}"

    def text(self, position: int) -> str:
        return f"{self.file(position)}:{offset_of(position)}"


class Event(NamedTuple):
    """An event. `begin` and `end`: its positions; `time`: in seconds since 1970; `server`: the number of the server
    that wrote it first."""

    kind: int
    begin: int
    end: int
    time: int
    body: bytes
    server: int = 0


class Binlog:
    """A session in which the server sends its log. Raises the errors of PyMySQL. `shift`: see `LogName`."""

    def __init__(self, config: MysqlConfig, shift: int = 0) -> None:
        self._session: Session = config.open()
        self._shift = shift
        self.name = LogName("", 6)
        try:
            # Both the names of MySQL 8.0.26 and later, and those of before and of MariaDB.
            heartbeat, identity = int(HEARTBEAT_S * 1e9), uuid.uuid4()
            settings = [
                "@master_binlog_checksum = @@global.binlog_checksum",
                "@source_binlog_checksum = @@global.binlog_checksum",
                f"@master_heartbeat_period = {heartbeat}, @source_heartbeat_period = {heartbeat}",
                f"@slave_uuid = '{identity}', @replica_uuid = '{identity}', @mariadb_slave_capability = 4",
            ]
            for setting in settings:
                self._session.query(f"SET {setting}")
            with self._session.cursor() as cursor:
                cursor.execute("SELECT @@global.binlog_checksum")
                ((checksum,),) = cursor.fetchall()
            self._has_checksum = str(checksum).upper() != "NONE"
            self._session._sock.settimeout(SILENCE_S)
        except BaseException:
            self.close()
            raise

    def start(self, file: str, offset: int) -> None:
        """Ask for the log from here on."""
        self.name = LogName.of(file, self._shift)
        self._position = position_of(file, offset, self._shift)
        self._dump(file, offset)

    def find(self, gtid: str) -> tuple[str, int] | None:
        """The file of MariaDB and the offset in it behind these transactions; None where its log does not have them.
        No events can be read by this session after that."""
        self._session.query(f"SET @slave_connect_state = {literal(gtid)}, @slave_gtid_strict_mode = 0")
        try:
            self._dump("", FIRST_OFFSET)
            file = ""
            for packet in self._packets():
                _, kind, _, size, log_position, _ = binlog_event.HEADER.unpack_from(packet)
                if kind == binlog_event.ROTATE:
                    file, _ = binlog_event.rotation(packet[binlog_event.HEADER.size :])
                elif kind == binlog_event.MARIADB_GTID:
                    return file, log_position - size
                elif kind == binlog_event.HEARTBEAT:  # there is nothing behind them yet
                    return file, log_position
        except pymysql.Error as error:
            if error.args[0] != PURGED:
                raise
        return None

    def _dump(self, file: str, offset: int) -> None:
        # Two replicas of one number would throw each other out.
        server_id = secrets.randbelow(2**31) + 2**31
        command = struct.pack("<IHI", offset, 0, server_id) + file.encode()
        self._session._execute_command(COMMAND.COM_BINLOG_DUMP, command)

    def events(self) -> Iterator[Event]:
        """The events from the start on. Heartbeats come while there is nothing else."""
        header, position = binlog_event.HEADER, self._position
        for packet in self._packets():
            time, kind, server, size, log_position, flags = header.unpack_from(packet)
            if size != len(packet):
                raise ConnectorError(f"the server sent an event of {len(packet)} bytes for one of {size}")
            if kind == binlog_event.FORMAT:
                algorithm = packet[-CHECKSUM_BYTES - 1]
                self._has_checksum = algorithm not in WITHOUT_CHECKSUM
                has_checksum = algorithm != UNKNOWN_CHECKSUM
            else:  # that of the start comes before it is known
                has_checksum = is_checked(packet) if kind == binlog_event.ROTATE else self._has_checksum
                if has_checksum and not is_checked(packet):
                    raise ConnectorError("an event of the log does not agree with its checksum")
            body = packet[header.size : -CHECKSUM_BYTES] if has_checksum else packet[header.size :]
            begin = position
            if kind == binlog_event.ROTATE:
                file, offset = binlog_event.rotation(body)
                self.name = LogName.of(file, self._shift)
                position = max(position, position_of(file, offset, self._shift))
            elif (
                kind not in OUTSIDE
                and log_position
                and not flags & binlog_event.ARTIFICIAL
                and (kind != binlog_event.FORMAT or offset_of(position) == FIRST_OFFSET)
            ):
                position = moved(position, log_position)
            yield Event(kind, begin, position, time, body, server)

    def _packets(self) -> Iterator[bytes]:
        """The events as they are sent, each without the mark before it."""
        session = self._session
        data, place, longer = b"", 0, b""
        read = session._rfile.read1
        while True:
            behind = place + 4
            size = int.from_bytes(data[place : place + 3], "little") if len(data) >= behind else 0
            if len(data) < behind + size or len(data) < behind:
                chunk = read(READ_BYTES)
                if not chunk:
                    raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server while it sent its log")
                data, place = data[place:] + chunk, 0
                continue
            place = behind + size
            if longer or size == LONGEST_PACKET:
                longer += data[behind:place]
                if size == LONGEST_PACKET:
                    continue
                packet, longer = longer, b""
            else:
                packet = data[behind:place]
            if packet[0] == 0xFF:
                pymysql.err.raise_mysql_exception(packet)
            if packet[0] == 0xFE and len(packet) < 9:
                raise pymysql.err.OperationalError(2013, "The server ended its log")
            yield packet[1:]

    def close(self) -> None:
        self._session._force_close()


def is_checked(packet: bytes) -> bool:
    return zlib.crc32(memoryview(packet)[:-CHECKSUM_BYTES]) == int.from_bytes(packet[-CHECKSUM_BYTES:], "little")


def moved(position: int, log_position: int) -> int:
    """The position behind an event. The event has its lower 32 bits."""
    following = position & ~0xFFFFFFFF | log_position
    return following if following >= position else following + (1 << 32)

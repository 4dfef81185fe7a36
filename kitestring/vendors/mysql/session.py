"""A session with a server: PyMySQL, with a bulk load that sends memory, and results that are read as raw packets."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import pymysql
from pymysql.constants import CLIENT, COMMAND, FIELD_TYPE
from pymysql.converters import decoders, through

from kitestring.errors import ConnectorError

PACKET_BYTES = 256 * 1024
"""The size of the packets of a bulk load, below the smallest `max_allowed_packet` in use."""

CONVERTERS: dict[Any, Any] = {
    **decoders,
    FIELD_TYPE.TIME: through,  # texts: Python's time has no 838 hours
}


class Session(pymysql.Connection):  # type: ignore[misc]
    """One session. Used by one thread at a time.

    `LOAD DATA LOCAL` sends what `load` was called with. A server that asks for a file of this machine gets an error:
    with the driver's own `local_infile`, it could read any file
    (https://dev.mysql.com/doc/refman/8.4/en/load-data-local-security.html).
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(client_flag=CLIENT.LOCAL_FILES, conv=CONVERTERS, autocommit=True, **options)

    def _create_ssl_ctx(self, settings: ssl.SSLContext | dict[str, Any]) -> ssl.SSLContext:
        """That of the driver for no settings reads the authorities of this machine, which it then does not check by."""
        return settings if isinstance(settings, ssl.SSLContext) else unchecked()

    def load(self, statement: str, chunks: Iterable[memoryview]) -> tuple[int, int]:
        """Execute a `LOAD DATA LOCAL INFILE` and send it these bytes as the file. Returns how many rows were loaded,
        and how many warnings there are: the server changes values that do not fit, and only warns of them."""
        self._execute_command(COMMAND.COM_QUERY, statement)
        first = self._read_packet()
        if not first.is_load_local_packet():
            raise ConnectorError("MySQL answered a bulk load without asking for its rows", hint="Please report this.")
        try:
            for chunk in chunks:
                for start in range(0, len(chunk), PACKET_BYTES):
                    self.write_packet(chunk[start : start + PACKET_BYTES])
            self.write_packet(b"")
        except BaseException:
            self._force_close()  # an empty packet would commit what was sent
            raise
        result = pymysql.connections.MySQLResult(self)
        try:
            result._read_ok_packet(self._read_packet())
        finally:
            result.connection = None
        return int(result.affected_rows or 0), int(result.warning_count)


def unchecked() -> ssl.SSLContext:
    """Encryption with whatever certificate the server has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

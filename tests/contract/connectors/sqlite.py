"""SQLite keeps the contract of destinations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract
from kitestring.types import Record, Stream


class TestSqlite(DestinationContract):
    def make(self, folder: Path) -> Destination:
        from kitestring.destinations.sqlite import Sqlite

        return Sqlite(path=str(folder / "test.sqlite"))

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        from kitestring.destinations.sqlite import DIALECT, Sqlite

        assert isinstance(destination, Sqlite)
        with closing(sqlite3.connect(destination.path)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(f"SELECT * FROM {DIALECT.quoted(stream.name)}")]

"""Syncs of a MariaDB source that captures changes, into a destination in memory."""

from __future__ import annotations

import json

from kitestring.engine import MemoryStates, Selection, Status, sync
from kitestring.identity import typed
from kitestring.sources.mysql import Mysql
from kitestring.testing.memory import MemoryDestination


class MysqlCaptured:
    """One connection: its source (a new one for each sync), its destination and its states."""

    def __init__(self, database, **settings):
        self.database = database
        self.settings = settings
        self.destination = MemoryDestination()
        self.states = MemoryStates()

    def source(self, **method):
        method = {"method": "CDC", **method}
        return Mysql.load({**self.database.config, **self.settings, "connections": 2, "replication_method": method})

    def attempt(self, *tables, write_mode="append_dedup", **options):
        streams = [f"{self.database.name}.{table}" for table in tables]
        selections = [Selection(stream, "incremental", write_mode) for stream in streams]
        return sync(self.source(), self.destination, selections, states=self.states, **options)

    def sync(self, *tables, **options):
        result = self.attempt(*tables, **options)
        assert result.status is Status.succeeded, json.dumps(result.as_dict(), default=str, indent=1)
        return {row["id"]: row for row in self.stored(tables[0])}

    def stored(self, table):
        rows = self.destination.stored.get(f"{self.database.name}.{table}", [])
        return [{name: value for name, value in row.items() if not name.startswith("_ab_cdc_")} for row in rows]

    def assert_equal(self, table):
        copy = MemoryDestination()
        selection = Selection(f"{self.database.name}.{table}", "full_refresh", "overwrite")
        result = sync(self.source(), copy, [selection], allow_empty=True)
        assert result.status is Status.succeeded, result.as_dict()
        expected = {row["id"]: row for row in copy.stored[f"{self.database.name}.{table}"]}
        actual = {row["id"]: row for row in self.stored(table)}
        assert actual.keys() == expected.keys()
        for key, row in expected.items():
            values = {n: v for n, v in row.items() if not n.startswith("_ab_cdc_")}
            different = {n: (actual[key].get(n), v) for n, v in values.items() if typed(actual[key].get(n)) != typed(v)}
            assert not different, (key, different)

    def failure(self, *tables):
        """The error of a stream, or what is suspicious of it."""
        result = self.attempt(*tables)
        assert result.status in (Status.failed, Status.suspicious), result.as_dict()
        stream = result.streams[f"{self.database.name}.{tables[0]}"]
        return f"{result.error or stream.error or ''} {stream.suspicions}"

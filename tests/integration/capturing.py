"""Syncs of a PostgreSQL source that captures changes, into a destination in memory."""

from __future__ import annotations

from typing import Any

from kitestring.engine import MemoryStates, Result, Selection, Status, sync
from kitestring.sources.postgres import Postgres
from kitestring.testing.memory import MemoryDestination
from kitestring.types import GLOBAL


class Captured:
    """One connection: its source (a new one for each sync), its destination and its states."""

    def __init__(self, database: Any, **settings: Any) -> None:
        self.database = database
        self.settings = settings
        self.method = {"method": "CDC", "replication_slot": database.name, "publication": "changes"}
        self.destination = MemoryDestination()
        self.states = MemoryStates()
        self.result: Result

    def source(self, **settings: Any) -> Postgres:
        return Postgres.load({**self.database.config, **self.settings, "replication_method": self.method, **settings})

    def attempt(self, *streams: str, write_mode: str | None = None, **options: Any) -> Result:
        if write_mode and not streams:
            streams = tuple(stream.key for stream in self.source().discover())
        selections = [Selection(stream, "incremental", write_mode) for stream in streams] or None
        self.result = sync(self.source(), self.destination, selections, states=self.states, **options)
        return self.result

    def sync(self, *streams: str, write_mode: str | None = None) -> dict[str, list[dict[str, Any]]]:
        """A sync that has to succeed; what the destination holds after it, without the columns of the log."""
        result = self.attempt(*streams, write_mode=write_mode)
        assert result.status is Status.succeeded, result.as_dict()
        return {key: [plain(row) for row in rows] for key, rows in self.destination.stored.items()}

    @property
    def position(self) -> int:
        return int(self.states.load("default")[GLOBAL]["position"])

    def slot(self) -> dict[str, Any]:
        (slot,) = self.database.run(
            "SELECT pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::int8 AS confirmed, wal_status::text AS status, active "
            f"FROM pg_replication_slots WHERE slot_name = '{self.database.name}'"
        )
        return slot


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_ab_cdc_")}

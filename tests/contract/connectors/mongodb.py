"""MongoDB keeps the contract of sources, on SecantusDB."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.source import Source
from kitestring.testing.contract import SourceContract
from kitestring.types import Stream


class TestMongodb(SourceContract):
    config: ClassVar[dict[str, Any]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _documents(cls, class_mongodb: Any) -> None:
        cls.config = class_mongodb.config
        start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        plain = [{"_id": n, "name": f"n{n}", "seen": start + dt.timedelta(seconds=n // 60)} for n in range(250)]
        class_mongodb["plain"].insert_many(plain)
        class_mongodb["odd"].insert_many([{"c d": {"x": n}, "c": f"{n % 5}", "list": [n, None]} for n in range(50)])

    def make(self, folder: Path) -> Source:
        from kitestring.sources.mongodb import Mongodb

        return Mongodb.load({**self.config, "replication_method": "STANDARD"})

    def streams(self, source: Source) -> list[Stream]:
        """Each with the cursor that a user would choose."""
        cursors = {"plain": "seen", "odd": "c"}
        return [replace(stream, cursor=(cursors[stream.name],)) for stream in source.discover()]

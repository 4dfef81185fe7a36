"""A program that speaks Singer's protocol keeps the contract of sources."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from contract.programs import PROGRAMS, PYTHON, SCHEMA
from kitestring.airbyte.singer import SingerSource
from kitestring.source import Source
from kitestring.testing.contract import SourceContract


class TestSingerSource(SourceContract):
    streams_of_tap: ClassVar[list[dict[str, object]]] = [
        {"tap_stream_id": "a", "stream": "a", "schema": SCHEMA, "key_properties": ["id"], "replication_key": "id"}
    ]

    def make(self, folder: Path) -> Source:
        read: list[object] = [
            {"say": {"type": "SCHEMA", "stream": "a", "schema": SCHEMA, "key_properties": ["id"]}},
            *({"say": {"type": "RECORD", "stream": "a", "record": {"id": n}}} for n in range(20)),
            {"say": {"type": "STATE", "value": {"bookmarks": {"a": {"id": 19}}}}},
        ]
        config = {"discover": [{"say": {"streams": self.streams_of_tap}}], "read": read}
        return SingerSource.load({"command": [*PYTHON, str(PROGRAMS / "actor.py")], "config": config})

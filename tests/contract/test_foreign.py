"""Programs behind Airbyte's protocol keep the contract like connectors of our own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from kitestring.airbyte.destination import AirbyteDestination
from kitestring.airbyte.singer import SingerSource
from kitestring.airbyte.source import AirbyteSource
from kitestring.destination import Destination
from kitestring.source import Source
from kitestring.testing.contract import DestinationContract, SourceContract
from kitestring.types import Record, Stream

PROGRAMS = Path(__file__).parents[1] / "unit" / "airbyte"
PYTHON = [sys.executable, "-I", "-S"]
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}}


class TestAirbyteDestination(DestinationContract):
    def make(self, folder: Path) -> Destination:
        return AirbyteDestination.load(
            {"command": [*PYTHON, str(PROGRAMS / "shelf.py")], "config": {"folder": str(folder)}}
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        assert isinstance(destination, AirbyteDestination)
        path = Path(destination.config["folder"]) / (stream.name.replace("/", "_") + ".json")
        found: list[Record] = json.loads(path.read_text()) if path.exists() else []
        return found


class TestAirbyteSource(SourceContract):
    def make(self, folder: Path) -> Source:
        streams = [
            {
                "name": name,
                "json_schema": SCHEMA,
                "supported_sync_modes": ["full_refresh", "incremental"],
                "source_defined_cursor": True,
                "source_defined_primary_key": [["id"]],
            }
            for name in ("a", "b")
        ]
        read: list[object] = []
        for name in ("a", "b"):
            place = {"stream_descriptor": {"name": name}, "stream_state": {"id": 20}}
            read += [
                {"records": {"stream": name, "to": 20}},
                {"say": {"type": "STATE", "state": {"type": "STREAM", "stream": place}}},
            ]
        config = {
            "check": [{"say": {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}}],
            "discover": [{"say": {"type": "CATALOG", "catalog": {"streams": streams}}}],
            "read": read,
        }
        return AirbyteSource.load({"command": [*PYTHON, str(PROGRAMS / "actor.py")], "config": config})


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

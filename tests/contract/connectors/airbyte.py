"""Programs that speak Airbyte's protocol keep the contract like connectors of our own."""

from __future__ import annotations

import json
from pathlib import Path

from contract.programs import PROGRAMS, PYTHON, SCHEMA
from kitestring.airbyte.destination import AirbyteDestination
from kitestring.airbyte.source import AirbyteSource
from kitestring.destination import Destination
from kitestring.source import Source
from kitestring.testing.contract import DestinationContract, SourceContract
from kitestring.types import Record, Stream


class TestAirbyteDestination(DestinationContract):
    def make(self, folder: Path) -> Destination:
        return AirbyteDestination.load(
            {"command": [*PYTHON, str(PROGRAMS / "shelf.py")], "config": {"folder": str(folder)}}
        )

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        assert isinstance(destination, AirbyteDestination)
        path = Path(destination.config["folder"]) / (stream.key.replace("/", "_") + ".json")
        content: list[Record] = json.loads(path.read_text()) if path.exists() else []
        return content


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

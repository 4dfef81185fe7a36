"""The connectors in memory, which tests use, keep the contract too."""

from __future__ import annotations

from pathlib import Path

from kitestring.destination import Destination
from kitestring.source import Source
from kitestring.testing.contract import DestinationContract, SourceContract
from kitestring.testing.memory import MemoryDestination, MemorySource
from kitestring.types import Record, Stream


class TestMemoryDestination(DestinationContract):
    _kept: dict[Path, MemoryDestination] = {}

    def make(self, folder: Path) -> Destination:
        return self._kept.setdefault(folder, MemoryDestination())

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        assert isinstance(destination, MemoryDestination)
        return destination.stored.get(stream.key, [])


class TestMemorySource(SourceContract):
    def make(self, folder: Path) -> Source:
        rows = [{"id": n, "seen": n} for n in range(250)]
        return MemorySource(
            records={"a": rows, "b": rows}, primary_keys={"a": "id", "b": "id"}, cursors={"a": "seen"}, pieces=3
        )

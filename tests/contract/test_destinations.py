"""Every destination of the registry keeps the contract: one class, a few lines each."""

from __future__ import annotations

from pathlib import Path

from kitestring.destination import Destination
from kitestring.testing.contract import DestinationContract
from kitestring.testing.memory import MemoryDestination
from kitestring.types import Record, Stream


class TestMemory(DestinationContract):
    _kept: dict[Path, MemoryDestination] = {}

    def make(self, folder: Path) -> Destination:
        return self._kept.setdefault(folder, MemoryDestination())

    def stored(self, destination: Destination, stream: Stream) -> list[Record]:
        assert isinstance(destination, MemoryDestination)
        return destination.stored.get(stream.key, [])

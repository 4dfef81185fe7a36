"""Every source of the registry keeps the contract: one class, a few lines each."""

from __future__ import annotations

from pathlib import Path

from kitestring.source import Source
from kitestring.testing.contract import SourceContract
from kitestring.testing.memory import MemorySource


class TestMemory(SourceContract):
    def make(self, folder: Path) -> Source:
        rows = [{"id": n, "seen": n} for n in range(250)]
        return MemorySource(
            records={"a": rows, "b": rows}, primary_keys={"a": "id", "b": "id"}, cursors={"a": "seen"}, pieces=3
        )

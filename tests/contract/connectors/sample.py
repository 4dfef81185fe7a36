"""The sample source keeps the contract of sources."""

from __future__ import annotations

from pathlib import Path

from kitestring.source import Source
from kitestring.testing.contract import SourceContract


class TestSample(SourceContract):
    def make(self, folder: Path) -> Source:
        from kitestring.sources.sample import Sample

        return Sample(count=250, updates=30, batch_rows=70, partition_rows=100)

"""Records that come once more at the beginning of the next page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kitestring.paths import at
from kitestring.types import Path, Record


class PageOverlap:
    """Leaves out what the page before had already, to the last field: pages overlap where the next one begins at the
    last record's time, or where a list moved on while it was read. Without a primary key equal records may be two."""

    def __init__(self, keys: Sequence[Path]) -> None:
        self._keys = keys
        self._before: dict[Any, Record] = {}

    def remove_repeated(self, records: list[Record]) -> list[Record]:
        if not self._keys or not records:
            return records
        try:
            page = {tuple(at(record, path) for path in self._keys): record for record in records}
        except TypeError:  # a key that is a list or an object
            self._before = {}
            return records
        before, self._before = self._before, page
        if before.keys().isdisjoint(page):
            return records
        return [r for r in records if before.get(tuple(at(r, path) for path in self._keys)) != r]

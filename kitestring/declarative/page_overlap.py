"""Records that are repeated at the start of the next page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kitestring.paths import at
from kitestring.types import Path, Record


class PageOverlap:
    """Drops records that the page before had with equal fields. Pages overlap if the next one starts at the last
    record's time, or if the list moved during the read. Without a primary key equal records may be distinct."""

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

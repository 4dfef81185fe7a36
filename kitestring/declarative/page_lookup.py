"""`PageLookup`: values that an API keeps beside its records, requested once per page of records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.slice import Slice
from kitestring.paths import set_value, value_at
from kitestring.types import Record

BATCH_SIZE = 100
"""Records per lookup without a `batch_size` in the manifest."""


@keyword("PageLookup")
class PageLookup:
    """Adds a list to each record of a page: the values that its retriever returns for the record's key.

    The retriever's templates see the records as `stream_slice['records']`. If the manifest ignores a response, the
    records stay without the list and no more requests are sent: an empty list means that there are no values.
    """

    def __init__(self, node: Node, name: str = "", **_: Any) -> None:
        self._condition = node.condition(node.get("condition", "{{ true }}"))
        self._record_key = node.path_of("record_key")
        self._key = node.path_of("key")
        self._value = node.needed_text("value")
        self._target = node.path_of("target")
        self._size = node.integer("batch_size") or BATCH_SIZE
        if self._size < 1:
            raise node.error("is not a positive number", "batch_size")
        self._ignored = False
        self._retriever: Any = node.needed_child("retriever", "SimpleRetriever", name=name)

    def fill(self, records: list[Record]) -> Iterator[tuple[int, str]]:
        """Set the lists. Yields the bytes and the doubt of each page."""
        if self._ignored:
            return
        matching = [record for record in records if self._condition({"record": record})]
        for begin in range(0, len(matching), self._size):
            yield from self._fill_batch(matching[begin : begin + self._size])

    def _fill_batch(self, records: list[Record]) -> Iterator[tuple[int, str]]:
        record_key, key, target = ([part({}) for part in path] for path in (self._record_key, self._key, self._target))
        by_key: dict[str, list[Any]] = {}
        for page in self._retriever.pages(Slice({"records": records})):
            yield page.nbytes, page.doubt
            if page.ignored:
                self._ignored = True
                return
            for row in page.records:
                value = self._value({"record": row})
                values = by_key.setdefault(str(value_at(row, key)), [])
                values.extend(value if isinstance(value, list) else [value])
        for record in records:
            set_value(record, target, by_key.get(str(value_at(record, record_key)), []))

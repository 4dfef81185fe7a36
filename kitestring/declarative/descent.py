"""`Descent`: records below records, level by level: blocks in blocks, parts of a document."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.slice import Slice
from kitestring.errors import ConnectorError
from kitestring.paths import set_value, value_at
from kitestring.types import Record

if TYPE_CHECKING:
    from kitestring.declarative.page import Page

log = logging.getLogger("kitestring.declarative")

MOST_BELOW = 1_000_000
"""With more requests below one partition the descent would not end."""


@keyword("Descent")
class Descent:
    """Repeats the requests of a retriever for the items below each record, to any depth.

    The items are records of their own. With `join` their text is added to the text of the record above instead.
    """

    def __init__(self, node: Node, name: str = "", **_: Any) -> None:
        self._name = name
        self._partition_field = node.needed_text("partition_field")
        self._key = node.path_of("key")
        self._condition = node.condition(node.get("condition", "{{ true }}"))
        self._join = node.path_of("join") if node.get("join") else None

    def pages(self, part: Slice, read: Callable[[Slice], Iterator[Page]]) -> Iterator[Page]:
        if self._join is not None:
            yield from self._join_pages(part, read, [step({}) for step in self._join])
            return
        waiting: list[Any] = []
        known_ids: set[str] = set()
        below = part
        while True:
            ids: list[Any] = []
            for page in read(below):
                for record in page.records:
                    ids += self._ids(record, known_ids)
                yield page
            # Reversed, so that pop() keeps the order of the document.
            waiting += reversed(ids)
            if not waiting:
                return
            below = self._below(part, waiting.pop(), len(known_ids))

    def _join_pages(self, part: Slice, read: Callable[[Slice], Iterator[Page]], path: list[Any]) -> Iterator[Page]:
        for page in read(part):
            for record in page.records:
                self._complete(page, record, part, read, path)
            yield page

    def _complete(
        self, page: Page, record: Record, part: Slice, read: Callable[[Slice], Iterator[Page]], path: list[Any]
    ) -> None:
        """Add the texts of all parts to a record, and their rejects, bytes and doubts to its page. The key keeps the
        ids of the parts that the API does not return."""
        key = [step({}) for step in self._key]
        known_ids: set[str] = set()
        waiting, missing, texts = list(reversed(self._ids(record, known_ids))), [], []
        if not waiting:
            return
        while waiting:
            value = waiting.pop()
            records: list[Record] = []
            for inner_page in read(self._below(part, value, len(known_ids))):
                records += inner_page.records
                page.nbytes += inner_page.nbytes
                page.rejects += inner_page.rejects
                page.doubt = page.doubt or inner_page.doubt
            if not records:
                missing.append(value)
            for inner in records:
                texts.append(str(value_at(inner, path) or ""))
                waiting += reversed(self._ids(inner, known_ids))
        if missing:
            log.warning(
                "stream %s: %d parts of a record (%s) are missing: the API does not return them",
                self._name,
                len(missing),
                next((value for name, value in part.partition.items() if name != "parent_slice"), ""),
                extra={"stream": self._name},
            )
        set_value(record, path, "\n".join(text for text in (str(value_at(record, path) or ""), *texts) if text))
        set_value(record, key, missing)

    def _ids(self, record: Record, known_ids: set[str]) -> list[Any]:
        """The new ids below a record."""
        if not self._condition({"record": record}):
            return []
        value = value_at(record, [step({}) for step in self._key])
        new = []
        for identifier in value if isinstance(value, list) else [value]:
            if identifier is not None and str(identifier) not in known_ids:
                known_ids.add(str(identifier))
                new.append(identifier)
        return new

    def _below(self, part: Slice, value: Any, count: int) -> Slice:
        if count > MOST_BELOW:
            raise ConnectorError(f"stream {self._name}: more than {MOST_BELOW:,} requests below {dict(part.partition)}")
        name = str(self._partition_field({}))
        # The first page inside the parent's record belongs to the partition, not to the items below it.
        fields = {key: field_value for key, field_value in part.extra_fields.items() if key != "child_response"}
        return Slice({**part.partition, name: value}, part.cursor_slice, fields)

"""The synced data that a destination gives back: its streams, and their rows by page. The request of a page is checked
once for all families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kitestring.errors import ConfigError
from kitestring.filters import Filter, parse
from kitestring.types import Record

MOST_COUNTED = 1_000_000
"""Rows are counted up to this number: a page of rows must not wait for the count of a large table."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A stream at the destination, under its name there. `records` are those without a mark of deletion, None if they
    were not counted; `counted_to` is the number at which the count stopped."""

    name: str
    namespace: str | None = None
    records: int | None = None
    chunks: int | None = None
    """The rows of a vector store; None elsewhere."""
    counted_to: int | None = None


@dataclass(frozen=True, slots=True)
class RowRequest:
    """A page of a stream: its name and namespace at the destination, the filter as a tree (a text where the store has a
    language of its own), and which of the rows that pass it."""

    name: str
    namespace: str | None
    where: Filter | str | None
    limit: int
    offset: int
    include_deleted: bool

    @property
    def stream(self) -> str:
        return f"{self.namespace}.{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows, and how many pass the filter: `total` is None if they were not counted, and at least `counted_to` where
    the count stopped there. `fields` are the names of all fields, in order, if the destination knows them."""

    rows: Sequence[Record]
    total: int | None = None
    counted_to: int | None = None
    fields: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MapPoint:
    """A chunk in a plane in which near chunks are near: `x` and `y` are between -1 and 1."""

    x: float
    y: float
    row: Record


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """A sample of chunks in a plane. `kept` is the share of the variance of the vectors that the plane shows."""

    points: Sequence[MapPoint] = ()
    kept: float = 0.0
    sizes: Mapping[str, int] = field(default_factory=dict)
    """How many chunks of each stream are in the sample."""


@dataclass(frozen=True, slots=True)
class ReadingFacts:
    """How a collection can be searched. `words`: by words too. `meaningful`: texts that are alike have near vectors.
    `related`: below this cosine a sentence has nothing to do with a question, for this model; None if unknown."""

    words: bool
    meaningful: bool
    related: float | None = None


class StoredRows:
    """The part of a destination that gives rows back (`destination.Browses`): a family has `stored_page`."""

    filters_by_text: ClassVar[bool] = False
    """Whether `where` may be a text in the store's own language."""

    def declared_fields(self) -> Sequence[str]:
        """Fields that its configuration names, so that a filter may name them too before a row has one."""
        return ()

    def stored_page(self, request: RowRequest) -> RowPage:
        """The page. `ConfigError` for a stream that is not there."""
        raise NotImplementedError

    def stored_rows(
        self,
        name: str,
        namespace: str | None = None,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 50,
        offset: int = 0,
        include_deleted: bool = False,
    ) -> RowPage:
        """See `destination.Browses`."""
        if isinstance(where, str) and where and not self.filters_by_text:
            raise ConfigError(
                "the filter is a text, and rows of this destination are filtered by field",
                hint='Write it as field=value, or as JSON: {"status": "new"}.',
            )
        return self.stored_page(RowRequest(name, namespace or None, tree_of(where), limit, offset, include_deleted))


def tree_of(where: str | Mapping[str, Any] | None) -> Filter | str | None:
    """A filter as a store takes it."""
    return parse(where) if isinstance(where, Mapping) else where or None


def capped(total: int) -> dict[str, Any]:
    """`total` and `counted_to` of a count that stops above `MOST_COUNTED`."""
    return {"total": min(total, MOST_COUNTED), "counted_to": MOST_COUNTED if total > MOST_COUNTED else None}

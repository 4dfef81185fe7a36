"""A vector store as one reader sees it: only the chunks that pass a permission."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from kitestring.errors import ConfigError, ConnectorError
from kitestring.filters import And, Filter, OneOf, matches, names_in
from kitestring.stored_rows import StoredStream
from kitestring.types import Record
from kitestring.vector.chunk_pages import ReadsChunks
from kitestring.vector.payload import HIT_FIELDS
from kitestring.vector.store import Chunk, Ref, Store, Stored

if TYPE_CHECKING:
    from kitestring.vector.destination import VectorDestination
    from kitestring.vector.store import Vector

log = logging.getLogger("kitestring.vector")

FIRST_CHUNKS = OneOf("chunk_number", (0,))


class RestrictedStore(Store):
    """Reads a store through a permission, and writes nothing.

    The store applies the permission together with the reader's own filter, which is a mapping: a text in the language
    of the store is refused. What the store returns is compared with the permission once more here, so that a store with
    an error in its filters returns too little, never too much. A chunk that the reader may not see is one that is not
    there.
    """

    def __init__(self, store: Store, permission: Filter) -> None:
        self._store = store
        self._permission = permission
        self._located: set[Hashable] = set()

    @property
    def hybrid(self) -> bool:  # type: ignore[override]
        return self._store.hybrid

    @property
    def metric(self) -> str:
        return self._store.metric

    # -- reading -------------------------------------------------------------------------------------------------------

    def search(
        self,
        vector: Vector,
        text: str,
        *,
        where: Filter | str | None,
        limit: int,
        threshold: float | None,
        hybrid: bool,
        stream: str | None,
        include_deleted: bool,
    ) -> list[dict[str, Any]]:
        hits = self._store.search(
            vector,
            text,
            where=self._narrowed(where),
            limit=limit,
            threshold=threshold,
            hybrid=hybrid,
            stream=stream,
            include_deleted=include_deleted,
        )
        return self._visible(hits)

    def page(
        self, stream: str, *, where: Filter | str | None, limit: int, offset: int, include_deleted: bool
    ) -> list[dict[str, Any]]:
        narrowed = self._narrowed(where)
        rows = self._store.page(stream, where=narrowed, limit=limit, offset=offset, include_deleted=include_deleted)
        return self._visible(rows)

    def number(self, stream: str, *, where: Filter | str | None, include_deleted: bool) -> int:
        return self._store.number(stream, where=self._narrowed(where), include_deleted=include_deleted)

    def count(self, stream: str) -> int | None:
        return self.number(stream, where=FIRST_CHUNKS, include_deleted=False)

    def streams(self) -> list[StoredStream] | None:
        """Those with a chunk that the reader may see."""
        listed = self._store.streams()
        if listed is None:
            return None
        visible = []
        for stream in listed:
            chunks = self.number(stream.name, where=None, include_deleted=True)
            if chunks:
                visible.append(StoredStream(stream.name, stream.namespace, self.count(stream.name), chunks))
        return visible

    def located(self, ids: Sequence[str]) -> dict[str, Stored]:
        passing = self._store.passing(ids, self._permission)
        located = {text: stored for text, stored in self._store.located(ids).items() if text in passing}
        self._located |= {stored.row for stored in located.values()}
        return located

    def passing(self, ids: Sequence[str], where: Filter) -> set[str]:
        return self._store.passing(ids, And((self._permission, where)))

    def vectors(self, chunks: Sequence[Stored]) -> dict[Hashable, Vector]:
        """Of chunks that this object has located."""
        return self._store.vectors([chunk for chunk in chunks if chunk.row in self._located])

    def check(self, dimension: int) -> None:
        self._store.check(dimension)

    # -- what a reader does not do -------------------------------------------------------------------------------------

    def ensure(self, dimension: int, complete: bool, schemas: Sequence[Mapping[str, Any]] = ()) -> NoReturn:
        self._refuse()

    def find(self, refs: Sequence[Ref], whole: bool = False) -> NoReturn:
        self._refuse()

    def upsert(self, chunks: Sequence[Chunk]) -> NoReturn:
        self._refuse()

    def delete(self, chunks: Sequence[Stored]) -> NoReturn:
        self._refuse()

    def mark(self, chunks: Sequence[Stored], deleted_at: str) -> NoReturn:
        self._refuse()

    def scan(self, stream: str) -> Iterator[list[Stored]]:
        self._refuse()

    def sample(self, stream: str, most: int = 1) -> NoReturn:
        self._refuse()

    def other_namespace(self, stream: str, namespace: str) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise ConnectorError(
            "a store was read or written past the permission of its reader",
            hint="Use search, page, number, located and vectors.",
        )

    # -- the permission ------------------------------------------------------------------------------------------------

    def _narrowed(self, where: Filter | str | None) -> Filter:
        if isinstance(where, str):
            raise ConfigError(
                "the filter is a text in the language of the store, and a reader with a permission may not use it",
                hint='Give the filter as a mapping: {"status": "new"}.',
            )
        return self._permission if where is None else And((self._permission, where))

    def _visible(self, hits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        names = names_in(self._permission)
        visible = [hit for hit in hits if matches(self._permission, {name: value_in(hit, name) for name in names})]
        if len(visible) < len(hits):
            log.warning(
                "chunks were left out: the filter of the store lets them pass, and the reader's permission does not",
                extra={"chunks": len(hits) - len(visible)},
            )
        return visible


class RestrictedChunks(ReadsChunks):
    """A vector destination as one reader sees it: all that `ReadsChunks` has, on a `RestrictedStore`."""

    filters_by_text: ClassVar[bool] = False

    def __init__(self, destination: VectorDestination, permission: Filter) -> None:
        self.embedding = destination.embedding
        self._destination = destination
        self._store = RestrictedStore(destination.store, permission)

    @property
    def store(self) -> Store:
        return self._store

    def note(self) -> str:
        return self._destination.note()

    def declared_fields(self) -> Sequence[str]:
        return self._destination.declared_fields()

    def close(self) -> None:
        """Nothing: the connection is that of the destination."""


def value_in(hit: Record, name: str) -> Any:
    """The value of a record's field in a hit, which has other names for some (`payload.hit`)."""
    if name in HIT_FIELDS or (name not in hit and f"_{name}" in hit):
        name = f"_{name}"
    value = hit.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    return value

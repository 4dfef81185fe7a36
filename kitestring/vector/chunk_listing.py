"""A listing of the source's keys compared with the chunks of a vector store: the index itself is the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kitestring.key_listing import Key, KeyFile, KeyListing
from kitestring.types import Receipt
from kitestring.vector.deletion import mark_live, refs_by_key
from kitestring.vector.record_key import former_refs_of, refs_of
from kitestring.vector.store import Store, Stored
from kitestring.vector.stream_writer import StreamWriter
from kitestring.vector.usage import Usage

OURS, FOREIGN = "k", "r"
"""The first letter of a name: our key follows, or the record id of a row that another program wrote."""


class ChunkListing(KeyListing):
    """Compares by record, and deletes all chunks of the missing ones. Rows of other namespaces stay."""

    def __init__(self, store: Store, writer: StreamWriter) -> None:
        self.store = store
        self.writer = writer
        self.marks = writer.stream.write.deletes == "mark"
        self.keys = KeyFile()

    def add(self, keys: Sequence[Key]) -> None:
        stream = self.writer.stream
        refs = refs_of(stream, keys)
        self.keys.add(OURS + ref.key for ref in [*refs, *former_refs_of(stream, keys)])
        self.keys.add(FOREIGN + ref.record_id for ref in refs)

    def compare(self) -> tuple[int, int]:
        for chunks in self._live():
            names = self.keys.unlisted({name_of(chunk) for chunk in chunks})
            self.keys.add_missing(names)
        missing = self.keys.missing_count()
        return max(self.store.count(self.writer.name) or 0, missing), missing

    def texts(self) -> Iterator[Sequence[str]]:
        return self.keys.missing_pages()

    def delete(self, deleted_at: str) -> Receipt:
        removed = 0
        try:
            for chunks in self._live():
                names = self.keys.missing(name_of(chunk) for chunk in chunks)
                missing = [chunk for chunk in chunks if name_of(chunk) in names]
                if self.marks:
                    mark_live(self.store, refs_by_key(self.writer.name, missing), deleted_at)
                elif missing:
                    self.store.delete(missing)
                    removed += len(missing)
        finally:
            self.writer.note_all_written()
        # A store counts no rows of other programs, so their removal lowers no count.
        deleted = sum(sum(text.startswith(OURS) for text in page) for page in self.texts())
        return Receipt(deleted=deleted, figures=Usage(deleted=removed).figures() if removed else {})

    def close(self) -> None:
        self.keys.close()

    def _live(self) -> Iterator[list[Stored]]:
        """The chunks of the stream's records that are not marked, in pages."""
        for page in self.store.scan(self.writer.name):
            yield [
                chunk
                for chunk in page
                if not chunk.marked
                and chunk.namespace in (None, self.writer.namespace)
                and (chunk.key or (chunk.record_id and not self.marks))
            ]


def name_of(chunk: Stored) -> str:
    """The name of a chunk's record."""
    return OURS + chunk.key if chunk.key else f"{FOREIGN}{chunk.record_id}"

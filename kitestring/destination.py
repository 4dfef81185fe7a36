"""The base class of destinations, `Destination`, and the protocols of what a destination may do beyond writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from kitestring.batch import Batch
from kitestring.config import Config
from kitestring.facts import Facts
from kitestring.stored_rows import ChunkMap, ReadingFacts, RowPage, StoredStream
from kitestring.types import APPEND, Receipt, Record, Stream, Write

if TYPE_CHECKING:
    from kitestring.http import Share
    from kitestring.key_listing import KeyListing


class Destination(Config):
    """Writes streams. The fields of the class are its configuration.

    For each stream the engine calls `begin`, then `prepare` and `write` for each batch, then `commit`; or `abort` when
    the stream failed or was cancelled. Only `prepare` may be called from several threads, ahead of the writes; with
    `lanes` above 1 several streams are written at once.

    Where `stream.write.keep` is "latest" the engine sorts each batch first: a key comes once, with its last version,
    and deletions are taken out and given to `Deletes.delete` or `Marks.mark` behind the batch. (A destination that has
    the write but not the ability gets them as records, with the marker.) In a replacement, they mean the new copy.
    """

    facts: ClassVar[Facts] = Facts()
    """The facts it declares. What is not declared is refused where it matters."""

    writes: ClassVar[frozenset[Write]] = APPEND
    """The ways to write that this destination has."""

    batch_rows: ClassVar[int] = 10_000
    """The most records it wants in one batch."""

    batch_bytes: ClassVar[int] = 16 * 1024 * 1024
    """The most bytes it wants in one batch, as an estimate."""

    lanes: ClassVar[int] = 1
    """The number of streams it writes at once. With more than one, `write`, `delete` and `mark` are called from several
    threads, and all other methods from that of the sync meanwhile; those of one stream one after the other."""

    def check(self) -> None:
        """Raise what is wrong (`ConfigError`, `AuthError`, `TransientError`). Creates and changes nothing."""

    def expect(self, streams: Sequence[Stream]) -> None:
        """Called once before the first `begin`, with all streams of the sync: what must be known of all of them to
        create something that they share. Writes nothing."""

    def begin(self, stream: Stream) -> None:
        """Make ready. A replacement begins a staged copy, after removing one that a crash left; old data stay as is."""

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """Do ahead what has no side effect (convert, chunk, embed); `write` gets what this returns.

        Runs in several threads, and before the batches ahead of it are written. May return a subclass of `Batch`
        that carries more. Raise `RecordError` for a record that cannot be taken: the engine finds it and rejects it.
        """
        return batch

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        """Write a batch. **When this returns, the batch is durable.** Without a receipt, all of it counts as written.

        `RecordError` means that nothing of this batch was written and one record is to blame: the engine halves the
        batch until it has found it. `TransientError`: the engine waits and writes the batch again.
        """
        raise NotImplementedError

    def change(self, stream: Stream) -> None:
        """The stream's schema is now this one: what is written next has it, all before it was written. Columns are
        added and widened, none is dropped. Default: nothing, for a store that grows with its records."""

    def commit(self, stream: Stream) -> Receipt | None:
        """All was read and written. A replacement takes the place of the old data, in one step if it can.

        The receipt, if any, counts what shows only now: deletions whose own receipt did not count them, records that
        others have replaced.
        """
        return None

    def abort(self, stream: Stream) -> None:
        """The stream ended early. Drop a staged copy; the old data stay."""

    def exclusive_place(self) -> str | None:
        """The absolute path that one process at a time can open: while others read there, a server lets them give way
        to a sync. None if several processes may read and write at once."""
        return None

    def share(self, share: Share) -> None:
        """Draw on budgets of calls that other processes draw on too; where there are none to keep, nothing."""

    def close(self) -> None:
        """Let go of connections, also after an error. The object may be used again: it connects when it needs to."""


@runtime_checkable
class Deletes(Protocol):
    """A destination that can remove records by primary key."""

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt | None:
        """Remove these records, durably. `keys` hold the values of `stream.primary_key`, each key once.

        The receipt counts as `deleted` the keys that were there, as `unchanged` the others; without one all were. What
        it does not count, that of `commit` does.
        """


@runtime_checkable
class Marks(Protocol):
    """A destination that can mark records as deleted (`Write.deletes == "mark"`)."""

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt | None:
        """Set `_ab_cdc_deleted_at` of these records, durably: the values of the primary key, and the time of deletion.

        The receipt counts as `deleted` the keys that were there unmarked, as `unchanged` the others; without one all
        were. A later version of a record that is written takes the mark away.
        """


@runtime_checkable
class Truncates(Protocol):
    """A destination that can delete all records of a stream at once (`types.Truncate`)."""

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt | None:
        """Delete every record of the stream that was written before, durably; of the new copy in a replacement.

        Where `stream.write.deletes` is "mark" they are all marked with this time instead, those that are marked keep
        theirs. Called where deletions are removed or marked only. The receipt counts as `deleted` the records that were
        there unmarked.
        """


@runtime_checkable
class Fills(Protocol):
    """A destination that can give a new field to the records that it has already."""

    def fill(self, stream: Stream, values: Mapping[str, Any]) -> None:
        """Set these fields, durably, in every record of the stream that has no value in them. Called before a record
        with such a field is written; may be called again with the same values. Not called for a replacement."""


@runtime_checkable
class ListsKeys(Protocol):
    """A destination that can compare the records it holds with a listing of all keys of the source."""

    def key_listing(self, stream: Stream) -> KeyListing:
        """Begin a comparison. `stream.write` keeps the latest version and replaces nothing; the stream was begun."""


@runtime_checkable
class Counts(Protocol):
    """A destination that can count what it holds, so that the engine can compare."""

    def count(self, stream: Stream) -> int | None:
        """The records of this stream that a reader sees now; None if this stream cannot be counted, 0 if absent.

        Records that are marked as deleted are not counted where `stream.write.deletes` is "mark".
        """


@runtime_checkable
class Estimates(Protocol):
    """A destination that can say what a batch would cost without writing it (`kitestring sync --dry-run`)."""

    def estimate(self, stream: Stream, batch: Batch) -> Mapping[str, float]:
        """Figures for this batch (`chunks`, `tokens`, `cost_usd`, …), to be summed up. No side effect, no paid call."""


@runtime_checkable
class Searches(Protocol):
    """A destination that can be searched by meaning."""

    def search(
        self,
        text: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        threshold: float | None = None,
        hybrid: bool | None = None,
        stream: str | None = None,
        include_deleted: bool = False,
    ) -> list[Record]:
        """The nearest chunks, best first: each a record with `id`, `distance`, `text`, `stream` and its metadata.

        `where` is a filter, as a mapping of field to value (or list of values) or in the store's own language.
        `threshold` leaves out what is farther away, in the collection's metric. Records that are marked as deleted are
        found with `include_deleted` only.
        """


@runtime_checkable
class Browses(Protocol):
    """A destination whose streams can be read back without a question. Reading creates and changes nothing."""

    def stored_streams(self) -> list[StoredStream] | None:
        """The streams that syncs have written, by name; none for a place that is not there yet. None if the destination
        cannot list them."""

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
        """The rows of a stream (of a vector store its chunks, in the form of `Searches.search` without `distance`), in
        an order that stays while nothing is written.

        `where` is a filter of `filters.py`; a text in the store's own language only where `search` takes one. Rows that
        are marked as deleted come with `include_deleted` only. `ConfigError` for a stream that is not there.
        """


@runtime_checkable
class ListsNeighbours(Protocol):
    """A vector store that can say what belongs to a record, and what is near a chunk."""

    def record_chunks(self, name: str, record_id: str) -> list[Record]:
        """All chunks of one record in their order, in the form of `stored_rows`; also those marked as deleted."""

    def neighbours(
        self,
        chunk_id: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        stream: str | None = None,
        include_deleted: bool = False,
    ) -> list[Record]:
        """The chunks that are nearest to this one, best first, in the form of `Searches.search`; without itself.
        `ConfigError` for a chunk that is not there."""


@runtime_checkable
class Relates(ListsNeighbours, Protocol):
    """A vector store whose chunks can be browsed by what is near them."""

    def note(self) -> str:
        """What a reader of its vectors has to know; empty for nothing."""

    def chunk_map(
        self, names: Sequence[str], *, where: str | Mapping[str, Any] | None = None, most: int = 1_000
    ) -> ChunkMap:
        """A sample of at most so many chunks of these streams in a plane."""


@runtime_checkable
class Compares(Protocol):
    """A vector store that compares texts and chunks by their vectors, as cosine, whatever its metric is."""

    def reading_facts(self) -> ReadingFacts:
        """How its collection can be searched, and what its embedder is worth."""

    def similarities(self, text: str, texts: Sequence[str]) -> list[float]:
        """The cosine of each text with `text`, by the embedder of the collection."""

    def chunk_similarities(self, chunk_ids: Sequence[str]) -> list[list[float]]:
        """The cosine of each pair of stored chunks, by the ids of their hits; 0 for a chunk that is not there."""

"""The base of destinations that write files: one folder per stream, in a store, in a format."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PrivateAttr

from kitestring.batch import Batch
from kitestring.config import option
from kitestring.destination import Destination
from kitestring.errors import ConfigError
from kitestring.files.data_file import MANY, DataFiles, FilePart, file_name
from kitestring.files.file_pages import ReadsFiles
from kitestring.files.formats import DATA, FORMATS, EncodedFiles, Format, format_of
from kitestring.files.merge import DELETES, MARKS, TRUNCATED, Merge
from kitestring.files.store import Store
from kitestring.files.stream_folder import claim_folder, stream_folder, work_folder
from kitestring.paths import nested
from kitestring.schema import Schema
from kitestring.types import DELETED_AT, EVERY_WRITE, Receipt, Record, Stream, Write

if TYPE_CHECKING:
    import pyarrow as pa


class FilesDestination(ReadsFiles, Destination):
    """Writes each stream into a folder of its own, `namespace.name`. A subclass chooses the store (`new_store`).

    `append` adds a file per batch. `overwrite` fills a staging folder and swaps it in at the end; the old files stay
    until then. `append_dedup` stages the batches durably and merges them at the end, in one swap: only files with a
    changed key are rewritten. Staged files are in `.kitestring/`; after a crash the next sync merges them.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    batch_rows: ClassVar[int] = 262_144
    """Two whole row groups."""
    batch_bytes: ClassVar[int] = 20 * 1024 * 1024
    """Large enough that a file is rarely small as Parquet: small files are read and written once more."""
    lanes: ClassVar[int] = 4

    format: Literal["parquet", "jsonl", "csv"] = option("parquet", order=1)
    compression: Literal["default", "none", "gzip", "zstd", "snappy", "lz4"] = option("default", order=2)
    """By default Parquet is compressed with zstd, the others are not. JSON lines and CSV take gzip and zstd."""

    row_group_rows: int = option(131_072, ge=1, order=3, title="Row group rows")
    """The most rows in a row group of Parquet."""

    join_below_mb: int = option(1, ge=0, order=4, title="Join files below (MB)")
    """Smaller files of a sync are joined at its end. A larger value makes fewer files and more work."""

    # State by stream key: threads that write different streams share no entry.
    _store: Store | None = PrivateAttr(None)
    _opening: Any = PrivateAttr(default_factory=threading.Lock)
    _written: dict[str, list[str]] = PrivateAttr(default_factory=dict)
    _numbers: dict[str, int] = PrivateAttr(default_factory=dict)
    _deferred: dict[str, tuple[Any, list[str]]] = PrivateAttr(default_factory=dict)
    _merged: dict[str, Receipt] = PrivateAttr(default_factory=dict)

    @abstractmethod
    def new_store(self) -> Store:
        """The store that the configuration names. Opens nothing that needs closing."""

    def check(self) -> None:
        self.new_format()
        self.store().check()

    def begin(self, stream: Stream) -> None:
        store = self.store()
        claim_folder(store, stream)
        with self._locked(stream):
            self._clean(stream)
        self._written[stream.key] = []
        self._numbers.pop(stream.key, None)

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """Encode and compress ahead of the write."""
        return EncodedBatch(batch.stream, self.new_format().encode_batch(stream, batch))

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        ready = batch if isinstance(batch, EncodedBatch) else self.prepare(stream, batch)
        assert isinstance(ready, EncodedBatch)
        packed = ready.encoded
        if not ready.names:  # a batch that is retried has them
            ready.names = [self._next_name(stream, packed.exact) for _ in packed.files]
        for name, data in zip(ready.names, packed.files, strict=True):
            self.store().put(self._write_folder(stream), name, data)
        if stream.write.appends:
            self._written.setdefault(stream.key, []).extend(ready.names)
        return Receipt(written=packed.rows, rejected=packed.rejects, replaced=0)

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        """Stage the keys in a file for the merge, which counts them."""
        return self._defer_keys(stream, DELETES, keys, [nested(stream.primary_key, key) for key in keys])

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        """Stage keys to mark in the same way."""
        rows = [{**nested(stream.primary_key, key), DELETED_AT: at} for key, at in keys.items()]
        return self._defer_keys(stream, MARKS, keys, rows)

    def truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        """Merge staged files, to count them. Records to mark are then marked at once, in one swap; for records to
        remove, a staged note waits for the merge at the end, so that readers see the old records until the new ones
        exist."""
        with self._locked(stream):
            return self._truncate(stream, deleted_at)

    def _truncate(self, stream: Stream, deleted_at: str) -> Receipt:
        store, write, settling = self.store(), stream.write, work_folder(stream, "settling")
        if not write.replace:
            self._add_counts(stream, self._merge(stream))
            folder = stream_folder(stream)
        elif write.keep == "all":
            folder = work_folder(stream, "shadow")
        else:
            folder = work_folder(stream, "settled")
            self._add_counts(stream, self._settle(stream, settling))
            store.swap(settling, folder, set(store.names(folder)))
        deleted = self._count(stream, folder)
        if write.deletes == "mark":
            marking = settling if write.replace else work_folder(stream, "shadow")
            marked = set[str]()
            self.data_files().fill(
                marking, self._to_mark(folder, marked), [deleted_at], stream.schema.get("properties")
            )
            store.swap(marking, folder, marked)
        elif write.replace:
            store.drop(folder)
        else:
            store.put(work_folder(stream, "incoming"), self._next_name(stream, True, TRUNCATED), b"\n")
        return Receipt(deleted=deleted, replaced=0)

    def commit(self, stream: Stream) -> Receipt | None:
        with self._locked(stream):
            return self._commit(stream)

    def _commit(self, stream: Stream) -> Receipt | None:
        store, staging, folder = self.store(), work_folder(stream, "shadow"), stream_folder(stream)
        self._deferred.pop(stream.key, None)
        if stream.write.appends:
            self._join(stream, folder, self._written.pop(stream.key, []))
            return None
        if not stream.write.replace:
            self._add_counts(stream, self._merge(stream))
            return self._merged.pop(stream.key)
        receipt = None
        if stream.write.keep == "latest":
            self._add_counts(stream, self._settle(stream, staging))
            receipt = self._merged.pop(stream.key)
        else:
            self._join(stream, staging, store.names(staging))
        self._publish(stream, set(self._data_files(stream)))
        return receipt

    def abort(self, stream: Stream) -> None:
        if stream.write.replace:
            for part in ("shadow", "staged", "settled", "settling"):
                self.store().drop(work_folder(stream, part))
        else:  # Written batches are durable and part of the state: make them visible.
            self.commit(stream)

    def count(self, stream: Stream) -> int | None:
        if self.store().names(work_folder(stream, "incoming")):
            return None  # An earlier sync was interrupted before its merge.
        return self._count(stream, stream_folder(stream))

    def read(self, stream: Stream, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        """The visible records of the stream in tables with the types of the schema.

        Without a schema, each file has its own. `ConfigError` names a file that cannot be read.
        """
        files = self.data_files()
        for name in self._data_files(stream):
            yield from files.read(stream_folder(stream), name, schema)

    def close(self) -> None:
        self._store = None

    def store(self) -> Store:
        with self._opening:
            if self._store is None:
                self._store = self.new_store()
            return self._store

    def new_format(self) -> Format:
        """The format of new files."""
        return FORMATS[self.format](self.compression, self.row_group_rows)

    def format_of(self, name: str) -> Format:
        """The format of a file by its name; it may differ from that of new files."""
        format_ = format_of(name, self.row_group_rows)
        return self.new_format() if format_.inside and format_.name == self.format else format_

    def _locked(self, stream: Stream) -> AbstractContextManager[None]:
        """Make other writers of the stream wait, so that their files survive and the work folders are ours alone."""
        return self.store().locked(work_folder(stream, "").rstrip("/"))

    def _clean(self, stream: Stream) -> None:
        """Finish or remove the leftovers of an interrupted sync."""
        store = self.store()
        for part in ("shadow", "joined"):
            store.recover(work_folder(stream, part), stream_folder(stream))
            store.drop(work_folder(stream, part))
        store.recover(work_folder(stream, "settling"), work_folder(stream, "settled"))
        for part in ("settling", "settled", "staged"):
            store.drop(work_folder(stream, part))
        self._merged.pop(stream.key, None)
        if stream.primary_key:
            try:
                self._merge(stream)  # leftovers of an interrupted sync
            except ConfigError:
                if not stream.write.replace:
                    raise
        if stream.write.replace:
            store.drop(work_folder(stream, "incoming"))

    def _data_files(self, stream: Stream) -> list[str]:
        """The files of the stream, in any format or compression: the settings may have changed."""
        return [name for name in self.store().names(stream_folder(stream)) if DATA.search(name)]

    def _write_folder(self, stream: Stream) -> str:
        """The folder for the files of `write`."""
        if stream.write.replace:
            return work_folder(stream, "staged" if stream.write.keep == "latest" else "shadow")
        return stream_folder(stream) if stream.write.appends else work_folder(stream, "incoming")

    def _count(self, stream: Stream, folder: str) -> int:
        files, without = self.data_files(), DELETED_AT if stream.write.deletes == "mark" else None
        return sum(files.count(folder, name, without) for name in self.store().names(folder) if DATA.search(name))

    def _to_mark(self, folder: str, marked: set[str]) -> Iterator[FilePart]:
        """The files in a folder with unmarked records, all of which get mark 0; their names are added to `marked`."""
        import pyarrow as pa

        files = self.data_files()
        for name in self.store().names(folder):
            if DATA.search(name):
                old = [v for t in files.raw(folder, name) for v in files.format_of(name).values(t, DELETED_AT)]
                if None in old:
                    marked.add(name)
                    yield FilePart(
                        folder, name, marks=pa.array([None if v is not None else 0 for v in old], pa.int64())
                    )

    def _defer_keys(self, stream: Stream, what: str, keys: Any, rows: list[Record]) -> Receipt:
        properties = stream.schema.get("properties") or {}
        fields = {path[0] for path in stream.primary_key}
        schema = {"properties": {name: declared for name, declared in properties.items() if name in fields}}
        if what == MARKS:  # any time is a valid mark, even one that no column of times holds
            schema["properties"][DELETED_AT] = {"type": "string"}
        packed = self.new_format().encode_batch(
            replace(stream, schema=Schema.of(stream.schema).changed(schema)), Batch(stream.key, rows=rows)
        )
        # A key that no file can hold is the key of no record.
        unknown = len(rows) - packed.rows
        before, names = self._deferred.get(stream.key, (None, []))
        if before is not keys:  # else this is a retry after an error
            names = [self._next_name(stream, packed.exact, what) for _ in packed.files]
            self._deferred[stream.key] = keys, names
        for name, data in zip(names, packed.files, strict=True):
            self.store().put(self._write_folder(stream), name, data)
        return Receipt(unchanged=unknown, replaced=0)

    def _next_name(self, stream: Stream, exact: bool, what: str = "") -> str:
        """The name of the next file of the stream; staged files are numbered."""
        if stream.write.keep == "all":
            return file_name(self.new_format(), exact)
        number = self._numbers.get(stream.key)
        if number is None:
            present = self.store().names(self._write_folder(stream))
            number = int(present[-1][:8]) + 1 if present else 0
        self._numbers[stream.key] = number + 1
        return f"{number:08}{'Z' if exact else ''}{what}{self.new_format().suffix}"

    def data_files(self) -> DataFiles:
        return DataFiles(self.store(), self.format_of, self.join_below_mb * 1024 * 1024)

    def _join(self, stream: Stream, folder: str, names: Sequence[str]) -> None:
        """Join the small ones of these files, if they are many."""
        files, joined = (
            self.data_files(),
            work_folder(stream, "joined" if folder == stream_folder(stream) else "settling"),
        )
        small = [name for name in names if files.is_small(folder, name)]
        if len(small) >= MANY:
            files.fill(joined, (FilePart(folder, name) for name in small))
            files.store.swap(joined, folder, set(small))

    def _add_counts(self, stream: Stream, receipt: Receipt) -> None:
        """Add the counts of a merge to those before it: `commit` returns the sum."""
        before = self._merged.get(stream.key, Receipt(replaced=0))
        self._merged[stream.key] = Receipt(
            unchanged=before.unchanged + receipt.unchanged,
            deleted=before.deleted + receipt.deleted,
            replaced=(before.replaced or 0) + (receipt.replaced or 0),
        )

    def _merge(self, stream: Stream) -> Receipt:
        """Merge staged files: the last version of each key replaces the one in the files; deleted keys are removed."""
        store, staging, incoming = self.store(), work_folder(stream, "shadow"), work_folder(stream, "incoming")
        self._numbers.pop(stream.key, None)
        waiting = store.names(incoming)
        if not waiting:
            return Receipt(replaced=0)
        truncated = any(TRUNCATED in name for name in waiting)
        merge = Merge(self.data_files(), stream, incoming, stream_folder(stream), fresh=truncated)
        replaced, receipt = merge.merge_into(staging, self._data_files(stream))
        if truncated:
            self._publish(stream, replaced)
        else:
            store.swap(staging, stream_folder(stream), replaced)
        store.drop(incoming)
        return receipt

    def _settle(self, stream: Stream, into: str) -> Receipt:
        """Merge staged files into a new copy: the last version of each key, on top of what was merged before."""
        store, staged, settled = self.store(), work_folder(stream, "staged"), work_folder(stream, "settled")
        self._numbers.pop(stream.key, None)
        receipt, replaced, present = Receipt(replaced=0), set[str](), store.names(settled)
        if store.names(staged):
            replaced, receipt = Merge(self.data_files(), stream, staged, settled).merge_into(into, present)
        for name in present:
            if name not in replaced:
                store.share(settled, name, into, name)
        for done in (staged, settled):
            store.drop(done)
        return receipt

    def _publish(self, stream: Stream, replaced: set[str]) -> None:
        """Replace the old files by the new copy. An empty copy is one file that shows the columns."""
        store, staging = self.store(), work_folder(stream, "shadow")
        if not store.names(staging) and (empty := self.new_format().empty(stream)) is not None:
            store.put(staging, file_name(self.new_format()), empty)
        store.swap(staging, stream_folder(stream), replaced)


class EncodedBatch(Batch):
    """A batch as the bytes of files, their names, and the rejected records."""

    __slots__ = ("encoded", "names")

    def __init__(self, stream: str, packed: EncodedFiles) -> None:
        super().__init__(stream, rows=[])
        self.encoded = packed
        self.names: list[str] = []

"""Reading the files of a destination: its streams, and their records by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kitestring import json_codec
from kitestring.batch import Batch
from kitestring.errors import ConfigError
from kitestring.files.formats import DATA
from kitestring.files.store import OWNER
from kitestring.files.stream_folder import WORK, stream_folder
from kitestring.filters import matches
from kitestring.stored_rows import RowPage, RowRequest, StoredRows, StoredStream
from kitestring.types import DELETED_AT, Record, Stream

if TYPE_CHECKING:
    from kitestring.files.data_file import DataFiles
    from kitestring.files.store import Store

COUNTED_BYTES = 256 * 1024 * 1024
"""Files of a format that is read as a whole to be counted are counted up to this size together."""

MOST_READ = 200_000
"""The records that are compared with a filter, as Python's objects."""


class ReadsFiles(StoredRows):
    """The reading back of every destination of files: the folders that a sync has claimed, and no others."""

    if TYPE_CHECKING:

        def store(self) -> Store: ...

        def data_files(self) -> DataFiles: ...

    def stored_streams(self) -> list[StoredStream] | None:
        streams = []
        for name, namespace in self._owners():
            total = self._total(Stream(name, namespace=namespace), DELETED_AT)
            streams.append(StoredStream(name, namespace, total))
        return sorted(streams, key=lambda stream: (stream.name, stream.namespace or ""))

    def stored_page(self, request: RowRequest) -> RowPage:
        if (request.name, request.namespace) not in self._owners():
            raise ConfigError(
                f"no files of the stream {request.stream} are there", hint="Sync it first, or load the page again."
            )
        stream = Stream(request.name, namespace=request.namespace)
        tree, limit, offset = request.where, request.limit, request.offset
        assert not isinstance(tree, str)
        without = None if request.include_deleted else DELETED_AT
        if tree is None:
            total = self._total(stream, without)
            return RowPage(self._window(stream, without, limit, offset), total)
        rows: list[Record] = []
        passed = 0
        for number, record in enumerate(self._records(stream, without)):
            if number == MOST_READ:
                return RowPage(rows, passed, counted_to=passed)
            if matches(tree, record):
                if offset <= passed < offset + limit:
                    rows.append(record)
                passed += 1
        return RowPage(rows, passed)

    def _owners(self) -> list[tuple[str, str | None]]:
        """The streams of the folders, by the notes of their owners."""
        store, owners = self.store(), []
        for folder in store.folders(WORK):
            if OWNER in store.names(f"{WORK}/{folder}"):
                with store.open(f"{WORK}/{folder}", OWNER) as file:
                    owner = json_codec.loads(file.read())
                if isinstance(owner, dict) and isinstance(owner.get("stream"), str):
                    owners.append((owner["stream"], owner.get("namespace") or None))
        return owners

    def _names(self, stream: Stream) -> list[str]:
        return [name for name in self.store().names(stream_folder(stream)) if DATA.search(name)]

    def _total(self, stream: Stream, without: str | None) -> int | None:
        """The records of a stream; None where counting would read too much."""
        folder, files, total, left = stream_folder(stream), self.data_files(), 0, COUNTED_BYTES
        for name in self._names(stream):
            if not files.format_of(name).inside:
                left -= files.store.size(folder, name)
                if left < 0:
                    return None
            total += files.count(folder, name, without)
        return total

    def _window(self, stream: Stream, without: str | None, limit: int, offset: int) -> list[Record]:
        """The records of a page. Files before it are counted, not read, where counting is faster."""
        folder, files, rows, skipped = stream_folder(stream), self.data_files(), list[Record](), 0
        for name in self._names(stream):
            if files.format_of(name).inside:
                count = files.count(folder, name, without)
                if skipped + count <= offset:
                    skipped += count
                    continue
            for record in self._of_file(stream, name, without):
                if skipped >= offset:
                    rows.append(record)
                else:
                    skipped += 1
                if len(rows) == limit:
                    return rows
        return rows

    def _records(self, stream: Stream, without: str | None) -> Iterator[Record]:
        for name in self._names(stream):
            yield from self._of_file(stream, name, without)

    def _of_file(self, stream: Stream, name: str, without: str | None) -> Iterator[Record]:
        for table in self.data_files().read(stream_folder(stream), name):
            for start in range(0, table.num_rows, 1_000):
                for record in Batch(stream.key, table=table.slice(start, 1_000)).rows():
                    if without is None or record.get(without) is None:
                        yield as_json(record)


def as_json(record: Record) -> Record:
    """The record with the values that JSON has: dates and the like are texts, as a filter sees them."""
    plain: Record = json_codec.loads(json_codec.dumps(record))
    return plain

"""The contract of destinations of files as a test class: that of destinations, and what readers of files rely on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kitestring.batch import Batch
from kitestring.files.destination import FilesDestination
from kitestring.files.formats import DATA, FORMATS
from kitestring.files.stream_folder import stream_folder
from kitestring.testing.contract.destination import DestinationContract
from kitestring.testing.contract.suite import WITH_DELETIONS
from kitestring.testing.contract.value import moment
from kitestring.testing.contract.value_cases import HOSTILE
from kitestring.types import DELETED_AT, EVERY_WRITE, Receipt, Record, Stream, Write

DELETED = "2026-05-01T00:00:00Z"
TRUNCATED_WRITES = sorted((write for write in EVERY_WRITE if write.deletes != "keep"), key=str)
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "none": b""}

WRITER = """
import importlib, json, sys
from kitestring.batch import Batch
from kitestring.types import Stream
module, name, config = json.loads(sys.argv[1])
destination = getattr(importlib.import_module(module), name).load(config)
stream = Stream("things")
destination.begin(stream)
for number in range(10_000):
    rows = [{"id": n, "text": f"{number} {n} " * 400} for n in range(1000)]
    destination.write(stream, destination.prepare(stream, Batch("things", rows=rows)))
    print("written", flush=True)
"""
"""A process that appends files of a thousand records until it is killed."""


class FilesContract(DestinationContract):
    """Say how to make yours with options, and which format this class is about."""

    format: ClassVar[str]

    elsewhere: ClassVar[bool] = False
    """Whether only this process gets at the store, so that no other program reads the files."""

    def make_with(self, folder: Path, **options: Any) -> FilesDestination:
        """The destination with these options; those that it is not given, it chooses."""
        raise NotImplementedError

    def make(self, folder: Path) -> FilesDestination:
        return self.make_with(folder, format=self.format)

    def stored(self, destination: Any, stream: Stream) -> list[Record]:
        """The records as the classes of the formats read them, each file with the types that it shows."""
        from kitestring import arrow_values

        return [row for table in destination.read(stream) for row in arrow_values.rows(table)]

    # -- the material --------------------------------------------------------------------------------------------------

    def written(self, destination: FilesDestination, stream: Stream, rows: Sequence[Record]) -> None:
        destination.write(stream, destination.prepare(stream, Batch(stream.key, rows=list(rows))))

    def named(self, *ids: int, text: str = "a") -> list[Record]:
        return [{"id": key, "text": text} for key in ids]

    def files(self, destination: FilesDestination, stream: Stream) -> list[str]:
        return [name for name in destination.store().names(stream_folder(stream)) if DATA.search(name)]

    def rows_left(self, folder: Path, stream: Stream) -> list[tuple[int, str, bool]]:
        rows = self.seen_of(folder, stream)
        return sorted((int(row["id"]), row["text"], bool(row.get(DELETED_AT))) for row in rows)

    # -- files appear whole --------------------------------------------------------------------------------------------

    @pytest.mark.slow
    def test_a_writer_that_is_killed_leaves_whole_files_alone(self, tmp_path: Path) -> None:
        if self.elsewhere:
            pytest.skip("only this process gets at the store")
        destination, stream = self.make(tmp_path), Stream("things")
        kind = type(destination)
        config = json.dumps([kind.__module__, kind.__name__, destination.model_dump(mode="json")])
        with subprocess.Popen([sys.executable, "-c", WRITER, config], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"written\n"
            time.sleep(random.random() / 3)
            writer.kill()
        rows = self.seen_of(tmp_path, stream)
        assert rows
        data_files = destination.data_files()
        counts = {data_files.count("things", name) for name in self.files(destination, stream)}
        assert counts == {1000}
        assert len(rows) % 1000 == 0
        assert self.run(tmp_path, self.named(-1), "append").ok
        assert len(self.seen_of(tmp_path, stream)) == len(rows) + 1

    def test_a_batch_that_is_written_twice_after_an_error_is_there_once(self, tmp_path: Path) -> None:
        for write in sorted(EVERY_WRITE, key=str):
            destination, stream = self.make(tmp_path), replace(self.stream(write), name=str(write))
            destination.begin(stream)
            ready = destination.prepare(stream, Batch(stream.key, rows=self.named(1, 2)))
            for _ in range(2):
                destination.write(stream, ready)
            destination.commit(stream)
            assert self.rows_left(tmp_path, stream) == [(1, "a", False), (2, "a", False)]

    def test_files_of_others_in_the_folder_stay_as_they_are(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, self.named(1, 2), "append").ok
        store, place = self.make(tmp_path).store(), stream_folder(self.stream("append"))
        foreign_files = {"README.txt": b"mine", "_SUCCESS": b"", "notes.json": b"{", "table.parquet.bak": b"old"}
        for name, data in foreign_files.items():
            store.put(place, name, data)
        for mode in ("append_dedup", "overwrite", "overwrite_dedup", "append"):
            assert self.run(tmp_path, self.named(2, 3), mode).ok
            assert {name: store.open(place, name).read() for name in foreign_files} == foreign_files
        assert {row[0] for row in self.rows_left(tmp_path, self.stream("append"))} == {2, 3}

    def test_a_file_that_is_cut_off_is_named_and_nothing_is_lost(self, tmp_path: Path) -> None:
        destination, stream = self.make_with(tmp_path, format=self.format, compression="gzip"), self.stream("append")
        destination.begin(stream)
        self.written(destination, stream, self.records(50))
        destination.commit(stream)
        (name,) = self.files(destination, stream)
        store, place = destination.store(), stream_folder(stream)
        data = store.open(place, name).read()
        store.put(place, name, data[: len(data) // 2])
        result = self.run(tmp_path, self.named(1), "append_dedup")
        assert f"{place}/{name} cannot be read" in str(result.error or result.streams[self.stream_name].error)
        store.put(place, name, data)
        assert self.run(tmp_path, self.named(1), "append_dedup").ok
        assert len(self.rows_left(tmp_path, stream)) == 50

    # -- several writers -----------------------------------------------------------------------------------------------

    def test_two_writers_that_append_at_once_lose_nothing(self, tmp_path: Path) -> None:
        stream = self.stream("append")

        def write(first: int) -> None:
            destination = self.make(tmp_path)
            destination.begin(stream)
            for number in range(6):
                self.written(destination, stream, self.named(first + number))
            destination.commit(stream)

        at_once(lambda: write(0), lambda: write(100))
        assert [key for key, _, _ in self.rows_left(tmp_path, stream)] == [*range(6), *range(100, 106)]

    @pytest.mark.parametrize("mode", ["append", "append_dedup", "overwrite_dedup"])
    def test_two_streams_are_written_at_once_by_threads_of_one_destination(self, tmp_path: Path, mode: str) -> None:
        destination = self.make(tmp_path)
        assert type(destination).lanes > 1
        streams = [replace(self.stream(mode), name=name) for name in ("left", "right")]

        def write(stream: Stream) -> None:
            for current_number in range(3):
                destination.begin(stream)
                for number in range(6):
                    self.written(
                        destination, stream, self.named(number, number + 50, text=f"{stream.name} {current_number}")
                    )
                if mode != "append":
                    destination.delete(stream, [(50 + current_number,)])
                destination.commit(stream)

        at_once(*(lambda stream=stream: write(stream) for stream in streams))
        for stream in streams:
            rows = self.rows_left(tmp_path, stream)
            if mode == "append":
                assert sorted({text for _, text, _ in rows}) == [f"{stream.name} {number}" for number in range(3)]
                assert len(rows) == 36
            else:
                assert [(key, text) for key, text, _ in rows] == [
                    (key, f"{stream.name} 2") for key in (*range(6), *range(50, 56)) if key != 52
                ]

    # -- a stream is emptied -------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("write", TRUNCATED_WRITES, ids=str)
    def test_a_stream_that_is_emptied_keeps_what_comes_after_and_is_counted_exactly(
        self, tmp_path: Path, write: Write
    ) -> None:
        assert self.run(tmp_path, self.named(1, 2, 3), "append_dedup", WITH_DELETIONS).ok
        stream, destination = replace(self.stream(write), schema=WITH_DELETIONS), self.make(tmp_path)
        start = 0 if write.replace else 3
        latest, mark = write.keep == "latest", write.deletes == "mark"
        destination.begin(stream)
        self.written(destination, stream, self.named(1, 4, text="b"))
        if latest and mark:
            destination.mark(stream, {(1,): "2026-04-01T00:00:00Z", (77,): DELETED})
        elif latest:
            destination.delete(stream, [(1,), (77,)])
        emptied = destination.truncate(stream, DELETED)
        # 4; where older records count, 2 and 3; 1 is deleted already, where a deletion can name it.
        assert emptied.deleted == 1 + (not latest) + (0 if write.replace else 2)
        if not write.replace and not mark:  # readers see the old records until the new ones are there
            assert {key for key, _, _ in self.rows_left(tmp_path, stream)} == {2, 3, 4}
        self.written(destination, stream, self.named(4, 9, text="c"))
        second = destination.truncate(stream, DELETED)
        assert second.deleted == 2
        self.written(destination, stream, self.named(9, text="d"))
        receipt = destination.commit(stream)
        counted = receipt or Receipt(replaced=0)
        visible = [(9, "d", False)]
        assert (counted.deleted, counted.unchanged) == ((1, 1) if latest else (0, 0))
        count = start + 5 - emptied.deleted - second.deleted - counted.deleted - (counted.replaced or 0)
        assert count == destination.count(stream) == len(visible)
        marked = [(1, "b", True), (4, "c", True)] if mark else []
        marked += [(2, "a", True), (3, "a", True)] if mark and not write.replace else []
        assert self.rows_left(tmp_path, stream) == sorted(visible + marked)
        if mark:
            rows = self.seen_of(tmp_path, stream)
            times = {int(row["id"]): moment(row[DELETED_AT]) for row in rows if row.get(DELETED_AT)}
            assert times.pop(1) == moment("2026-04-01T00:00:00Z")
            assert set(times.values()) == {moment(DELETED)}

    def test_an_emptied_stream_whose_sync_is_cut_off_is_emptied_by_the_next_sync(self, tmp_path: Path) -> None:
        assert self.run(tmp_path, self.named(1, 2, 3), "append_dedup").ok
        stream, destination = self.stream("append_dedup"), self.make(tmp_path)
        destination.begin(stream)
        destination.truncate(stream, DELETED)
        self.written(destination, stream, self.named(4))
        destination.close()  # neither committed nor aborted, as after a kill
        assert self.run(tmp_path, self.named(5), "append_dedup").ok
        assert [key for key, _, _ in self.rows_left(tmp_path, stream)] == [4, 5]
        reopened = self.make(tmp_path)
        reopened.begin(stream)
        assert reopened.truncate(stream, DELETED).deleted == 2
        reopened.commit(stream)
        assert (reopened.count(stream), self.rows_left(tmp_path, stream)) == (0, [])

    # -- other programs ------------------------------------------------------------------------------------------------

    def test_every_compression_of_the_format_is_one_and_is_read(self, tmp_path: Path) -> None:
        for compression in FORMATS[self.format].compressions:
            folder, stream = tmp_path / compression, self.stream("append")
            destination = self.make_with(folder, format=self.format, compression=compression)
            destination.begin(stream)
            self.written(destination, stream, self.records(3))
            destination.commit(stream)
            (name,) = self.files(destination, stream)
            data = destination.store().open(stream_folder(stream), name).read()
            if FORMATS[self.format].inside:
                assert compression_inside(data) == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
            else:
                assert data.startswith(MAGIC[compression])
            assert len(self.rows_left(folder, stream)) == 3

    def test_duckdb_reads_the_same_records_with_their_types(self, tmp_path: Path) -> None:
        duckdb = pytest.importorskip("duckdb")
        if self.elsewhere:
            pytest.skip("only this process gets at the store")
        records = [{**row, "text": text} for row, text in zip(self.records(20), HOSTILE, strict=False)]
        records += [{"id": 90, "text": None}, {"id": 91, "text": ""}]
        assert self.run(tmp_path, records, "append_dedup").ok
        reader = {
            "parquet": "read_parquet(?, union_by_name=true)",
            "jsonl": "read_json(?, format='newline_delimited', union_by_name=true)",
            "csv": "read_csv(?, header=true, delim=',', quote='\"', escape='\"', allow_quoted_nulls=false, "
            "union_by_name=true, max_line_size=1000000)",
        }[self.format]
        pattern = str(tmp_path / stream_folder(self.stream("append")) / f"*.{self.format}")
        with duckdb.connect() as connection:
            table = connection.sql(f"SELECT * FROM {reader}", params=[pattern]).to_arrow_table()  # noqa: S608
        rows = {row["id"]: row for row in table.to_pylist()}
        assert sorted(rows) == [row["id"] for row in records]
        assert {key: row["text"] for key, row in rows.items()} == {row["id"]: row["text"] for row in records}
        for record in records[:-2]:
            row = rows[record["id"]]
            assert (row["number"], row["flag"]) == (record["number"], record["flag"])
            assert moment(row["at"]) == moment(record["at"])
            nested, tags = (json.loads(v) if isinstance(v, str) else v for v in (row["nested"], row["tags"]))
            assert (nested, tags) == (record["nested"], record["tags"])


def at_once(*works: Any) -> None:
    """Run these at the same time; the first error of them."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(work: Any) -> None:
        try:
            barrier.wait(10)
            work()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def compression_inside(data: bytes) -> str:
    """How the columns of a Parquet file are compressed."""
    import io

    import pyarrow.parquet as pq

    return str(pq.read_metadata(io.BytesIO(data)).row_group(0).column(0).compression)

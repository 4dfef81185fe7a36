"""Files: Parquet, JSON lines or CSV in a local folder or behind any fsspec URL, one folder for each stream."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias
from urllib.parse import quote

from pydantic import PrivateAttr, field_validator

from kitestring.batch import Batch
from kitestring.config import option, secret
from kitestring.destination import Destination
from kitestring.destinations.files.cloud import machine_use
from kitestring.destinations.files.formats import Csv, JsonLines, Parquet
from kitestring.destinations.files.store import LocalStore, RemoteStore, Store
from kitestring.errors import ConfigError
from kitestring.paths import nested
from kitestring.types import SIMPLE_WRITES, Receipt, Reject, Stream, Write

if TYPE_CHECKING:
    import pyarrow as pa

Codec: TypeAlias = Parquet | JsonLines | Csv

FILE_BYTES = 64 * 1024 * 1024
"""What a file that a merge writes should hold, as Arrow."""

MANY = 4
"""Small files are joined at the end of a sync that has made at least so many of them."""

DELETES = ".deleted"
DATA = re.compile(r"\.(parquet|jsonl|csv)(\.gz|\.zst)?$")


class Files(Destination):
    """Writes each stream into a folder of its own, `namespace.name`.

    `append` adds a file per batch. `overwrite` fills a shadow folder and swaps it in at the end; the old files stay
    until then. `append_dedup` keeps the batches aside, durable, and merges them at the end, in one swap: only the files
    that hold a changed key are rewritten. What waits stands in `.kitestring/`; after a crash the next sync merges it.
    """

    writes: ClassVar[frozenset[Write]] = SIMPLE_WRITES
    packages: ClassVar[tuple[str, ...]] = ("fsspec", "pyarrow")
    runs_programs: ClassVar[bool | None] = False
    batch_rows: ClassVar[int] = 250_000
    batch_bytes: ClassVar[int] = 12 * 1024 * 1024

    path: str = option(order=0, examples=["./data", "s3://bucket/folder"], local_path=lambda path: not remote(path))
    """A local folder, or a URL that fsspec knows (`s3://`, `gs://`, `abfs://`, `sftp://`, …)."""

    format: Literal["parquet", "jsonl", "csv"] = option("parquet", order=1)
    compression: Literal["default", "none", "gzip", "zstd", "snappy", "lz4"] = option("default", order=2)
    """By default Parquet is compressed with zstd, the others are not. JSON lines and CSV take gzip and zstd."""

    row_group_rows: int = option(131_072, ge=1, order=3, title="Row group rows")
    """How many rows a row group of Parquet holds at most."""

    join_below_mb: int = option(1, ge=0, order=4, title="Join files below (MB)")
    """The files of a sync that are smaller are joined at its end. A larger value makes fewer files and more work."""

    storage_options: dict[str, Any] = secret(default_factory=dict, order=5, title="Storage options")
    """What the file system behind the URL needs, as fsspec takes it: key, secret, token, endpoint_url, …"""

    _store: Store | None = PrivateAttr(None)
    _written: dict[str, list[str]] = PrivateAttr(default_factory=dict)

    @field_validator("storage_options", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def machine_use(self) -> str | None:
        return machine_use(self.path, self.storage_options) if remote(self.path) else None

    def check(self) -> None:
        self.codec()
        self.store().check()

    def begin(self, stream: Stream) -> None:
        store = self.store()
        for part in (work(stream, "shadow"), work(stream, "joined")):
            store.recover(part, folder(stream))
            store.drop(part)
        if stream.write.replace:
            store.drop(work(stream, "incoming"))
        elif stream.primary_key:
            self._merge(stream)  # what a sync in append_dedup left behind that was cut off
        self._written[stream.key] = []

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """Encodes and compresses ahead; what is left to write are bytes."""
        table, rejects = self.codec().table(stream, batch)
        return Encoded(batch.stream, table, rejects, self.codec().encode([table]) if table.num_rows else None)

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        ready = batch if isinstance(batch, Encoded) else self.prepare(stream, batch)
        assert isinstance(ready, Encoded)
        if ready.data is not None:
            self._put(stream, ready.data)
        return Receipt(written=len(ready), rejected=ready.rejects)

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> None:
        """Keeps the keys aside, in a file of their own, for the merge."""
        rows = [nested(stream.primary_key, key) for key in keys]
        declared = stream.schema.get("properties", {})
        schema = {"properties": {path[0]: declared.get(path[0], {}) for path in stream.primary_key}}
        keyed = Stream(stream.name, schema=schema)
        table, _ = self.codec().table(keyed, Batch(stream.key, rows=rows))
        self._put(stream, self.codec().encode([table]), deletes=True)

    def commit(self, stream: Stream) -> None:
        store, shadow, place = self.store(), work(stream, "shadow"), folder(stream)
        if stream.write.appends:
            self._join(stream, place, self._written.pop(stream.key, []))
        elif not stream.write.replace:
            self._merge(stream)
        else:
            self._join(stream, shadow, store.names(shadow))
            empty = self.codec().empty(stream)
            if not store.names(shadow) and empty is not None and empty.num_columns:
                store.put(shadow, self._name(), self.codec().encode([empty]))
            store.swap(shadow, place, {name for name in store.names(place) if DATA.search(name)})

    def abort(self, stream: Stream) -> None:
        if stream.write.replace:
            self.store().drop(work(stream, "shadow"))
        else:  # What was written is durable, and the state counts on it: let it be seen.
            self.commit(stream)

    def count(self, stream: Stream) -> int | None:
        store, codec = self.store(), self.codec()
        if store.names(work(stream, "incoming")):
            return None  # An earlier sync was cut off before its merge.
        total = 0
        for name in self._data(stream):
            with store.open(folder(stream), name) as file:
                total += codec.count(file)
        return total

    def close(self) -> None:
        self._store = None

    def store(self) -> Store:
        if self._store is None:
            if remote(self.path):
                self._store = RemoteStore(self.path, self.storage_options)
            else:
                self._store = LocalStore(local(self.path))
        return self._store

    def codec(self) -> Codec:
        chosen = self.compression
        if self.format == "parquet":
            return Parquet("zstd" if chosen == "default" else chosen, self.row_group_rows)
        chosen = "none" if chosen == "default" else chosen
        if chosen in ("snappy", "lz4"):
            raise ConfigError(
                f"{self.format} is not written with {chosen}", hint="Choose gzip, zstd or none for `compression`."
            )
        return JsonLines(chosen) if self.format == "jsonl" else Csv(chosen)

    def _data(self, stream: Stream) -> list[str]:
        """The files of the stream in this format."""
        return [name for name in self.store().names(folder(stream)) if name.endswith(self.codec().suffix)]

    def _put(self, stream: Stream, data: Any, deletes: bool = False) -> None:
        """Make a file of these bytes where the write mode wants it."""
        if stream.write.replace:
            name, place = self._name(), work(stream, "shadow")
        elif stream.write.appends:
            name, place = self._name(), folder(stream)
            self._written.setdefault(stream.key, []).append(name)
        else:
            place = work(stream, "incoming")
            present = self.store().names(place)
            number = int(present[-1].partition(".")[0]) + 1 if present else 0
            name = f"{number:08}{DELETES if deletes else ''}{self.codec().suffix}"
        self.store().put(place, name, data)

    def _name(self) -> str:
        """A name that sorts by time and that no other sync makes."""
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        return f"{moment}-{uuid.uuid4().hex[:12]}{self.codec().suffix}"

    def _join(self, stream: Stream, place: str, names: Sequence[str]) -> None:
        """Make a few files of the many small ones among these."""
        store, joined = self.store(), work(stream, "joined")
        small = [name for name in names if self._small(place, name)]
        if len(small) >= MANY:
            self._fill(joined, (table for name in small for table in tables_of(self.codec(), store, place, name)))
            store.swap(joined, place, set(small))

    def _small(self, place: str, name: str) -> bool:
        return self.store().size(place, name) < self.join_below_mb * 1024 * 1024

    def _merge(self, stream: Stream) -> None:
        """Bring in what waits: the last version of each key, instead of the one in the files; deleted keys go.

        In memory are the keys that wait, and of all else one row group and one file at a time.
        """
        store, codec = self.store(), self.codec()
        incoming, shadow, place = work(stream, "incoming"), work(stream, "shadow"), folder(stream)
        names = store.names(incoming)
        if not names:
            return
        import pyarrow as pa
        import pyarrow.compute as pc

        keys = {name: self._keys(stream, incoming, name) for name in names}
        waiting = pa.chunked_array(list(keys.values()), pa.string())
        numbers = pa.array(range(len(waiting)), pa.int64())
        last = pa.table({"key": waiting, "number": numbers}).group_by("key").aggregate([("number", "max")])
        latest = pc.is_in(numbers, value_set=last.column("number_max").combine_chunks())
        kept: list[tuple[str, str, Any]] = []
        small = {name for name in names if self._small(incoming, name)}
        start = 0
        for name in names:
            mask = latest.slice(start, len(keys[name]))
            start += len(keys[name])
            if DELETES in name:
                continue
            if mask.true_count == len(mask) and (len(small) < MANY or name not in small):
                store.share(incoming, name, shadow, self._name())
            else:
                kept.append((incoming, name, mask))
        distinct = last.column("key").combine_chunks()
        replaced = set()
        for name in self._data(stream):
            mask = pc.invert(pc.is_in(self._keys(stream, place, name), value_set=distinct))
            if mask.true_count < len(mask):
                replaced.add(name)
                kept.append((place, name, mask))
        self._fill(shadow, (table for where in kept for table in tables_of(codec, store, *where)))
        store.swap(shadow, place, replaced)
        store.drop(incoming)

    def _keys(self, stream: Stream, place: str, name: str) -> Any:
        """The keys of a file, as one array of texts."""
        import pyarrow as pa

        codec, columns = self.codec(), [path[0] for path in stream.primary_key]
        with self.store().open(place, name) as file:
            parts = [codec.keys(table, stream.primary_key) for table in codec.read(file, columns)]
        return pa.concat_arrays([part.cast(pa.string()) for part in parts]) if parts else pa.array([], pa.string())

    def _fill(self, place: str, tables: Iterable[pa.Table]) -> None:
        """Make files of good size of these tables; a file has one schema."""
        waiting: list[pa.Table] = []
        for table in tables:
            fits = not waiting or waiting[0].schema.equals(table.schema)
            if not fits or sum(one.nbytes for one in waiting) + table.nbytes > FILE_BYTES:
                self._write_out(place, waiting)
                waiting = []
            waiting.append(table)
        self._write_out(place, waiting)

    def _write_out(self, place: str, tables: Sequence[pa.Table]) -> None:
        if any(table.num_rows for table in tables):
            self.store().put(place, self._name(), self.codec().encode(tables))


class Encoded(Batch):
    """A batch with the bytes of its file, and the records that have no place in it."""

    __slots__ = ("data", "rejects")

    def __init__(self, stream: str, table: pa.Table, rejects: Sequence[Reject], data: Any) -> None:
        super().__init__(stream, table=table)
        self.rejects = rejects
        self.data = data


def remote(path: str) -> bool:
    """Whether a path is an address that fsspec opens, and not a folder of this machine."""
    return "://" in path and not path.startswith("file://")


def local(path: str) -> Path:
    """The folder that `path` names. `ConfigError` for what cannot be one, or is rather an address with a slip in it."""
    slip = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/?(?!/)", path)  # one letter is a drive of Windows
    if slip and slip[1] != "file":
        raise ConfigError(
            f"{path} begins like an address and lacks the two slashes of one",
            hint=f"Write {slip[1]}://…, or ./{path} for a folder of this name.",
        )
    if "\0" in path or not path.strip():
        raise ConfigError("`path` is empty or holds a character that no path has", hint="Name a folder or a URL.")
    try:
        return Path(path.removeprefix("file://")).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path} names the home of a user whom nobody knows", hint="Write the whole path.") from error


def folder(stream: Stream) -> str:
    """The folder of a stream: its key, in which what a file name cannot hold is written as in a URL."""
    name = quote(stream.key, safe=" ()[]{}@+,;=!#$&'~^éäöü")
    name = "%2E" + name[1:] if name.startswith(".") else name
    return name if len(name) <= 200 else f"{name[:180]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def work(stream: Stream, part: str) -> str:
    return f".kitestring/{folder(stream)}/{part}"


def tables_of(codec: Codec, store: Store, place: str, name: str, mask: Any = None) -> Iterator[pa.Table]:
    """The rows of a file, those that the mask keeps if there is one."""
    start = 0
    with store.open(place, name) as file:
        for table in codec.read(file):
            yield table if mask is None else table.filter(mask.slice(start, table.num_rows))
            start += table.num_rows

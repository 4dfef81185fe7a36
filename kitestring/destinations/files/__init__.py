"""Files: Parquet, JSON lines or CSV in a local folder or behind any fsspec URL, one folder for each stream."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import PrivateAttr, field_validator

from kitestring.batch import Batch
from kitestring.config import option, secret
from kitestring.destination import Destination
from kitestring.destinations.files.cloud import machine_use
from kitestring.destinations.files.csv import Csv
from kitestring.destinations.files.formats import DATA, SUFFIXES, Format, Packed
from kitestring.destinations.files.json_lines import JsonLines
from kitestring.destinations.files.merge import DELETES, MANY, MARKS, Merge, Part, Shelf
from kitestring.destinations.files.parquet import Parquet
from kitestring.destinations.files.place import claim, folder, work
from kitestring.destinations.files.store import LocalStore, RemoteStore, Store
from kitestring.errors import ConfigError
from kitestring.facts import Facts
from kitestring.paths import nested
from kitestring.schema import Schema
from kitestring.types import DELETED_AT, EVERY_WRITE, Receipt, Record, Stream, Write


class Files(Destination):
    """Writes each stream into a folder of its own, `namespace.name`.

    `append` adds a file per batch. `overwrite` fills a shadow folder and swaps it in at the end; the old files stay
    until then. `append_dedup` keeps the batches aside, durable, and merges them at the end, in one swap: only the files
    that hold a changed key are rewritten. What waits stands in `.kitestring/`; after a crash the next sync merges it.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE
    facts: ClassVar[Facts] = Facts(
        network="python",
        programs=False,
        packages=("fsspec", "pyarrow"),
        preload=("fsspec", "pyarrow"),
        category="files",
    )
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
    _numbers: dict[str, int] = PrivateAttr(default_factory=dict)
    _unsettled: dict[str, tuple[Any, list[str]]] = PrivateAttr(default_factory=dict)

    @field_validator("storage_options", mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) else value

    def machine_use(self) -> str | None:
        return machine_use(self.path, self.storage_options) if remote(self.path) else None

    def check(self) -> None:
        self.new_format()
        self.store().check()

    def begin(self, stream: Stream) -> None:
        store = self.store()
        claim(store, stream)
        for part in (work(stream, "shadow"), work(stream, "joined")):
            store.recover(part, folder(stream))
            store.drop(part)
        store.drop(work(stream, "staged"))
        if stream.primary_key:
            try:
                self._merge(stream)  # what a sync that was cut off left behind
            except ConfigError:
                if not stream.write.replace:
                    raise
        if stream.write.replace:
            store.drop(work(stream, "incoming"))
        self._written[stream.key] = []
        self._numbers.pop(stream.key, None)

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """Encodes and compresses ahead; what is left to write are bytes."""
        return Ready(batch.stream, self.new_format().pack(stream, batch))

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        ready = batch if isinstance(batch, Ready) else self.prepare(stream, batch)
        assert isinstance(ready, Ready)
        packed = ready.packed
        if not ready.names:  # a batch that is written again has them
            ready.names = [self._next_name(stream, packed.exact) for _ in packed.files]
        for name, data in zip(ready.names, packed.files, strict=True):
            self.store().put(self._place(stream), name, data)
        if stream.write.appends:
            self._written.setdefault(stream.key, []).extend(ready.names)
        return Receipt(written=packed.rows, rejected=packed.rejects, replaced=0)

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        """Keeps the keys aside, in a file of their own, for the merge: that counts them."""
        return self._tell(stream, DELETES, keys, [nested(stream.primary_key, key) for key in keys])

    def mark(self, stream: Stream, keys: Mapping[tuple[Any, ...], Any]) -> Receipt:
        """The same for keys to mark."""
        rows = [{**nested(stream.primary_key, key), DELETED_AT: at} for key, at in keys.items()]
        return self._tell(stream, MARKS, keys, rows)

    def commit(self, stream: Stream) -> Receipt | None:
        store, shadow, place = self.store(), work(stream, "shadow"), folder(stream)
        self._unsettled.pop(stream.key, None)
        if stream.write.appends:
            self._join(stream, place, self._written.pop(stream.key, []))
            return None
        if not stream.write.replace:
            return self._merge(stream)
        receipt = None
        if stream.write.keep == "latest":
            receipt = self._settle(stream)
        else:
            self._join(stream, shadow, store.names(shadow))
        if not store.names(shadow) and (empty := self.new_format().empty(stream)) is not None:
            store.put(shadow, self._name(self.new_format()), empty)
        store.swap(shadow, place, {name for name in store.names(place) if DATA.search(name)})
        return receipt

    def abort(self, stream: Stream) -> None:
        if stream.write.replace:
            for part in ("shadow", "staged"):
                self.store().drop(work(stream, part))
        else:  # What was written is durable, and the state counts on it: let it be seen.
            self.commit(stream)

    def count(self, stream: Stream) -> int | None:
        store = self.store()
        if store.names(work(stream, "incoming")):
            return None  # An earlier sync was cut off before its merge.
        without = DELETED_AT if stream.write.deletes == "mark" else None
        total = 0
        for name in self._data(stream):
            with store.open(folder(stream), name) as file:
                total += self.format_of(name).count(file, without)
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

    def new_format(self) -> Format:
        """The format of new files."""
        chosen = self.compression
        if self.format == "parquet":
            return Parquet("zstd" if chosen == "default" else chosen, self.row_group_rows)
        chosen = "none" if chosen == "default" else chosen
        if chosen in ("snappy", "lz4"):
            raise ConfigError(
                f"{self.format} is not written with {chosen}", hint="Choose gzip, zstd or none for `compression`."
            )
        return JsonLines(chosen) if self.format == "jsonl" else Csv(chosen)

    def format_of(self, name: str) -> Format:
        """The format of a file by its name, which need not be that of new files."""
        match = DATA.search(name)
        if match is None:
            raise ConfigError(f"{name} is no file of this destination", hint="Move it to another folder.")
        if match[1] == "parquet":
            return self.new_format() if self.format == "parquet" else Parquet("zstd", self.row_group_rows)
        compression = next(word for word, suffix in SUFFIXES.items() if suffix == (match[2] or ""))
        return JsonLines(compression) if match[1] == "jsonl" else Csv(compression)

    def _data(self, stream: Stream) -> list[str]:
        """The files of the stream, those of another format or compression too: the settings may have changed."""
        return [name for name in self.store().names(folder(stream)) if DATA.search(name)]

    def _place(self, stream: Stream) -> str:
        """Where the write puts its files."""
        if stream.write.replace:
            return work(stream, "staged" if stream.write.keep == "latest" else "shadow")
        return folder(stream) if stream.write.appends else work(stream, "incoming")

    def _tell(self, stream: Stream, what: str, keys: Any, rows: list[Record]) -> Receipt:
        properties = stream.schema.get("properties") or {}
        fields = {path[0] for path in stream.primary_key}
        schema = {"properties": {name: declared for name, declared in properties.items() if name in fields}}
        if what == MARKS:  # a time that no column of times holds marks all the same
            schema["properties"][DELETED_AT] = {"type": "string"}
        packed = self.new_format().pack(
            replace(stream, schema=Schema.of(stream.schema).changed(schema)), Batch(stream.key, rows=rows)
        )
        # What cannot be a key here is that of no record.
        unknown = len(rows) - packed.rows
        before, names = self._unsettled.get(stream.key, (None, []))
        if before is not keys:  # else it is told again, after an error
            names = [self._next_name(stream, packed.exact, what) for _ in packed.files]
            self._unsettled[stream.key] = keys, names
        for name, data in zip(names, packed.files, strict=True):
            self.store().put(self._place(stream), name, data)
        return Receipt(unchanged=unknown, replaced=0)

    def _next_name(self, stream: Stream, exact: bool, what: str = "") -> str:
        """The name of the next file of the stream; those that wait are numbered."""
        if stream.write.keep == "all":
            return self._name(self.new_format(), exact)
        number = self._numbers.get(stream.key)
        if number is None:
            present = self.store().names(self._place(stream))
            number = int(present[-1][:8]) + 1 if present else 0
        self._numbers[stream.key] = number + 1
        return f"{number:08}{'Z' if exact else ''}{what}{self.new_format().suffix}"

    def _name(self, format_: Format, exact: bool = True) -> str:
        """A name that sorts by time and that no other sync makes."""
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        return f"{moment}{'Z' if exact else ''}-{uuid.uuid4().hex[:12]}{format_.suffix}"

    def _shelf(self) -> Shelf:
        return Shelf(self.store(), self.format_of, self._name, self.join_below_mb * 1024 * 1024)

    def _join(self, stream: Stream, place: str, names: Sequence[str]) -> None:
        """Make a few files of the many small ones among these."""
        shelf, joined = self._shelf(), work(stream, "joined")
        small = [name for name in names if shelf.is_small(place, name)]
        if len(small) >= MANY:
            shelf.fill(joined, (Part(place, name) for name in small))
            shelf.store.swap(joined, place, set(small))

    def _merge(self, stream: Stream) -> Receipt | None:
        """Bring in what waits: the last version of each key, instead of the one in the files; deleted keys go."""
        store, shadow, incoming = self.store(), work(stream, "shadow"), work(stream, "incoming")
        self._numbers.pop(stream.key, None)
        if not store.names(incoming):
            return Receipt(replaced=0)
        merge = Merge(self._shelf(), stream, incoming, folder(stream))
        replaced, receipt = merge.into(shadow, self._data(stream))
        store.swap(shadow, folder(stream), replaced)
        store.drop(incoming)
        return receipt

    def _settle(self, stream: Stream) -> Receipt:
        """Make a new copy of what was staged: the last version of each key."""
        store, staged = self.store(), work(stream, "staged")
        self._numbers.pop(stream.key, None)
        if not store.names(staged):
            return Receipt(replaced=0)
        _, receipt = Merge(self._shelf(), stream, staged, folder(stream), fresh=True).into(work(stream, "shadow"), [])
        store.drop(staged)
        return receipt


class Ready(Batch):
    """A batch as the bytes of files, the names that they got, and the records that have no place in them."""

    __slots__ = ("names", "packed")

    def __init__(self, stream: str, packed: Packed) -> None:
        super().__init__(stream, rows=[])
        self.packed = packed
        self.names: list[str] = []


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

"""JSON lines: the records as they came, one on a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from kitestring import json_codec
from kitestring.batch import Batch
from kitestring.destinations.files import keys
from kitestring.destinations.files.formats import SUFFIXES, Packed, blocks, compressed, renamed, sound
from kitestring.paths import at
from kitestring.types import Stream

if TYPE_CHECKING:
    import pyarrow as pa

REPLACEMENT = "\ufffd".encode()


class JsonLines:
    def __init__(self, compression: str) -> None:
        self.suffix = ".jsonl" + SUFFIXES[compression]
        self.compression = compression

    def pack(self, stream: Stream, batch: Batch) -> Packed:
        rows, rejects = sound(stream, batch, typed=False)
        text = json_codec.lines(rows)
        if REPLACEMENT in text:
            text = json_codec.lines(renamed(rows))
        return Packed([compressed(text, self.compression)] if rows else [], len(rows), rejects)

    def empty(self, stream: Stream) -> None:
        return None

    def encode(self, tables: Sequence[pa.Table]) -> Any:
        lines = [text for table in tables for text in table.column("line").to_pylist()]
        return compressed(b"\n".join([*lines, b""]), self.compression)

    def read(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        import pyarrow as pa

        rest = b""
        for block in blocks(file, self.compression):
            *lines, rest = (rest + block).split(b"\n")
            if lines:
                yield pa.table({"line": pa.array(lines, pa.large_binary())})
        if rest.strip():  # a file of somebody else's need not end with a line break
            yield pa.table({"line": pa.array([rest], pa.large_binary())})

    def same(self, table: pa.Table, other: pa.Table) -> bool:
        return True

    def healed(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        lines = [line_healed(line) for line in table.column("line").to_pylist()]
        return pa.table({"line": pa.array(lines, pa.large_binary())})

    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        rows = [json_codec.loads(text) if text.strip() else {} for text in table.column("line").to_pylist()]
        columns = []
        for path in stream.primary_key:
            kind, values = keys.kind_of(stream.schema, path), [at(row, path) for row in rows]
            columns.append([keys.parts(values, keys.declared_part(kind))])
            if kind == "number" and not exact and any(isinstance(value, str) for value in values):
                spelled = [keys.spelled_part(v, True) if isinstance(v, str) else keys.part_of(v) for v in values]
                columns[-1].append(keys.parts(spelled, lambda text: text))
        return keys.readings(columns)

    def values(self, table: pa.Table, name: str) -> list[Any]:
        field = json_codec.dumps(name)
        return [
            json_codec.loads(line).get(name) if field in line else None for line in table.column("line").to_pylist()
        ]

    def mark(self, table: pa.Table, name: str, values: Sequence[Any], schema: Mapping[str, Any]) -> pa.Table:
        import pyarrow as pa

        lines = table.column("line").to_pylist()
        for n, value in enumerate(values):
            if value is not None:
                row = json_codec.loads(lines[n])
                if row.get(name) is None:
                    lines[n] = json_codec.dumps({**row, name: value})
        return pa.table({"line": pa.array(lines, pa.large_binary())})

    def count(self, file: BinaryIO, without: str | None = None) -> int:
        if without is None:
            last, count = b"\n", 0
            for block in blocks(file, self.compression):
                count, last = count + block.count(b"\n"), block
            return count + (not last.endswith(b"\n"))
        return sum(self.values(table, without).count(None) for table in self.read(file))


def line_healed(line: bytes) -> bytes:
    """A line that every reader of JSON takes: without half surrogate pairs and bare words for floats."""
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return json_codec.dumps(json_codec.loads(line)) if line.strip() else line
    return line

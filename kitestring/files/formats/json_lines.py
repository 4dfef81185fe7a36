"""JSON lines: the records as they came, one on a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from kitestring import arrow, json_codec
from kitestring.batch import Batch
from kitestring.files import column, row_key
from kitestring.files.formats.format import DamageError, EncodedFiles, Format, blocks, compress
from kitestring.files.record_table import split_storable, with_safe_names
from kitestring.paths import at
from kitestring.types import Record, Stream

if TYPE_CHECKING:
    import pyarrow as pa

REPLACEMENT = "\ufffd".encode()


class JsonLines(Format):
    """A line is a record."""

    name = "jsonl"

    def encode_batch(self, stream: Stream, batch: Batch) -> EncodedFiles:
        rows, rejects = split_storable(stream, batch, typed=False)
        text = json_codec.lines(rows)
        if REPLACEMENT in text:
            text = json_codec.lines(with_safe_names(rows))
        return EncodedFiles([compress(text, self.compression)] if rows else [], len(rows), rejects)

    def empty(self, stream: Stream) -> None:
        return None

    def schema(self, file: BinaryIO) -> pa.Schema:
        import pyarrow as pa

        fields: dict[str, column.TypeSample] = {}
        for _, rows in self._rows(file):
            for name in dict.fromkeys(chain.from_iterable(rows)):
                fields.setdefault(name, column.TypeSample()).add(row.get(name) for row in rows)
        return pa.schema([pa.field(name, witnesses.type) for name, witnesses in fields.items()])

    def read(self, file: BinaryIO, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        if schema is None:
            schema = self.schema(file)
            file.seek(0)
        target = column.readable(schema)
        for start, rows in self._rows(file):
            columns = [column.of_values(f.name, [row.get(f.name) for row in rows], f.type, start) for f in target]
            yield column.table_of(target, columns, len(rows))

    def count(self, file: BinaryIO, without: str | None = None) -> int:
        if without is None:
            last, count = b"\n", 0
            for block in blocks(file, self.compression):
                count, last = count + block.count(b"\n"), block
            return count + (not last.endswith(b"\n"))
        return sum(self.values(table, without).count(None) for table in self.raw(file))

    def encode(self, tables: Sequence[pa.Table]) -> Any:
        lines = [text for table in tables for text in table.column("line").to_pylist()]
        return compress(b"\n".join([*lines, b""]), self.compression)

    def raw(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        import pyarrow as pa

        rest = b""
        for block in blocks(file, self.compression):
            *lines, rest = (rest + block).split(b"\n")
            if lines:
                yield pa.table({"line": pa.array(lines, pa.large_binary())})
        if rest.strip():  # a file of another program may not end with a line break
            yield pa.table({"line": pa.array([rest], pa.large_binary())})

    def repair(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa

        lines = [repaired_line(line) for line in table.column("line").to_pylist()]
        return pa.table({"line": pa.array(lines, pa.large_binary())})

    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        rows = [json_codec.loads(text) if text.strip() else {} for text in table.column("line").to_pylist()]
        columns = []
        for path in stream.primary_key:
            kind, values = row_key.kind_of(stream.schema, path), [at(row, path) for row in rows]
            columns.append([row_key.parts(values, row_key.declared_part(kind))])
            if kind == "number" and not exact and any(isinstance(value, str) for value in values):
                spelled = [row_key.spelled_part(v, True) if isinstance(v, str) else row_key.part_of(v) for v in values]
                columns[-1].append(row_key.parts(spelled, lambda text: text))
        return row_key.readings(columns)

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

    def _rows(self, file: BinaryIO) -> Iterator[tuple[int, list[Record]]]:
        """The number of records before, and the records, in blocks. Empty lines are ignored."""
        lines = records = 0
        for table in self.raw(file):
            rows: list[Record] = []
            for number, line in enumerate(table.column("line").to_pylist(), lines + 1):
                if not line.strip():
                    continue
                try:
                    row = json_codec.loads(line)
                except json_codec.JsonError as error:
                    raise DamageError(f"line {number:,}: {error}") from None
                if not isinstance(row, dict):
                    raise DamageError(f"line {number:,}: a JSON object is expected, not {arrow.excerpt(row)}")
                rows.append(row)
            if rows:
                yield records, rows
            lines, records = lines + table.num_rows, records + len(rows)


def repaired_line(line: bytes) -> bytes:
    """A line that every JSON reader accepts: without lone surrogates and bare words for floats."""
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return json_codec.dumps(json_codec.loads(line)) if line.strip() else line
    return line

"""CSV: texts are in quotes, numbers, booleans and times are not; nested values are JSON text, bytes base64.

Null is an empty cell, the empty text is `""`. When read back, a cell in quotes is a text, one without is the value that
it spells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from kitestring import arrow, arrow_values, json_codec
from kitestring.batch import Batch
from kitestring.files import column, row_key
from kitestring.files.formats.format import DamageError, EncodedFiles, Format, blocks, compress
from kitestring.files.record_table import by_kind, is_open, split_storable, table_of
from kitestring.paths import at
from kitestring.schema import DECIMAL_DIGITS
from kitestring.types import Path, Record, Reject, Stream

if TYPE_CHECKING:
    import pyarrow as pa

HEADER = b"kitestring.header"
CELL = rb'(?:"[^"]*+(?:""[^"]*+)*+"|[^,]*+)'
CELL_PATTERN = re.compile(CELL)
MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""


class Csv(Format):
    """A file has a header and records with as many cells; a text may contain line breaks."""

    name = "csv"

    def encode_batch(self, stream: Stream, batch: Batch) -> EncodedFiles:
        if batch.is_table:
            table = batch.table()
            return EncodedFiles([self._written(table)] if table.num_rows else [], table.num_rows)
        rows, rejects = split_storable(stream, batch, typed=True)
        paths = [path for path in stream.primary_key if is_open(stream.schema, path)]
        groups = by_kind(rows, paths) if paths else {(): rows}
        exact = len(groups) == 1 or stream.write.keep == "latest"
        if not exact:
            groups = {(): rows}
        files, count = [], 0
        for kinds, group in groups.items():
            key_kinds = list(zip(paths, kinds, strict=False))
            for path, kind in key_kinds:
                group, unfit_rows = distinguishable(group, path, kind)
                rejects = [*rejects, *unfit_rows]
            table, unfit_rows = table_of(group, stream.schema)
            rejects = [*rejects, *unfit_rows]
            for path, kind in key_kinds:
                if kind in ("number", "boolean"):
                    table = with_typed_key(table, path)
            if table.num_rows:
                files.append(self._written(table))
                count += table.num_rows
        return EncodedFiles(files, count, rejects, exact)

    def empty(self, stream: Stream) -> Any:
        table = stream.arrow_schema.empty_table()
        return self._written(table) if table.num_columns else None

    def schema(self, file: BinaryIO) -> pa.Schema:
        import pyarrow as pa

        names: list[str] = []
        types: list[column.TypeSample] = []
        for header, start, lines in self._lines(file):
            names = names or distinct_names(header)
            types = types or [column.TypeSample() for _ in names]
            rows = [cells_of(line, len(names), start + n) for n, line in enumerate(lines, 1)]
            for place, witnesses in enumerate(types):
                witnesses.add(value_of(row[place]) for row in rows)
        return pa.schema([pa.field(name, witnesses.type) for name, witnesses in zip(names, types, strict=True)])

    def read(self, file: BinaryIO, schema: pa.Schema | None = None) -> Iterator[pa.Table]:
        import pyarrow as pa

        if schema is None:
            schema = self.schema(file)
            file.seek(0)
        target = column.readable(schema)
        for header, start, lines in self._lines(file):
            names = distinct_names(header)
            places = [names.index(name) for name in target.names if name in names]
            texts = iter(texts_of(lines, places, len(names), start))
            columns = [
                column.of_texts(field.name, next(texts), field.type, start)
                if field.name in names
                else pa.nulls(len(lines), field.type)
                for field in target
            ]
            if lines:
                yield column.table_of(target, columns, len(lines))

    def count(self, file: BinaryIO, without: str | None = None) -> int:
        if without is not None:
            return sum(self.values(table, without).count(None) for table in self.raw(file))
        return max(0, sum(len(lines) for lines in self._records(file)) - 1)

    def raw(self, file: BinaryIO, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        for header, lines in self._parts(file):
            if lines:
                yield lines_table(header, lines)

    def same(self, table: pa.Table, other: pa.Table) -> bool:
        return header_of(table) == header_of(other)

    def encode(self, tables: Sequence[pa.Table]) -> Any:
        lines = [line for table in tables for line in table.column("line").to_pylist()]
        return compress(b"\n".join([header_of(tables[0]), *lines, b""]), self.compression)

    def keys(self, table: pa.Table, stream: Stream, exact: bool) -> list[Any]:
        fields = list(dict.fromkeys(path[0] for path in stream.primary_key))
        cells = dict(zip(fields, self._cells(table, fields), strict=True))
        return row_key.readings(
            [
                cell_parts(cells[path[0]], path, row_key.kind_of(stream.schema, path), exact)
                for path in stream.primary_key
            ]
        )

    def values(self, table: pa.Table, name: str) -> list[Any]:
        return [text_of(cell) for cell in self._cells(table, [name])[0]]

    def mark(self, table: pa.Table, name: str, values: Sequence[Any], schema: Mapping[str, Any]) -> pa.Table:
        header, lines = header_of(table), table.column("line").to_pylist()
        names = header_names(header)
        marks = [b"" if value is None else quoted_cell(arrow.text(value)) for value in values]
        if name not in names:
            new = [line + b"," + mark for line, mark in zip(lines, marks, strict=True)]
            return lines_table(header + b"," + quoted_cell(name), new)
        pattern = cells_pattern((names.index(name),))
        for n, mark in enumerate(marks):
            match = pattern.match(lines[n]) if mark else None
            if match and not match[1]:
                lines[n] = lines[n][: match.start(1)] + mark + lines[n][match.end(1) :]
        return lines_table(header, lines)

    def _written(self, table: pa.Table) -> Any:
        import pyarrow as pa
        import pyarrow.csv as csv

        sink = pa.BufferOutputStream()
        csv.write_csv(flat(table), sink)
        return compress(sink.getvalue(), self.compression)

    def _records(self, file: BinaryIO) -> Iterator[list[bytes]]:
        """The raw records of a file in blocks, the header included; a text may contain line breaks."""
        rest = b""
        for block in blocks(file, self.compression):
            data = rest + block
            whole = data.rfind(b"\n") + 1
            lines, rest = data[:whole].split(b"\n")[:-1], data[whole:]
            odd = [n for n, line in enumerate(lines) if line.count(b'"') & 1]
            if len(odd) % 2:  # a text continues in the next block
                rest = b"\n".join([*lines[odd[-1] :], rest])
                del lines[odd.pop() :]
            if odd:
                lines = with_line_breaks(lines, odd)
            if lines:
                yield lines
        if rest.count(b'"') & 1:
            raise DamageError(
                "a quote is opened in the last record and not closed: the file is cut off, or a quote in "
                "a text is not doubled"
            )
        if rest.strip():
            yield [rest]

    def _parts(self, file: BinaryIO) -> Iterator[tuple[bytes, list[bytes]]]:
        """The header, and the raw records in blocks; the first block may be empty."""
        header: bytes | None = None
        for lines in self._records(file):
            if header is None:
                header, *lines = lines
                header = header.removeprefix(MARK)
            yield header, lines

    def _lines(self, file: BinaryIO) -> Iterator[tuple[bytes, int, list[bytes]]]:
        """The header, the number of records before, and the records, in blocks.

        An empty line is a record if there is one column, else it is ignored.
        """
        start = 0
        for header, whole in self._parts(file):
            lines = [line.removesuffix(b"\r") for line in whole]
            if len(header_names(header)) > 1:
                lines = [line for line in lines if line]
            yield header, start, lines
            start += len(lines)

    def _cells(self, table: pa.Table, fields: Sequence[str]) -> list[list[bytes | None]]:
        """The raw cells of some columns; None for a column that does not exist."""
        names = header_names(header_of(table))
        places = {name: names.index(name) for name in fields if name in names}
        if not places:
            return [[None] * table.num_rows for _ in fields]
        positions = tuple(sorted(places.values()))
        matches = [cells_pattern(positions).match(line) for line in table.column("line").to_pylist()]
        return [
            [match[positions.index(places[name]) + 1] if match else None for match in matches]
            if name in places
            else [None] * table.num_rows
            for name in fields
        ]


def lines_table(header: bytes, lines: Sequence[bytes]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"line": pa.array(lines, pa.large_binary())}).replace_schema_metadata({HEADER: header})


def header_of(table: pa.Table) -> bytes:
    return bytes(table.schema.metadata[HEADER])


@lru_cache(maxsize=100)
def header_names(header: bytes) -> list[str]:
    """The names of the columns in the first record."""
    return [text_of(cell) or "" for cell in cells_of(header.removesuffix(b"\r"))]


def distinct_names(header: bytes) -> list[str]:
    """The names, with a number added to repeated ones."""
    return arrow_values.distinct_names(header_names(header))


def cells_of(record: bytes, count: int = 0, number: int = 0) -> list[bytes]:
    """The raw cells of a record. `DamageError` if their number differs from that of the header."""
    if b'"' not in record:
        cells = record.split(b",")
    else:
        cells, place = [], 0
        while place <= len(record):
            match = CELL_PATTERN.match(record, place)
            assert match is not None  # it matches an empty cell too
            cells.append(match[0])
            place = match.end() + 1
            if record[place - 1 : place] not in (b",", b""):
                where = f"record {number:,}" if number else "the header"
                raise DamageError(f"{where}: there is text after the closing quote of cell {len(cells)}")
    if count and len(cells) != count:
        raise DamageError(f"record {number:,} has {len(cells)} cells, and the header {count} columns")
    return cells


def value_of(cell: bytes) -> Any:
    """The value of a cell without a declared type: in quotes a text, else the value that it spells."""
    text = text_of(cell)
    return text if text is None or cell[:1] == b'"' else column.parse_text(text)


def texts_of(lines: Sequence[bytes], places: Sequence[int], count: int, start: int) -> list[pa.Array]:
    """The texts of some columns of records; an empty cell is null."""
    import pyarrow as pa
    import pyarrow.csv as csv

    data, names = b"\n".join([*lines, b""]), [f"f{n}" for n in range(count)]
    options = {
        "read_options": csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
        "parse_options": csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        "convert_options": csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=[names[place] for place in dict.fromkeys(places)],
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }
    try:
        table = None if not places or data.startswith(MARK) else csv.read_csv(pa.BufferReader(data), **options)
    except (pa.ArrowException, UnicodeDecodeError):
        table = None  # the record is found below
    if table is not None and table.num_rows == len(lines):
        return [table.column(names[place]).combine_chunks() for place in places]
    rows = [cells_of(line, count, start + n) for n, line in enumerate(lines, 1)]
    return [pa.array([text_of(row[place]) for row in rows], pa.string()) for place in places]


@lru_cache(maxsize=100)
def cells_pattern(places: tuple[int, ...]) -> re.Pattern[bytes]:
    """Match a record up to the last of these cells, each of which is a group."""
    cells = [b"(" + CELL + b")" if n in places else CELL for n in range(places[-1] + 1)]
    return re.compile(b",".join(cells))


def with_line_breaks(lines: Sequence[bytes], odd: Sequence[int]) -> list[bytes]:
    """The lines, those of one text joined. `odd`: the lines with an odd count of quotes, which open or close one."""
    records: list[bytes] = []
    start = 0
    for opening, closing in zip(odd[::2], odd[1::2], strict=True):
        records += lines[start:opening]
        records.append(b"\n".join(lines[opening : closing + 1]))
        start = closing + 1
    return [*records, *lines[start:]]


def text_of(cell: bytes | None) -> str | None:
    """The text in a cell; None for an empty cell."""
    if not cell or cell == b"\r":
        return None
    text = cell.decode(errors="replace")
    return text[1:-1].replace('""', '"') if text[0] == '"' else text.rstrip("\r")


def quoted_cell(text: str) -> bytes:
    return b'"' + text.replace('"', '""').encode() + b'"'


def cell_parts(cells: Sequence[bytes | None], path: Path, kind: str, exact: bool) -> list[Any]:
    """The texts of one part of the key. Cells that an earlier version merged are in quotes, whatever their kind."""
    texts = [text_of(cell) for cell in cells]
    if len(path) > 1:
        return [row_key.json_parts(texts, path[1:], kind)]
    if kind in ("text", "moment", "date", "binary"):
        return [row_key.parts(texts, row_key.declared_part(kind))]
    quotes = [bool(cell) and cell[:1] == b'"' for cell in cells]  # type: ignore[index]
    as_is = [
        row_key.part_of(text) if quote else row_key.spelled_part(text)
        for text, quote in zip(texts, quotes, strict=True)
    ]
    readings = [row_key.parts(as_is, lambda text: text)]
    if not exact and any(quotes):
        readings.append(row_key.parts(texts, row_key.spelled_part))
    return readings


def flat(table: pa.Table) -> pa.Table:
    """The table without types that CSV cannot write: nested values are JSON text, bytes base64."""
    import pyarrow as pa

    is_ = pa.types
    for n, field in enumerate(table.schema):
        type_, values = field.type, table.column(n)
        if is_.is_null(type_):
            table = table.set_column(n, field.name, values.cast(pa.string()))
        elif is_.is_float32(type_) and has_long_numbers(values):
            table = table.set_column(n, field.name, values.cast(pa.float64()))
        elif is_.is_nested(type_):
            texts = json_codec.texts(arrow_values.values(values))
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
        elif (
            is_.is_binary(type_)
            or is_.is_large_binary(type_)
            or is_.is_fixed_size_binary(type_)
            or not arrow_values.has_text(values)
        ):
            texts = [None if value is None else arrow.text(value) for value in arrow_values.values(values)]
            table = table.set_column(n, field.name, pa.array(texts, pa.string()))
    return table if table.num_columns else pa.table({"_": pa.nulls(table.num_rows, pa.string())})


def has_long_numbers(values: pa.ChunkedArray) -> bool:
    """Whether the shortest text of a 32-bit float, which Arrow writes, may be another integer."""
    import pyarrow.compute as pc

    return pc.any(pc.greater(pc.abs(values), 2.0**24)).as_py() is True


def distinguishable(rows: Sequence[Record], path: Path, kind: str) -> tuple[list[Record], list[Reject]]:
    """The records whose key CSV can represent with its kind, and the others. A column of texts is in quotes, where no
    reader could distinguish 1 from "1"."""
    if kind not in ("number", "boolean"):
        return list(rows), []
    floats = all(type(at(row, path)) is float for row in rows)
    accepted, rejects = [], []
    for row in rows:
        value = at(row, path)
        if len(path) == 1 and (kind == "boolean" or floats or is_short(value)):
            accepted.append(row)
        else:
            field = ".".join(path)
            reason = f"the primary key field {field}: {arrow.excerpt(value)} cannot be distinguished from a text in CSV"
            rejects.append(Reject(row, reason))
    return accepted, rejects


def is_short(number: Any) -> bool:
    """Whether a number has at most 38 digits before and after the point, so that all of a column fit one type."""
    value = number if isinstance(number, Decimal) else Decimal(repr(number))
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and -exponent <= DECIMAL_DIGITS and value.adjusted() < DECIMAL_DIGITS


def with_typed_key(table: pa.Table, path: Path) -> pa.Table:
    """The table with a key of numbers or booleans, which is there as JSON texts, in a column of its type."""
    import pyarrow as pa

    if not table.num_rows or not pa.types.is_string(table.schema.field(path[0]).type):
        return table
    values = [json_codec.loads(text) for text in table.column(path[0]).to_pylist()]
    kinds = set(map(type, values))
    if kinds == {bool}:
        type_ = pa.bool_()
    elif kinds == {float}:
        type_ = pa.float64()
    else:
        values = [value if isinstance(value, Decimal) else Decimal(repr(value)) for value in values]
        scale = max(0, *(-int(value.as_tuple().exponent) for value in values))
        type_ = pa.decimal256(2 * DECIMAL_DIGITS, scale)
    return table.set_column(table.column_names.index(path[0]), path[0], pa.array(values, type_))

"""ClickHouse's names, types and comparisons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from kitestring.filters import Scalar
from kitestring.json_codec import dumps_text
from kitestring.names import marked
from kitestring.sql import types
from kitestring.sql.dialect import Dialect
from kitestring.sql.identifiers import OWN
from kitestring.sql.row_filter import FALSE
from kitestring.sql.types import FLOATS, MOMENT, TEXT
from kitestring.sql.year_range import is_moment, lies_beyond
from kitestring.vendors import clickhouse

if TYPE_CHECKING:
    import pyarrow as pa

COPY, VERSION, DELETED = f"{OWN}copy", f"{OWN}version", f"{OWN}deleted"
"""The columns that every table has, and that `SELECT *` does not show. Of the rows with one key and one copy, that with
the highest version is the row, unless it says that it is deleted. The copy is 0 where the last version is kept, and
unique where all are."""

HIDDEN = (COPY, VERSION, DELETED)

SPELLED = {
    "TINYINT": "Int8", "SMALLINT": "Int16", "INTEGER": "Int32", "BIGINT": "Int64",
    "UTINYINT": "UInt8", "USMALLINT": "UInt16", "UINTEGER": "UInt32", "UBIGINT": "UInt64",
    "FLOAT": "Float32", "DOUBLE": "Float64", "BOOLEAN": "Bool", TEXT: "String", "BLOB": "String", "DATE": "Date32",
    "TIMESTAMP": "DateTime64(6, 'UTC')", MOMENT: "DateTime64(6, 'UTC')", "UUID": "UUID", "JSON": "String",
}  # fmt: skip
"""The types of columns, all of them Nullable."""

COMMENTS = {"TIMESTAMP": "without a time zone", "JSON": "JSON", "BLOB": "bytes"}
"""The comments of columns whose type alone does not say what they hold."""

KINDS = {(name, COMMENTS.get(kind, "")): kind for kind, name in SPELLED.items()}
"""The kind of a type and a comment."""

WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)", re.DOTALL)
DECIMAL = re.compile(r"Decimal\((\d+), ?(\d+)\)")
MOST_DIGITS = 38

FILE_BYTES, SCHEMA_BYTES = 150, 60
"""The most bytes of a table's or column's name and of a database's, as parts of file names: a character beyond A to Z,
a to z, 0 to 9 and `_` takes three for each of its bytes there. A database and a table may have 213 together."""

FIRST_S, END_S = -2_208_988_800, 10_413_792_000
"""The seconds from 1970 to the first day of 1900, and to the end of 2299: what Date32 and DateTime64 hold."""


class ClickhouseDialect(Dialect):
    """Names are case-sensitive, of any characters."""

    title: ClassVar[str] = "ClickHouse"
    staged_row: ClassVar[str] = "n"
    random_id: ClassVar[str] = "toString(generateUUIDv4())"
    has_json: ClassVar[bool] = True
    longest_name: ClassVar[int | None] = FILE_BYTES
    reserved_schemas: ClassVar[frozenset[str]] = frozenset(
        # The last two are aliases in statements, where a database of that name could not be named.
        {"system", "information_schema", "INFORMATION_SCHEMA", "kept", "incoming"}
    )
    reserved_names: ClassVar[frozenset[str]] = frozenset(
        {
            *("_part", "_part_index", "_part_uuid", "_part_offset", "_part_data_version", "_part_starting_offset"),
            *("_partition_id", "_partition_value", "_sample_factor", "_row_exists", "_block_number", "_block_offset"),
            *("_table", "_database", "_disk_name", "_distance", "_part_granule_offset"),
        }
    )

    @property
    def row_order(self) -> str:
        """By version, and of one version as they are stored: an INSERT is one part of the table."""
        return f"{self.quoted(VERSION)}, _part, _part_offset"

    # -- names ---------------------------------------------------------------------------------------------------------

    def quoted(self, name: str) -> str:
        return clickhouse.quoted(name)

    def literal(self, text: str) -> str:
        return clickhouse.literal(text)

    def size(self, name: str) -> int:
        """In bytes of a file name."""
        encoded = name.encode("utf-8", "replace")
        return sum(1 if byte < 128 and (chr(byte).isalnum() or byte == 95) else 3 for byte in encoded)

    def safe(self, name: str) -> str:
        return super().safe(name.encode("utf-8", "replace").decode())

    def safe_schema(self, name: str) -> str:
        form = super().safe_schema(name)
        return form if self.size(form) <= SCHEMA_BYTES else marked(form, name, SCHEMA_BYTES, size=self.size)

    # -- types ---------------------------------------------------------------------------------------------------------

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        is_ = pa.types
        if isinstance(type_, pa.BaseExtensionType):
            return super().plain_type(type_)
        if is_.is_unsigned_integer(type_):
            return type_
        if is_.is_date(type_):
            return pa.date32()
        if is_.is_time(type_):
            return pa.string()
        if is_.is_decimal(type_):
            fits = 0 <= type_.scale <= type_.precision <= MOST_DIGITS
            return pa.decimal128(type_.precision, type_.scale) if fits else pa.string()
        if is_.is_large_binary(type_) or is_.is_fixed_size_binary(type_):
            return pa.binary()
        return super().plain_type(type_)

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        """A date out of the range would become another one."""
        if is_moment(column.type) and lies_beyond(column, FIRST_S, END_S):
            return "ClickHouse has the years 1900 to 2299"
        return None

    def type_name(self, kind: str) -> str:
        if size := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
            return f"Nullable(Decimal({size[1]}, {size[2]}))"
        return f"Nullable({SPELLED[kind]})" if kind in SPELLED else kind

    def spelled(self, kind: str) -> str:
        """A kind in CREATE TABLE, with the comment that says what the type does not."""
        return f"{self.type_name(kind)} COMMENT {self.literal(COMMENTS.get(kind, ''))}"

    def kind(self, type_name: str) -> str:
        return self.column_kind(type_name, "")

    def column_kind(self, type_name: str, comment: str) -> str:
        """The kind of a column by its type and its comment; one of a user may have another comment."""
        inner = type_name
        while (match := WRAPPED.fullmatch(inner)) is not None:
            inner = match[1]
        if size := DECIMAL.fullmatch(inner):
            return f"DECIMAL({size[1]},{size[2]})" if int(size[1]) <= MOST_DIGITS else type_name
        first = {"String": TEXT, SPELLED[MOMENT]: MOMENT}.get(inner) or KINDS.get((inner, ""))
        return KINDS.get((inner, comment)) or first or type_name

    def wider(self, left: str, right: str) -> str:
        if left == right:
            return left
        if {left, right} == {"UUID", "BLOB"}:
            return TEXT
        wide = types.wider(left, right)
        return "DECIMAL(20,0)" if wide == "HUGEINT" else wide

    def converted(self, value: str, kind: str, target: str) -> str:
        if kind == target or {kind, target} == {TEXT, "JSON"}:
            return value
        if target == TEXT:
            return text_of(value, kind)
        if kind == TEXT and target == MOMENT:
            return f"parseDateTime64BestEffort({value}, 6, 'UTC')"
        return f"CAST({value} AS {self.type_name(target)})"

    # -- reading -------------------------------------------------------------------------------------------------------

    def number(self, value: str, kind: str) -> str:
        return f"if(isNaN({value}), NULL, {value})" if kind in FLOATS else value

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        if kind != "JSON":
            return FALSE
        return f"has(JSONExtractArrayRaw(ifNull({value}, '')), {self.literal(dumps_text(item))})"


def text_of(value: str, kind: str) -> str:
    """A value as its text: the result of `arrow.text`."""
    text = f"toString({value})"
    if kind in FLOATS:  # an integral float is 1 in ClickHouse, 1.0 in JSON
        infinity = f"if({value} > 0, 'Infinity', '-Infinity')"
        whole = f"if(match({text}, '^-?[0-9]+$'), concat({text}, '.0'), {text})"
        return f"multiIf(isNaN({value}), 'NaN', isInfinite({value}), {infinity}, {whole})"
    if kind == "BLOB":
        return f"base64Encode({value})"
    if kind in ("TIMESTAMP", MOMENT):
        iso = f"replaceRegexpOne(replaceOne({text}, ' ', 'T'), '[.]?0*$', '')"
        return f"concat({iso}, '+00:00')" if kind == MOMENT else iso
    return value if kind in (TEXT, "JSON") else text


def hidden_columns(comment: str) -> Mapping[str, str]:
    """The definitions of the columns that a table has besides those of the kit. `comment`: that of the first."""
    return {
        COPY: f"UInt64 MATERIALIZED 0 COMMENT {clickhouse.literal(comment)} CODEC(Delta, ZSTD)",
        VERSION: "UInt64 MATERIALIZED 0 CODEC(ZSTD)",
        DELETED: "UInt8 MATERIALIZED 0 CODEC(ZSTD)",
    }


DIALECT = ClickhouseDialect()

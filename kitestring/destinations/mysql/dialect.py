"""MySQL's names, types and comparisons."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, ClassVar

from kitestring.filters import Scalar
from kitestring.json_codec import dumps_text
from kitestring.sql import types
from kitestring.sql.dialect import Dialect
from kitestring.sql.identifiers import OWN
from kitestring.sql.row_filter import FALSE
from kitestring.sql.types import FLOATS, MOMENT, TEXT
from kitestring.sql.year_range import is_moment, lies_beyond
from kitestring.types import Path

if TYPE_CHECKING:
    import pyarrow as pa

ROW = f"{OWN}row"
"""The column that numbers the rows of every table: its primary key, which `SELECT *` does not show."""

SPELLED = {
    "TINYINT": "tinyint", "SMALLINT": "smallint", "INTEGER": "int", "BIGINT": "bigint",
    "UTINYINT": "tinyint unsigned", "USMALLINT": "smallint unsigned", "UINTEGER": "int unsigned",
    "UBIGINT": "bigint unsigned", "FLOAT": "double", "DOUBLE": "double", "BOOLEAN": "tinyint(1)", TEXT: "longtext",
    "BLOB": "longblob", "DATE": "date", "TIME": "time(6)", "TIMESTAMP": "datetime(6)", MOMENT: "datetime(6)",
    "UUID": "char(36)", "JSON": "longtext",
}  # fmt: skip
"""The types of new columns. A float has 64 bits: MySQL shows six digits of one with 32."""

COMMENTS = {MOMENT: "UTC", "JSON": "JSON", "UUID": "UUID"}
"""The comments of columns whose type alone does not say what they hold."""

KINDS = {(name, COMMENTS.get(kind, "")): kind for kind, name in SPELLED.items() if kind not in ("FLOAT",)}
"""The kind of a type and a comment."""

MOST_DIGITS, MOST_PLACES = 65, 30
"""The digits of a DECIMAL, and how many of them may be behind the point."""

FILE_BYTES = 240
"""The most bytes of a file's name that MySQL makes of a name: each character beyond letters and digits takes five."""

LONGEST = 64


class MysqlDialect(Dialect):
    """Column names are case-insensitive and have at most 64 characters of the Basic Multilingual Plane."""

    title: ClassVar[str] = "MySQL"
    row_id: ClassVar[str] = f'"{ROW}"'
    staged_row: ClassVar[str] = f'"{ROW}"'
    random_id: ClassVar[str] = "uuid()"
    has_json: ClassVar[bool] = True
    longest_name: ClassVar[int | None] = LONGEST
    reserved_schemas: ClassVar[frozenset[str]] = frozenset({"information_schema", "performance_schema", "mysql", "sys"})

    # -- names ---------------------------------------------------------------------------------------------------------

    def folded(self, name: str) -> str:
        """Without case and accents: what MySQL compares differs between its statements."""
        return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c)).casefold()

    def size(self, name: str) -> int:
        """In characters; more if the file of a table with this name would have too long a name."""
        is_plain = [character.isascii() and (character.isalnum() or character in "_$") for character in name]
        file_bytes = sum(1 if plain else 5 for plain in is_plain)
        return max(len(name), -(-file_bytes * LONGEST // FILE_BYTES))

    def safe(self, name: str) -> str:
        form = "".join(character if 0 < ord(character) < 0x10000 else "_" for character in name)
        form = form.encode("utf-8", "replace").decode().rstrip(" ") or "_"
        if self.is_own(form):
            form = f"_{form}"
        return self.fitted(form, name)

    # -- types ---------------------------------------------------------------------------------------------------------

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        is_ = pa.types
        if is_.is_unsigned_integer(type_):
            return type_
        if is_.is_floating(type_):
            return pa.float64()
        if is_.is_date(type_):
            return pa.date32()
        if is_.is_decimal(type_) and not (0 <= type_.scale <= MOST_PLACES and type_.precision <= MOST_DIGITS):
            return pa.string()
        if is_.is_decimal(type_):
            return type_
        return super().plain_type(type_)

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        """No NaN, no infinity, and years of four digits."""
        import pyarrow as pa
        import pyarrow.compute as pc

        is_, type_ = pa.types, column.type
        if is_.is_floating(type_) and not pc.all(pc.is_finite(column)).as_py() and column.null_count < len(column):
            return "MySQL has neither NaN nor infinity"
        if is_moment(type_) and lies_beyond(column):
            return "MySQL has the years 1 to 9999"
        return None

    def kind_of(self, type_: pa.DataType) -> str:
        import pyarrow as pa

        if pa.types.is_decimal(type_):
            return f"DECIMAL({type_.precision},{type_.scale})"
        return super().kind_of(type_)

    def type_name(self, kind: str) -> str:
        name = SPELLED.get(kind) or kind.replace("DECIMAL", "decimal")
        return f"{name} COMMENT {self.literal(COMMENTS[kind])}" if kind in COMMENTS else name

    def kind(self, type_name: str) -> str:
        """By the type, and the comment of the column behind it."""
        name, _, comment = type_name.replace("'", "").partition(" COMMENT ")
        name = re.sub(r"^((?:tiny|small|big)?int)\((?!1\))\d+\)", r"\1", name)  # MariaDB has a width for display
        kind = KINDS.get((name, comment)) or KINDS.get((name, ""))
        return kind or re.sub(r"^decimal(?=\(\d+,\d+\)$)", "DECIMAL", name)

    def wider(self, left: str, right: str) -> str:
        if left == right:
            return left
        if {left, right} == {"UUID", "BLOB"}:
            return TEXT
        wide = types.wider(left, right)
        if wide == "HUGEINT":
            return "DECIMAL(20,0)"
        sizes = [types.digits(kind) for kind in (left, right)]
        if wide == TEXT and sizes[0] and sizes[1]:
            whole, places = (max(place) for place in zip(*sizes, strict=True))
            if whole + places <= MOST_DIGITS and places <= MOST_PLACES:
                return f"DECIMAL({whole + places},{places})"
        return wide

    def converted(self, value: str, kind: str, target: str) -> str:
        if kind == target:
            return value
        if kind == TEXT and target == MOMENT:
            return utc_of_text(value)
        return text_of(value, kind) if target == TEXT else value

    # -- reading -------------------------------------------------------------------------------------------------------

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        if kind != "JSON":
            return FALSE
        return f"(json_type({value}) = 'ARRAY' AND json_contains({value}, {self.literal(dumps_text(item))}))"

    # -- comparisons ---------------------------------------------------------------------------------------------------

    def same(self, left: str, right: str, nullable: bool) -> str:
        return f"{left} <=> {right}" if nullable else f"{left} = {right}"

    def inner(self, value: str, kind: str, path: Path, text: bool) -> str:
        steps = "".join('."' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in path[1:])
        inner = f"nullif(CAST(json_extract({value}, {self.literal('$' + steps)}) AS CHAR), 'null')"
        if text:
            return f"CASE WHEN json_valid({value}) THEN json_unquote({inner}) END"
        whole = f"CASE WHEN {inner} REGEXP '^-?[0-9]+[.]0+$' THEN substring_index({inner}, '.', 1) ELSE {inner} END"
        return f"CASE WHEN NOT json_valid({value}) THEN NULL WHEN {whole} = '-0' THEN '0' ELSE {whole} END"

    def delete(self, reference: str, incoming: str, condition: str) -> str:
        return f"DELETE kept FROM {incoming} AS incoming STRAIGHT_JOIN {reference} AS kept ON {condition}"

    def update(self, reference: str, assignments: str, incoming: str, condition: str) -> str:
        return (
            f"UPDATE {incoming} AS incoming STRAIGHT_JOIN {reference} AS kept ON {condition} "  # noqa: S608 - quoted
            f"SET kept.{assignments}"
        )


def text_of(value: str, kind: str) -> str:
    """A value as its text: the result of `arrow.text`."""
    text = f"CAST({value} AS CHAR)"
    if kind == "BOOLEAN":
        return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE {text} END"
    if kind in FLOATS:  # an integral float is 1 in MySQL, 1.0 in JSON
        return f"CASE WHEN {text} REGEXP '^-?[0-9]+$' THEN {text} || '.0' ELSE {text} END"
    if kind == "BLOB":
        return f"replace(to_base64({value}), CHAR(10), '')"
    if kind in ("TIME", "TIMESTAMP", MOMENT):
        trimmed = f"trim(TRAILING '.' FROM trim(TRAILING '0' FROM {text}))"
        return {"TIME": trimmed, "TIMESTAMP": f"replace({trimmed}, ' ', 'T')"}.get(
            kind, f"replace({trimmed}, ' ', 'T') || '+00:00'"
        )
    return value if kind in (TEXT, "JSON", "UUID") else text


def utc_of_text(value: str) -> str:
    """A moment as text, with `Z` or an offset, as a date-time in UTC. (CONVERT_TZ leaves years beyond 2038.)"""
    offset = f"CASE WHEN {value} REGEXP '[+-][0-9]{{2}}:[0-9]{{2}}$' THEN right({value}, 6) ELSE '+00:00' END"
    local = f"regexp_replace({value}, '(Z|[+-][0-9]{{2}}:[0-9]{{2}})$', '')"
    moment = f"CAST(replace({local}, 'T', ' ') AS DATETIME(6))"
    minutes = f"(substring({offset}, 2, 2) * 60 + right({offset}, 2)) * IF(left({offset}, 1) = '-', -1, 1)"
    return f"({moment} - INTERVAL {minutes} MINUTE)"


DIALECT = MysqlDialect()

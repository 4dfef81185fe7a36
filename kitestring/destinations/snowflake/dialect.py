"""Snowflake's names, types and comparisons."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.filters import Scalar
from kitestring.json_codec import dumps_text
from kitestring.sql import types
from kitestring.sql.airbyte_column import AIRBYTE_COLUMNS
from kitestring.sql.dialect import Dialect
from kitestring.sql.identifiers import KEY, OWN, ascii_folded
from kitestring.sql.json_number import inexact_number
from kitestring.sql.types import FLOATS, INTEGERS, MOMENT, TEXT, widest_type
from kitestring.sql.year_range import is_moment, lies_beyond
from kitestring.types import Path

if TYPE_CHECKING:
    import pyarrow as pa

ROW = f"{OWN}row"
"""The column that numbers the staged rows."""

STAGED_COLUMN = re.compile(r"incoming\.c\d+")
MOST_DIGITS, MOST_PLACES = 38, 37
MOST_TEXT_BYTES, MOST_BYTES = 16_777_216, 8_388_608
"""The size of a VARCHAR or VARIANT and of a BINARY (https://docs.snowflake.com/en/sql-reference/data-types-text)."""

DAY_US = 86_400_000_000

SPELLED = {
    "BIGINT": "NUMBER(19,0)", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", TEXT: "VARCHAR", "BLOB": "BINARY",
    "DATE": "DATE", "TIME": "TIME(6)", "TIMESTAMP": "TIMESTAMP_NTZ(6)", MOMENT: "TIMESTAMP_TZ(6)", "JSON": "VARIANT",
}  # fmt: skip
"""The types of new columns. 19 digits hold every integer of 64 bits."""

KINDS = {
    "FLOAT": "DOUBLE", "REAL": "DOUBLE", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN", "VARCHAR": TEXT, "TEXT": TEXT,
    "BINARY": "BLOB", "DATE": "DATE", "TIME": "TIME", "TIMESTAMP_NTZ": "TIMESTAMP", "TIMESTAMP_TZ": MOMENT,
    "TIMESTAMP_LTZ": MOMENT, "VARIANT": "JSON",
}  # fmt: skip

FORMATS = {
    "DATE": "YYYY-MM-DD",
    "TIME": "HH24:MI:SS.FF6",
    "TIMESTAMP": 'YYYY-MM-DD"T"HH24:MI:SS.FF6',
    MOMENT: 'YYYY-MM-DD"T"HH24:MI:SS.FF6',
}


class SnowflakeDialect(Dialect):
    """Names are in capitals, so that queries need no quotation marks; types are those of Snowflake."""

    title: ClassVar[str] = "Snowflake"
    staged_row: ClassVar[str] = f'"{ROW}"'
    row_id: ClassVar[str] = ""
    random_id: ClassVar[str] = "UUID_STRING()"
    has_json: ClassVar[bool] = True
    longest_name: ClassVar[int | None] = 255
    reserved_schemas: ClassVar[frozenset[str]] = frozenset({"information_schema"})

    def page_order(self, columns: int) -> str:
        """Tables have no order of their own: a page is ordered by all of its columns."""
        return ", ".join(map(str, range(1, columns + 1)))

    # -- names ---------------------------------------------------------------------------------------------------------

    def folded(self, name: str) -> str:
        """Names that differ in case would be one name in capitals."""
        return ascii_folded(name)

    def safe(self, name: str) -> str:
        """In capitals, as Snowflake reads a name without quotation marks."""
        name = capitals(name)
        form = name.replace("\x00", "_") or "_"
        if self.is_own(form):
            form = f"_{form}"
        return self.fitted(form, name)

    def candidates(self, name: str, form: str) -> list[str]:
        return super().candidates(capitals(name), form)

    def stored(self, name: str) -> str:
        """A name as the catalog has it: ours and Airbyte's are in capitals too."""
        return capitals(name) if self.is_own(name) or name in AIRBYTE_COLUMNS else name

    def known(self, name: str) -> str:
        """The name of a column of the catalog as the kit has it."""
        folded = self.folded(name)
        if folded in AIRBYTE_COLUMNS:
            return folded
        return f"{KEY}{name[len(KEY) :]}" if folded.startswith(KEY) else name

    def quoted(self, name: str) -> str:
        return super().quoted(self.stored(name))

    def literal(self, text: str) -> str:
        """A backslash begins an escape in a text of Snowflake."""
        return super().literal(text.replace("\\", "\\\\"))

    # -- types ---------------------------------------------------------------------------------------------------------

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        is_ = pa.types
        if isinstance(type_, pa.BaseExtensionType):
            return type_ if type_.extension_name == "arrow.json" else self.plain_type(type_.storage_type)
        if (widest := widest_type(type_)) is not None:
            return widest
        if is_.is_decimal(type_) and not (0 <= type_.scale <= MOST_PLACES and type_.precision <= MOST_DIGITS):
            return pa.string()
        plain = super().plain_type(type_)
        return pa.int64() if plain is not None and is_.is_signed_integer(plain) else plain

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        import pyarrow as pa
        import pyarrow.compute as pc

        is_, type_ = pa.types, column.type
        if isinstance(type_, pa.BaseExtensionType) and type_.extension_name == "arrow.json":
            texts = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.string())
            number = inexact_number(texts, has_few_digits)
            inexact = f"a number in a document of Snowflake has at most {MOST_DIGITS} digits, this is {number}"
            return too_long(texts, MOST_TEXT_BYTES, "a document") or (inexact if number else None)
        if is_.is_string(type_) or is_.is_large_string(type_):
            return too_long(column, MOST_TEXT_BYTES, "a text")
        if is_.is_binary(type_) or is_.is_large_binary(type_):
            return too_long(column, MOST_BYTES, "a binary value")
        if is_.is_time(type_) and (pc.max(column.cast(pa.int64())).as_py() or 0) >= DAY_US:
            return "Snowflake has no time 24:00:00"
        if is_moment(type_) and lies_beyond(column):
            return "Snowflake has the years 1 to 9999"
        return None

    def kind_of(self, type_: pa.DataType) -> str:
        kind = super().kind_of(type_)
        return "BIGINT" if kind in INTEGERS else "DOUBLE" if kind in FLOATS else kind

    def type_name(self, kind: str) -> str:
        if kind in INTEGERS:
            return SPELLED["BIGINT"] if kind != "HUGEINT" else f"NUMBER({MOST_DIGITS},0)"
        return SPELLED.get(kind) or SPELLED.get(kind.replace("FLOAT", "DOUBLE")) or kind.replace("DECIMAL", "NUMBER")

    def kind(self, type_name: str) -> str:
        """By the type as the catalog has it, with the size of a number; of a text only if it has a limit."""
        name, _, size = type_name.upper().rstrip(")").partition("(")
        if name in ("NUMBER", "DECIMAL", "NUMERIC"):
            digits, _, places = size.partition(",")
            is_integer = int(places or 0) == 0 and int(digits or MOST_DIGITS) <= 19
            return "BIGINT" if is_integer else f"DECIMAL({digits or MOST_DIGITS},{places or 0})"
        return KINDS.get(name, type_name)

    def wider(self, left: str, right: str) -> str:
        if left == right:
            return left
        if {left, right} == {"UUID", "BLOB"}:
            return TEXT
        wide = types.wider(left, right)
        if wide == "HUGEINT":
            return f"DECIMAL({MOST_DIGITS},0)"
        size = types.digits(wide) if wide.startswith("DECIMAL") else None
        return TEXT if size and size[1] > MOST_PLACES else wide

    def converted(self, value: str, kind: str, target: str) -> str:
        if kind == "JSON" and STAGED_COLUMN.fullmatch(value):  # a staged document is its text
            return value if target == TEXT else f"PARSE_JSON({value})"
        if kind == target:
            return value
        if target == TEXT:
            return text_of(value, kind)
        if target == "JSON":
            return f"PARSE_JSON({value})" if kind == TEXT else f"TO_VARIANT({value})"
        if kind == TEXT and target == MOMENT:
            return f"TO_TIMESTAMP_TZ({value})"
        return f"CAST({value} AS {self.type_name(target)})"

    # -- comparisons ---------------------------------------------------------------------------------------------------

    def inner(self, value: str, kind: str, path: Path, text: bool) -> str:
        inner = value if kind == "JSON" else f"TRY_PARSE_JSON({value})"
        for part in path[1:]:
            inner = f"GET({inner}, {self.literal(part)})"
        if text:
            return f"{inner}::VARCHAR"
        inner = f"NULLIF(TO_JSON({inner}), 'null')"
        whole = f"REGEXP_REPLACE({inner}, '^(-?[0-9]+)[.]0+$', '\\\\1')"
        return f"CASE WHEN {whole} = '-0' THEN '0' ELSE {whole} END"

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        literal = self.literal(dumps_text(item))
        return f"(IS_ARRAY({value}) AND ARRAY_CONTAINS(PARSE_JSON({literal}), {value}::ARRAY))"

    def delete(self, reference: str, incoming: str, condition: str) -> str:
        """By MERGE, whose table may have an alias."""
        return f"MERGE INTO {reference} AS kept USING {incoming} AS incoming ON {condition} WHEN MATCHED THEN DELETE"

    def update(self, reference: str, assignments: str, incoming: str, condition: str) -> str:
        return (
            f"MERGE INTO {reference} AS kept USING {incoming} AS incoming ON {condition} "
            f"WHEN MATCHED THEN UPDATE SET {assignments}"
        )


def capitals(name: str) -> str:
    """A name with the letters A to Z in place of a to z."""
    return name.encode("utf-8", "replace").upper().decode()


def text_of(value: str, kind: str) -> str:
    """A value as its text: the result of `arrow.text`."""
    if kind == "JSON":
        return f"TO_JSON({value})"
    if kind == "BLOB":
        return f"BASE64_ENCODE({value})"
    if kind not in FORMATS:
        return f"TO_VARCHAR({value})"
    moment = f"CONVERT_TIMEZONE('UTC', {value})" if kind == MOMENT else value
    text = f"TO_VARCHAR({moment}, '{FORMATS[kind]}')"
    if kind == "DATE":
        return text
    trimmed = f"RTRIM(RTRIM({text}, '0'), '.')"
    return f"{trimmed} || '+00:00'" if kind == MOMENT else trimmed


def has_few_digits(number: int | Decimal) -> bool:
    """Whether a VARIANT holds a number exactly: it has 38 digits, and otherwise floats of 64 bits."""
    value = Decimal(number)
    if not value.is_finite():
        return False
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    return max(len(digits), len(digits) + exponent, -exponent) <= MOST_DIGITS


def too_long(column: pa.ChunkedArray, most: int, what: str) -> str | None:
    import pyarrow.compute as pc

    longest: Any = pc.max(pc.binary_length(column)).as_py()
    return f"{what} of Snowflake has at most {most:,} bytes, this has {longest:,}" if (longest or 0) > most else None


DIALECT = SnowflakeDialect()

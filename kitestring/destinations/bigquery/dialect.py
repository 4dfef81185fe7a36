"""BigQuery's names, types and comparisons."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from kitestring.filters import Scalar
from kitestring.sql import types
from kitestring.sql.dialect import Dialect
from kitestring.sql.identifiers import OWN, ascii_folded
from kitestring.sql.json_number import inexact_number
from kitestring.sql.row_filter import FALSE
from kitestring.sql.types import FLOATS, INTEGERS, MOMENT, TEXT, widest_type
from kitestring.sql.year_range import is_moment, lies_beyond
from kitestring.types import Path

if TYPE_CHECKING:
    import pyarrow as pa

ROW = f"{OWN}row"
"""The column that numbers the staged rows."""

STAGED_COLUMN = re.compile(r"incoming\.c\d+")

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")
RESERVED_BEGINNINGS = (
    "_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier", "_change_", "__hs_",
)  # fmt: skip
"""Beginnings of names of columns that BigQuery refuses, in small letters
(https://cloud.google.com/bigquery/docs/schemas#column_names)."""

MOST_PLACES, MOST_WHOLE = 38, 38
"""The digits of a BIGNUMERIC that are always there, behind the point and in front of it."""

MOST_BYTES = 50 * 1024 * 1024
"""The most of a value: a row has at most 100 MB."""

DAY_US = 86_400_000_000

SPELLED = {
    "DOUBLE": "FLOAT64", "BOOLEAN": "BOOL", TEXT: "STRING", "BLOB": "BYTES", "DATE": "DATE", "TIME": "TIME",
    "TIMESTAMP": "DATETIME", MOMENT: "TIMESTAMP", "JSON": "JSON",
}  # fmt: skip

KINDS = {
    "INTEGER": "BIGINT", "INT64": "BIGINT", "FLOAT": "DOUBLE", "BOOLEAN": "BOOLEAN",
    **{name: kind for kind, name in SPELLED.items()},
}  # fmt: skip
"""Kinds by the names of the API and of SQL."""


class BigqueryDialect(Dialect):
    """Names have letters, digits and underscores, so that queries need no quotation marks."""

    title: ClassVar[str] = "BigQuery"
    row_id: ClassVar[str] = ""
    staged_row: ClassVar[str] = ROW
    random_id: ClassVar[str] = "GENERATE_UUID()"
    has_json: ClassVar[bool] = True
    longest_name: ClassVar[int | None] = 300
    reserved_schemas: ClassVar[frozenset[str]] = frozenset({"information_schema"})

    def page_order(self, columns: int) -> str:
        """Tables have no order of their own: a page is ordered by all of its columns."""
        return ", ".join(map(str, range(1, columns + 1)))

    # -- names ---------------------------------------------------------------------------------------------------------

    def quoted(self, name: str) -> str:
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def literal(self, text: str) -> str:
        escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
        return f"'{escaped}'"

    def folded(self, name: str) -> str:
        """Names of columns have no upper and lower case."""
        return ascii_folded(name)

    def safe(self, name: str) -> str:
        form = NOT_IN_NAMES.sub("_", name) or "_"
        if form[0].isdigit() or self.is_own(form):
            form = f"_{form}"
        if form.lower().startswith(RESERVED_BEGINNINGS):
            form = f"c{form}"
        return self.fitted(form, name)

    # -- types ---------------------------------------------------------------------------------------------------------

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        is_ = pa.types
        if isinstance(type_, pa.BaseExtensionType):
            return type_ if type_.extension_name == "arrow.json" else self.plain_type(type_.storage_type)
        if (widest := widest_type(type_)) is not None:
            return widest
        if is_.is_decimal(type_) and not (
            0 <= type_.scale <= MOST_PLACES and type_.precision - type_.scale <= MOST_WHOLE and type_.precision <= 38
        ):
            return pa.string()
        plain = super().plain_type(type_)
        return pa.int64() if plain is not None and is_.is_signed_integer(plain) else plain

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        import pyarrow as pa
        import pyarrow.compute as pc

        is_, type_ = pa.types, column.type
        if isinstance(type_, pa.BaseExtensionType) and type_.extension_name == "arrow.json":
            texts = pa.chunked_array([chunk.storage for chunk in column.chunks], pa.string())
            number = inexact_number(texts, is_exact)
            inexact = f"a number in a document of BigQuery has 64 bits, this is {number}"
            return too_long(texts) or (inexact if number else None)
        if is_.is_string(type_) or is_.is_large_string(type_) or is_.is_binary(type_) or is_.is_large_binary(type_):
            return too_long(column)
        if is_.is_time(type_) and (pc.max(column.cast(pa.int64())).as_py() or 0) >= DAY_US:
            return "BigQuery has no time 24:00:00"
        if is_moment(type_) and lies_beyond(column):
            return "BigQuery has the years 1 to 9999"
        return None

    def kind_of(self, type_: pa.DataType) -> str:
        kind = super().kind_of(type_)
        return "BIGINT" if kind in INTEGERS else "DOUBLE" if kind in FLOATS else kind

    def type_name(self, kind: str) -> str:
        if kind in INTEGERS:
            return "INT64" if kind != "HUGEINT" else "BIGNUMERIC(38)"
        size = types.digits(kind)
        if size:
            whole, places = size
            name = "NUMERIC" if places <= 9 and whole <= 29 else "BIGNUMERIC"
            return f"{name}({whole + places}, {places})" if places else f"{name}({whole})"
        return SPELLED.get(kind) or SPELLED.get(kind.replace("FLOAT", "DOUBLE"), kind)

    def kind(self, type_name: str) -> str:
        """By the name of the API or of SQL, a number with its digits."""
        name, _, size = type_name.upper().rstrip(")").partition("(")
        if name in ("NUMERIC", "BIGNUMERIC"):
            digits, _, places = size.partition(",")
            default = (38, 9) if name == "NUMERIC" else (76, 38)
            return f"DECIMAL({int(digits or default[0])},{int(places or (0 if digits else default[1]))})"
        return KINDS.get(name, type_name)

    def wider(self, left: str, right: str) -> str:
        if left == right:
            return left
        if {left, right} == {"UUID", "BLOB"}:
            return TEXT
        wide = types.wider(left, right)
        return "DECIMAL(38,0)" if wide == "HUGEINT" else wide

    def converted(self, value: str, kind: str, target: str) -> str:
        if kind == "JSON" and STAGED_COLUMN.fullmatch(value):  # a staged document is its text
            return value if target == TEXT else f"PARSE_JSON({value}, wide_number_mode => 'exact')"
        if kind == target:
            return value
        if target == TEXT:
            return text_of(value, kind)
        if target == "JSON":
            return f"PARSE_JSON({value}, wide_number_mode => 'exact')" if kind == TEXT else f"TO_JSON({value})"
        return f"CAST({value} AS {self.type_name(target).partition('(')[0]})"

    # -- reading -------------------------------------------------------------------------------------------------------

    def number(self, value: str, kind: str) -> str:
        return f"IF(IS_NAN({value}), NULL, {value})" if kind in FLOATS else value

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        if kind != "JSON":
            return FALSE
        literal = self.literal(item) if isinstance(item, str) else self.literal(str(item).lower())
        return f"{literal} IN UNNEST(JSON_VALUE_ARRAY({value}))"

    # -- comparisons ---------------------------------------------------------------------------------------------------

    def inner(self, value: str, kind: str, path: Path, text: bool) -> str:
        steps = "".join('."' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in path[1:])
        place = self.literal(f"${steps}")
        document = value if kind == "JSON" else f"SAFE.PARSE_JSON({value})"
        if text:
            return f"JSON_VALUE({document}, {place})"
        inner = f"NULLIF(TO_JSON_STRING(JSON_QUERY({document}, {place})), 'null')"
        whole = f"REGEXP_REPLACE({inner}, r'^(-?[0-9]+)[.]0+$', r'\\1')"
        return f"IF({whole} = '-0', '0', {whole})"

    def delete(self, reference: str, incoming: str, condition: str) -> str:
        """By MERGE, which joins also where the condition is more than an equality."""
        return f"MERGE INTO {reference} AS kept USING {incoming} AS incoming ON {condition} WHEN MATCHED THEN DELETE"

    def update(self, reference: str, assignments: str, incoming: str, condition: str) -> str:
        return (
            f"MERGE INTO {reference} AS kept USING {incoming} AS incoming ON {condition} "
            f"WHEN MATCHED THEN UPDATE SET {assignments}"
        )


def text_of(value: str, kind: str) -> str:
    """A value as its text: the result of `arrow.text`."""
    if kind in FLOATS:
        infinite = f"IF({value} > 0, 'Infinity', '-Infinity')"
        text = f"CAST({value} AS STRING)"
        return f"CASE WHEN IS_NAN({value}) THEN 'NaN' WHEN IS_INF({value}) THEN {infinite} ELSE {text} END"
    if kind == "JSON":
        return f"TO_JSON_STRING({value})"
    if kind == "BLOB":
        return f"TO_BASE64({value})"
    if kind == "TIMESTAMP":
        return f"REPLACE(CAST({value} AS STRING), ' ', 'T')"
    if kind == MOMENT:
        return f"CONCAT(REPLACE(CAST(DATETIME({value}, 'UTC') AS STRING), ' ', 'T'), '+00:00')"
    return f"CAST({value} AS STRING)"


def is_exact(number: int | Decimal) -> bool:
    """Whether JSON of BigQuery holds a number that is no float exactly."""
    return isinstance(number, int) and -(2**63) <= number < 2**64


def too_long(column: pa.ChunkedArray) -> str | None:
    import pyarrow.compute as pc

    longest: Any = pc.max(pc.binary_length(column)).as_py()
    return (
        f"a value here has at most {MOST_BYTES:,} bytes, this has {longest:,}" if (longest or 0) > MOST_BYTES else None
    )


DIALECT = BigqueryDialect()

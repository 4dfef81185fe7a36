"""PostgreSQL's names, types and comparisons."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from kitestring.filters import Scalar
from kitestring.json_codec import dumps_text
from kitestring.sql.dialect import Dialect
from kitestring.sql.row_filter import FALSE
from kitestring.sql.types import FLOATS, MOMENT, TEXT, digits
from kitestring.types import Path

if TYPE_CHECKING:
    import pyarrow as pa

SPELLED = {
    "TINYINT": "smallint", "SMALLINT": "smallint", "INTEGER": "integer", "BIGINT": "bigint", "FLOAT": "real",
    "DOUBLE": "double precision", "BOOLEAN": "boolean", TEXT: "text", "BLOB": "bytea", "DATE": "date",
    "TIME": "time without time zone", "TIMESTAMP": "timestamp without time zone", MOMENT: "timestamp with time zone",
    "UUID": "uuid", "JSON": "jsonb",
}  # fmt: skip
"""The types of new columns, in the form of `format_type`."""

KINDS = {spelled: kind for kind, spelled in SPELLED.items()} | {"character varying": TEXT}


class PostgresDialect(Dialect):
    """Names are case-sensitive and have at most 63 bytes. Objects and arrays are jsonb."""

    title: ClassVar[str] = "PostgreSQL"
    row_id: ClassVar[str] = "ctid"
    staged_row: ClassVar[str] = "ctid"
    # gen_random_uuid() calls the operating system each time, which takes longer than the rest of a row.
    random_id: ClassVar[str] = "md5(random()::text || random()::text)::uuid::text"
    stages_ids: ClassVar[bool] = True
    has_json: ClassVar[bool] = True
    longest_name: ClassVar[int | None] = 63
    reserved_names: ClassVar[frozenset[str]] = frozenset({"ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"})

    def safe_schema(self, name: str) -> str:
        form = super().safe_schema(name)
        return self.fitted(f"_{form}", name) if form.startswith("pg_") else form

    # -- types ---------------------------------------------------------------------------------------------------------

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        if pa.types.is_int8(type_):
            return pa.int16()
        return pa.date32() if pa.types.is_date(type_) else super().plain_type(type_)

    def type_name(self, kind: str) -> str:
        return SPELLED.get(kind) or kind.replace("DECIMAL", "numeric")

    def kind(self, type_name: str) -> str:
        return KINDS.get(type_name) or re.sub(r"^numeric(?=\()", "DECIMAL", type_name)

    def wider(self, left: str, right: str) -> str:
        # A user may have created such a column: it holds all digits.
        rest = {left, right} - {"numeric"}
        if "numeric" in (left, right) and all(digits(kind) for kind in rest):
            return "numeric"
        return super().wider(left, right)

    def converted(self, value: str, kind: str, target: str) -> str:
        if target != TEXT or kind == TEXT:
            if (kind, target) == ("UUID", "BLOB"):
                return f"uuid_send({value})"
            return value if kind == target else f"({value})::{self.type_name(target)}"
        text = f"({value})::text"
        if kind in FLOATS:  # an integral float is 1 in PostgreSQL, 1.0 in JSON
            return f"regexp_replace({text}, '^(-?[0-9]+)$', '\\1.0')"
        if kind == "BLOB":
            return f"translate(encode({value}, 'base64'), chr(10), '')"
        if kind in ("DATE", "TIMESTAMP", MOMENT):
            return moment_text(value, kind)
        return text

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def row_order(self) -> str:
        """None: a table is read in its own order (`READING`), and to sort it by `ctid` would read all of it."""
        return ""

    def number(self, value: str, kind: str) -> str:
        return f"nullif({value}, 'NaN')" if kind in FLOATS or kind == "numeric" or kind.startswith("DECIMAL") else value

    def ordered(self, text: str) -> str:
        return f'({text}) COLLATE "C"'

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        if kind != "JSON":
            return FALSE
        return f"(jsonb_typeof({value}) = 'array' AND {value} @> {self.literal(dumps_text([item]))}::jsonb)"

    # -- comparisons ---------------------------------------------------------------------------------------------------

    def same(self, left: str, right: str, nullable: bool) -> str:
        # Arrays compare nulls as equal, and unlike IS NOT DISTINCT FROM allow a hash join.
        return f"ARRAY[{left}] = ARRAY[{right}]" if nullable else f"{left} = {right}"

    def inner(self, value: str, kind: str, path: Path, text: bool) -> str:
        steps = ", ".join(map(self.literal, path[1:]))
        # Only a text that begins with a brace is an object; other texts are not JSON here.
        document = value if kind == "JSON" else f"(CASE WHEN {value} ~ '^\\s*[{{]' THEN {value} END)::jsonb"
        if text:
            return f"({document} #>> ARRAY[{steps}])"
        inner = f"nullif(({document} #> ARRAY[{steps}])::text, 'null')"
        whole = f"regexp_replace({inner}, '^(-?[0-9]+)[.]0+$', '\\1')"
        return f"regexp_replace({whole}, '^-0$', '0')"


def moment_text(value: str, kind: str) -> str:
    """A date or date-time in the form of `arrow_values`: the year before 1 is 0, years after 9999 have a sign."""
    form = "" if kind == "DATE" else '"T"HH24:MI:SS.US'
    finite = f"CASE WHEN isfinite({value}) THEN {value} END"
    year = f"extract(year FROM {finite})::int"
    # PostgreSQL's year before 1 is -1.
    counted = f"(CASE WHEN {year} < 0 THEN {year} + 1 ELSE {year} END)"
    sign = f"CASE WHEN {counted} < 0 THEN '-' WHEN {counted} > 9999 THEN '+' ELSE '' END"
    digits = f"lpad(abs({counted})::text, greatest(4, length(abs({counted})::text)), '0')"
    text = f"{sign} || {digits} || to_char({value}, '-MM-DD{form}')"
    if kind != "DATE":
        text = f"regexp_replace({text}, '[.]0+$|(?<=[.][0-9]*[1-9])0+$', '')"
    whole = f"({text}{' || ' + repr('+00:00') if kind == MOMENT else ''})"
    return f"(CASE WHEN isfinite({value}) THEN {whole} ELSE ({value})::text END)"

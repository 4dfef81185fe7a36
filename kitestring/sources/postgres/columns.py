"""Columns in the catalog: how each type is selected, and its JSON Schema and Arrow type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kitestring.schema import EXISTING_ROWS_DIFFER, VALUE_OF_EXISTING_ROWS, Schema
from kitestring.types import Stream, SyncMode
from kitestring.vendors.sql_quoting import literal, quoted

if TYPE_CHECKING:
    import pyarrow as pa

# How a type is selected, and its JSON Schema. Other types are read as PostgreSQL's text for them.
# ADBC reads the bare column binary: https://arrow.apache.org/adbc/current/driver/postgresql.html#supported-types
BOUNDED = "CASE WHEN {0} > '{1}' THEN '{1}' WHEN {0} < '{2}' THEN '{2}' ELSE {0} END"
DAYS = ("5874897-12-31", "4714-11-24 BC")
MOMENTS = ("294247-01-10 04:00:54.775807", "4714-11-24 00:00:00 BC")
"""The last and the first day that PostgreSQL has, the last moment that Arrow has, and the first one of PostgreSQL: what
the driver reads in place of `infinity` and `-infinity`. (`result.tables_of` makes them endless.)"""
TYPES: dict[str, tuple[str, dict[str, Any]]] = {
    "bool": ("{0}", {"type": ["boolean", "null"]}),
    "int2": ("{0}", {"type": ["integer", "null"]}),
    "int4": ("{0}", {"type": ["integer", "null"]}),
    "int8": ("{0}", {"type": ["integer", "null"]}),
    "oid": ("{0}::int8", {"type": ["integer", "null"]}),
    "float4": ("{0}", {"type": ["number", "null"]}),
    "float8": ("{0}", {"type": ["number", "null"]}),
    "text": ("{0}", {"type": ["string", "null"]}),
    "varchar": ("{0}", {"type": ["string", "null"]}),
    "bpchar": ("{0}", {"type": ["string", "null"]}),
    "bytea": ("{0}", {"type": ["string", "null"], "contentEncoding": "base64"}),
    "time": ("{0}", {"type": ["string", "null"], "format": "time", "airbyte_type": "time_without_timezone"}),
    "date": (BOUNDED.format("{0}", *DAYS), {"type": ["string", "null"], "format": "date"}),
    "timestamp": (
        BOUNDED.format("{0}", *MOMENTS),
        {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
    ),
    "timestamptz": (
        BOUNDED.format("{0}", "294247-01-10 04:00:54.775807+00", "4714-11-24 00:00:00+00 BC"),
        {"type": ["string", "null"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
    ),
    "money": ("({0}::numeric)::text", {"type": ["string", "null"], "airbyte_type": "big_number"}),
    "numeric": ("{0}::text", {"type": ["string", "null"], "airbyte_type": "big_number"}),
    "json": ("{0}::text", {"type": ["string", "null"], "contentMediaType": "application/json"}),
    "jsonb": ("{0}::text", {"type": ["string", "null"], "contentMediaType": "application/json"}),
}
# An array may have any number of dimensions, whatever its declaration: only JSON holds them all. Values that contain
# json keep its text: jsonb refuses \u0000, drops repeated keys and rewrites numbers.
AS_JSON = ("to_jsonb({0})::text", {"type": ["string", "null"], "contentMediaType": "application/json"})
WITH_JSON = ("to_json({0})::text", AS_JSON[1])
AS_TEXT = ("{0}::text", {"type": ["string", "null"]})
CURSORS = {
    "int2",
    "int4",
    "int8",
    "oid",
    "numeric",
    "float8",
    "date",
    "timestamp",
    "timestamptz",
    "text",
    "varchar",
    "uuid",
}

# A domain counts as its base type, with the nearest type modifier.
COLUMNS = """
WITH RECURSIVE types AS (
    SELECT oid, oid AS base, -1 AS typmod FROM pg_type WHERE typtype <> 'd'
  UNION ALL
    SELECT d.oid, t.base, CASE WHEN d.typtypmod <> -1 THEN d.typtypmod ELSE t.typmod END
    FROM pg_type d JOIN types t ON d.typbasetype = t.oid WHERE d.typtype = 'd'
)
SELECT n.nspname::text AS namespace, c.relname::text AS name, a.attname::text AS column,
       b.typname::text AS type, b.typtype::text AS kind, b.typcategory::text AS category,
       CASE WHEN a.atttypmod <> -1 THEN a.atttypmod ELSE t.typmod END AS typmod,
       (b.typcategory = 'A' OR b.typtype = 'c') AND EXISTS (
           WITH RECURSIVE parts AS (
               SELECT b.oid
             UNION
               SELECT inner_type.oid FROM parts JOIN pg_type part ON part.oid = parts.oid
               CROSS JOIN LATERAL (
                   SELECT part.typelem WHERE part.typcategory = 'A'
                 UNION ALL
                   SELECT part.typbasetype WHERE part.typtype = 'd'
                 UNION ALL
                   SELECT atttypid FROM pg_attribute
                   WHERE part.typtype = 'c' AND attrelid = part.typrelid AND attnum > 0 AND NOT attisdropped
               ) AS inner_type (oid)
           )
           SELECT FROM parts JOIN pg_type part ON part.oid = parts.oid WHERE part.typname IN ('json', 'hstore')
       ) AS holds_json,
       k.place AS key_place, format_type(a.atttypid, a.atttypmod) AS declared,
       coalesce(
           (a.attmissingval::text::text[])[1],
           (SELECT min((l.attmissingval::text::text[])[1]) FROM pg_partition_tree(c.oid) p
            JOIN pg_attribute l ON l.attrelid = p.relid AND l.attname = a.attname
            WHERE c.relkind = 'p' HAVING count(DISTINCT (l.attmissingval::text::text[])[1]) = 1)
       ) AS existing,
       c.relkind IN ('r', 'p') AND (a.atthasdef OR a.attgenerated <> '' OR a.attidentity <> '') AS defaulted,
       has_column_privilege(c.oid, a.attnum, 'SELECT') AS readable
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN types t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = t.base
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
LEFT JOIN LATERAL (
    SELECT place::int4 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS key (attnum, place)
    WHERE key.attnum = a.attnum AND place <= i.indnkeyatts
) k ON true
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND NOT (c.relispartition AND c.relkind IN ('r', 'p'))
  AND has_schema_privilege(n.oid, 'USAGE') AND {where}
ORDER BY 1, 2, a.attnum
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column in the catalog; `type` is the base type of its domain, `kind` and `category` as in pg_type.
    `holds_json`: an array or a composite type that contains json."""

    namespace: str
    name: str
    column: str
    type: str
    kind: str
    category: str
    typmod: int
    holds_json: bool
    key_place: int | None
    readable: bool
    declared: str = ""
    """The type as the table declares it."""
    existing: str | None = None
    """The text of the value in rows that are older than the column: PostgreSQL keeps it for a column that was added
    with a constant default. https://www.postgresql.org/docs/current/catalog-pg-attribute.html (attmissingval)"""
    defaulted: bool = False
    """The column has a default or is computed, so that older rows may have any value in it."""

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Precision and scale of a numeric, if it has them and Arrow's 128 bits hold it."""
        if self.type != "numeric" or self.typmod < 4:
            return None
        precision, scale = (self.typmod - 4) >> 16 & 0xFFFF, (self.typmod - 4) & 0x7FF
        return (precision, scale) if scale <= precision <= 38 else None

    @property
    def rule(self) -> tuple[str, dict[str, Any]]:
        if self.decimal:
            precision, scale = self.decimal
            keywords = {"airbyte_type": "big_number", "precision": precision, "scale": scale}
            return "{0}::text", {"type": ["number", "null"], **keywords}
        if self.category == "A" or self.kind == "c":
            return WITH_JSON if self.holds_json else AS_JSON
        return TYPES.get(self.type, AS_TEXT)

    @property
    def place(self) -> tuple[str, str, str]:
        return self.namespace, self.name, self.column

    def of_existing_rows(self, values: Mapping[tuple[str, str, str], Any]) -> dict[str, Any]:
        """The keyword for the rows that are older than the column, if it came with values."""
        if self.existing is not None:
            return {VALUE_OF_EXISTING_ROWS: values[self.place]}
        return {EXISTING_ROWS_DIFFER: True} if self.defaulted else {}

    @property
    def existing_as_json(self) -> str:
        """An expression for `existing` as JSON text: what a read of the column gives."""
        name, selected = quoted(self.column), self.rule[0].format(f"t.{quoted(self.column)}")
        if self.type == "bytea":
            selected = f"translate(encode({selected}, 'base64'), chr(10), '')"
        value = f"{literal(self.existing or '')}::{self.declared}"
        return f"(SELECT to_json({selected})::text FROM (SELECT {value} AS {name}) AS t)"  # noqa: S608 - quoted

    @property
    def arrow_type(self) -> pa.DataType:
        """The driver's type for the selected expression."""
        import pyarrow as pa

        if self.decimal:
            return pa.decimal128(*self.decimal)
        if self.category == "A" or self.kind == "c":
            return pa.string()
        return {
            "bool": pa.bool_(), "int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "oid": pa.int64(),
            "float4": pa.float32(), "float8": pa.float64(), "bytea": pa.binary(), "time": pa.time64("us"),
            "date": pa.date32(), "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us", "UTC"),
        }.get(self.type, pa.string())  # fmt: skip

    @property
    def selected(self) -> str:
        name = quoted(self.column)
        return f"{self.rule[0].format(f't.{name}')} AS {name}"


def stream_of(columns: Sequence[Column], values: Mapping[tuple[str, str, str], Any]) -> Stream:
    """The stream of a table. `values` has the JSON value for the `existing` of columns, by schema, table and name."""
    import pyarrow as pa

    readable = [c for c in columns if c.readable]
    key = sorted((c.key_place, c.column) for c in columns if c.key_place is not None)
    whole_key = all(c.readable for c in columns if c.key_place is not None)
    return Stream(
        columns[0].name,
        namespace=columns[0].namespace,
        schema=Schema(
            {"type": "object", "properties": {c.column: {**c.rule[1], **c.of_existing_rows(values)} for c in readable}},
            pa.schema([(c.column, c.arrow_type) for c in readable]),
        ),
        primary_key=tuple((name,) for _, name in key) if whole_key else (),
        sync_modes=(SyncMode.full_refresh, SyncMode.incremental)
        if any(c.type in CURSORS for c in readable)
        else (SyncMode.full_refresh,),
    )

"""Values as PostgreSQL writes them in its log, as the Arrow values that a read of the table gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kitestring.arrow import Misfit, fitting
from kitestring.arrow_values import ENDLESS
from kitestring.sources.postgres.columns import Column
from kitestring.vendors.postgres import rows
from kitestring.vendors.sql_quoting import literal

if TYPE_CHECKING:
    import pyarrow as pa

AS_WRITTEN = frozenset(
    {
        *("text", "varchar", "bpchar", "citext", "json", "jsonb", "numeric", "uuid", "xml", "interval", "timetz"),
        *(
            "bit",
            "varbit",
            "tsvector",
            "tsquery",
            "macaddr",
            "macaddr8",
            "cidr",
            "point",
            "line",
            "lseg",
            "box",
            "path",
        ),
        *("polygon", "circle", "vector", "pg_lsn", "geometry", "ltree", "hstore"),
    }
)
"""Types whose text in the log is also the text of a cast. (That of `inet` is not.)"""


def is_as_written(column: Column) -> bool:
    """True where the text in the log is what a read of the table gives."""
    if column.category == "A" or column.kind == "c":
        return False
    return column.kind in "erm" or column.type in AS_WRITTEN


def typed(column: Column, texts: pa.Array, convert: Callable[[Column, pa.Array], pa.Array]) -> pa.Array:
    """A column of the log. Decimals stay texts. `convert` casts texts at the server as the load selects them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    match column.type:
        case _ if column.decimal or is_as_written(column):
            return texts
        case "bool":
            return pc.equal(texts, "t")
        case "int2" | "int4" | "int8" | "oid" if column.category != "A":
            return texts.cast(column.arrow_type)
        case "float4" | "float8":
            return texts.cast(column.arrow_type)
        case "bytea":
            return pa.array([None if v is None else bytes.fromhex(v[2:]) for v in texts.to_pylist()], pa.binary())
        case "date" | "timestamp" | "timestamptz":
            return moments(texts, column.arrow_type)
        case "time":
            return times(texts)
    return convert(column, texts)


def moments(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Dates and times of any year, as in a read of the table."""
    import pyarrow as pa

    try:
        return texts.cast(type_)
    except pa.ArrowInvalid:
        fit = fitting(type_)
        return pa.array([None if text is None else moment(text, fit) for text in texts.to_pylist()], type_)


def moment(text: str, fit: Callable[[Any], Any]) -> Any:
    """A moment as Arrow holds it; what lies behind its last one is endless."""
    try:
        return fit(iso_text(text))
    except Misfit:
        return fit("infinity")


def iso_text(text: str) -> str:
    """A moment of PostgreSQL in ISO 8601: `0044-03-15 BC` is -0043-03-15, years of five digits have a sign."""
    if text in ENDLESS:
        return text
    year, _, rest = text.removesuffix(" BC").partition("-")
    if text.endswith(" BC"):
        return f"{'-' if int(year) > 1 else ''}{int(year) - 1:04}-{rest}"
    return f"+{text}" if len(year) > 4 else text


def times(texts: pa.Array) -> pa.Array:
    """Times of day; 24:00:00 is there too."""
    import pyarrow as pa
    import pyarrow.compute as pc

    last = pc.equal(texts, "24:00:00")
    moments = pc.binary_join_element_wise("1970-01-01", pc.if_else(last, "00:00:00", texts), " ")
    ticks = moments.cast(pa.timestamp("us")).view(pa.int64())
    return pc.if_else(last, pa.scalar(86_400_000_000), ticks).view(pa.time64("us"))


def converted(connection: Any, column: Column, type_name: str, texts: pa.Array) -> pa.Array:
    """Texts of the log, cast at the server as the load selects the column: the JSON of an array, say."""
    import pyarrow as pa

    values = sorted({value for value in texts.to_pylist() if value is not None})
    if not values:
        return pa.nulls(len(texts), pa.string())
    listed = ", ".join(f"({n}, {literal(value)})" for n, value in enumerate(values))
    selected = column.rule[0].format("t.v")
    query = (
        f"SELECT {selected} AS v FROM (SELECT n, x::{type_name} AS v FROM (VALUES {listed}) AS u (n, x)) AS t "  # noqa: S608 - quoted
        "ORDER BY n"
    )
    cast = {value: row["v"] for value, row in zip(values, rows(connection, query), strict=True)}
    return pa.array([cast.get(value) for value in texts.to_pylist()], pa.string())

"""DuckDB's SQL: that of its destination, and of what computes with DuckDB in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kitestring.errors import ConfigError
from kitestring.filters import Scalar
from kitestring.sql.dialect import Dialect
from kitestring.sql.error_rules import ErrorRule
from kitestring.sql.identifiers import ascii_folded
from kitestring.sql.row_filter import FALSE, is_number, number
from kitestring.sql.types import FLOATS, has_zone, is_nested
from kitestring.types import Path as FieldPath

if TYPE_CHECKING:
    import pyarrow as pa

SAFE = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
"""No name or statement loads an extension (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/) or refers
to a variable of this program."""

WRONG_LIMIT = ErrorRule(
    r"Memory must have a number|Unknown unit for memory",
    ConfigError,
    "`memory_limit` is no amount of memory: {text}",
    "Write it as 1GB or 512MiB.",
)


class DuckdbDialect(Dialect):
    """The kit's types are DuckDB's; names are case-insensitive."""

    title = "DuckDB"
    random_id = "CAST(uuid() AS VARCHAR)"
    compares = False  # it stages by a view of Arrow, and replacing all rows is cheaper than comparing them

    def folded(self, name: str) -> str:
        return ascii_folded(name)

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        import pyarrow as pa

        is_ = pa.types
        if isinstance(type_, pa.BaseExtensionType):
            return type_ if type_.extension_name == "arrow.uuid" else self.plain_type(type_.storage_type)
        if is_.is_dictionary(type_) or is_.is_run_end_encoded(type_):
            return self.plain_type(type_.value_type)
        if is_.is_decimal256(type_) or (is_.is_decimal(type_) and type_.scale < 0):
            return pa.string()
        if is_.is_float16(type_):
            return pa.float32()
        if is_.is_duration(type_):
            return pa.duration("us")  # an interval of DuckDB has microseconds: finer values do not fit
        return self.plain_nested(type_)

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        """An interval of DuckDB has microseconds: it would cut off finer digits."""
        import pyarrow as pa

        if pa.types.is_interval(column.type):
            for value in column.to_pylist():
                if value is not None and value.nanoseconds % 1000:
                    return f"the interval {value} has nanoseconds, DuckDB's has microseconds"
        return None

    def converted(self, value: str, kind: str, target: str) -> str:
        if kind == target:
            return value
        if target == "VARCHAR" and is_nested(kind):
            return f"CAST(to_json({value}) AS VARCHAR)"
        if target == "VARCHAR" and kind == "BLOB":
            return f"base64({value})"
        text = f"CAST({value} AS {target})"
        if target == "VARCHAR" and kind in FLOATS:
            infinity = f"CASE WHEN {value} > 0 THEN 'Infinity' ELSE '-Infinity' END"
            return f"CASE WHEN isnan({value}) THEN 'NaN' WHEN isinf({value}) THEN {infinity} ELSE {text} END"
        if target == "VARCHAR" and kind.startswith("TIMESTAMP"):
            text = f"regexp_replace({text}, ' (\\d\\d:)', 'T\\1')"
            # The time zone of the connection is UTC.
            return f"regexp_replace({text}, '[+]00$', '+00:00')" if has_zone(kind) else text
        return text

    def number(self, value: str, kind: str) -> str:
        return f"CASE WHEN NOT isnan({value}) THEN {value} END" if kind in FLOATS else value

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        element = kind.removesuffix("[]")
        if isinstance(item, str):
            fits = element == "VARCHAR"
            literal = self.literal(item)
        elif isinstance(item, bool):
            fits, literal = element == "BOOLEAN", str(item).lower()
        else:
            fits, literal = is_number(element), number(item)
        return f"list_contains({value}, {literal})" if fits and kind.endswith("[]") else FALSE

    def inner(self, value: str, kind: str, path: FieldPath, text: bool) -> str:
        steps = "".join('."' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in path[1:])
        document = f"to_json({value})" if is_nested(kind) else value
        inner = f"CAST(json_extract({document}, {self.literal('$' + steps)}) AS VARCHAR)"
        if not is_nested(kind):
            inner = f"CASE WHEN json_valid({value}) THEN {inner} END"
        if text:
            return f"json_extract_string(nullif({inner}, 'null'), '$')"
        whole = f"regexp_replace(nullif({inner}, 'null'), '^(-?[0-9]+)[.]0+$', '\\1')"
        return f"regexp_replace({whole}, '^-0$', '0')"

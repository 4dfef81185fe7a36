"""The SQL of a vendor: names, types and the parts of statements that differ between vendors."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kitestring.errors import ConfigError
from kitestring.filters import Scalar
from kitestring.sql import types
from kitestring.sql.identifiers import Names
from kitestring.types import Path

if TYPE_CHECKING:
    import pyarrow as pa


class Dialect(Names):
    """The hooks of a vendor. All of them return texts; no hook accesses the database (`Connection` does).

    A destination has one stateless object of its dialect: several threads call the hooks, some of them ahead of the
    writes. Each hook has a default in standard SQL.

    **Names.** `quoted`, `literal`, `folded`, `safe`, `safe_table`, `safe_schema`, and the facts `longest_name`,
    `reserved_names`, `reserved_schemas` (see `Names`). Every name in a statement is quoted, so `folded` tells which
    *quoted* names the vendor treats as equal: PostgreSQL folds none.

    **Types.** The kit has one spelling for types, the *kind* of a column: TINYINT, SMALLINT, INTEGER, BIGINT (with U
    before them without sign, HUGEINT with 128 bits), FLOAT (32 bits), DOUBLE, DECIMAL(p,s), BOOLEAN, VARCHAR (text of
    any length), BLOB, DATE, TIME, TIMESTAMP, TIMESTAMP WITH TIME ZONE, INTERVAL, UUID, JSON, T[]. Any other text is an
    unknown type; such a column becomes VARCHAR if it cannot hold a value.

      - `plain_type(arrow type)`: the Arrow type in which the vendor accepts this one; None for "as JSON text".
      `Connection.staged` and `kind_of` get the result. - `refusal(column)`: why a value of a plain column cannot be
      stored exactly, None if all can. The engine then finds the records by bisection and rejects them. Called for each
      column of each batch: check only types with such values. - `kind_of(arrow type)`: the kind of a new column for a
      plain type. - `type_name(kind)`: a kind in CREATE TABLE. `kind(type name)`: the kind of a column with this type
      name in the catalog (for `Connection.columns`). `kind(type_name(k))` is k, or a kind that holds all of k. -
      `wider(kind, kind)`: the narrowest kind that holds the values of both, exactly; VARCHAR if there is none. It is
      symmetric, and `wider(wider(a, b), a) == wider(a, b)`. For an integer and a float it may return DOUBLE: the kit
      checks whether all integers are exact in it, and uses VARCHAR if not. - `converted(expression, kind, target)`: SQL
      for an expression of one kind as one of the wider kind. As VARCHAR: numbers with all digits, booleans `true` and
      `false`, moments in ISO 8601, bytes base64, nested values JSON, non-finite floats `NaN`, `Infinity` and
      `-Infinity`: the result of `kitestring.arrow.text`. From VARCHAR it is called for UUID, JSON and TIMESTAMP WITH
      TIME ZONE, with valid texts.

    **Comparisons.** In conditions the table has the alias `kept`, the staged rows `incoming`.

    - `same(left, right, nullable)`: SQL that is true if two expressions of one kind have the same value, including two
    nulls and two NaN, and false or null otherwise. `nullable`: the right side may be null; if not, plain equality is
    enough, which every vendor executes fast. - `inner(expression, kind, path, text)`: SQL for the value at `path[1:]`
    in a nested value (or in a JSON text, if the kind is VARCHAR): as canonical JSON text, or as plain text if `text`;
    null if absent. Without this hook such keys are refused. - `delete(reference, incoming, condition)` and
    `update(reference, assignments, incoming, condition)`: statements that delete or change the rows of the table for
    which any incoming row meets the condition. The kit may append ` RETURNING expression` to the first, over
    unqualified columns of the table.

    **JSON.** `has_json`: the vendor has a type for JSON. Fields that the schema declares as objects, arrays or JSON
    texts, and nested values, then are `arrow.json` with columns of the kind JSON; without it they are VARCHAR.

    **Facts.** `row_id`: the column that identifies rows of a table within a statement. `random_id`: an expression with
    a new UUID as text in each row; with `stages_ids` such ids are staged with the rows, which takes less time.
    `compares`: whether the default `Connection.merge` finds unchanged records, skips and counts them; without it they
    are replaced by themselves. It needs a staging table whose rows `staged_row` identifies. `title` is the vendor's
    name in messages.
    """

    title: ClassVar[str] = "The database"
    row_id: ClassVar[str] = "rowid"
    staged_row: ClassVar[str] = "rowid"
    random_id: ClassVar[str] = "CAST(gen_random_uuid() AS VARCHAR)"
    stages_ids: ClassVar[bool] = False
    compares: ClassVar[bool] = True
    has_json: ClassVar[bool] = False

    @property
    def row_order(self) -> str:
        """What rows are ordered by when a page of them is read; empty where they come in a stable order anyway."""
        return self.row_id

    def page_order(self, columns: int) -> str:
        """The same, for a page of so many columns."""
        return self.row_order

    # -- types ---------------------------------------------------------------------------------------------------------

    def plain_type(self, type_: pa.DataType) -> pa.DataType | None:
        """Default: the types of standard SQL. Nested values are JSON text, unsigned integers the next wider type."""
        import pyarrow as pa

        is_ = pa.types
        if isinstance(type_, pa.BaseExtensionType):
            is_known = type_.extension_name == "arrow.uuid" or (self.has_json and type_.extension_name == "arrow.json")
            return type_ if is_known else self.plain_type(type_.storage_type)
        if is_.is_dictionary(type_) or is_.is_run_end_encoded(type_):
            return self.plain_type(type_.value_type)
        if is_.is_unsigned_integer(type_):
            wider = {8: pa.int16(), 16: pa.int32(), 32: pa.int64(), 64: pa.decimal128(20, 0)}
            return wider[type_.bit_width]
        if is_.is_float16(type_):
            return pa.float32()
        if is_.is_binary_view(type_):
            return pa.binary()
        if is_.is_nested(type_):
            return None
        if is_.is_duration(type_) or is_.is_interval(type_) or types.column_type(type_) == types.TEXT:
            return pa.string()
        return type_

    def plain_nested(self, type_: pa.DataType) -> pa.DataType | None:
        """The same for a vendor with lists and structs of plain types; any other type is itself."""
        import pyarrow as pa

        is_ = pa.types
        if is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_):
            inner = None if is_.is_interval(type_.value_type) else self.plain_type(type_.value_type)
            return type_ if inner == type_.value_type else None if inner is None else pa.list_(inner)
        if not is_.is_struct(type_):
            return type_
        fields = [type_.field(n) for n in range(type_.num_fields)]
        names = {self.folded(field.name) for field in fields}
        inners = [self.plain_type(field.type) for field in fields]
        if not fields or "" in names or len(names) < len(fields) or None in inners:
            return None
        same = all(inner == field.type for inner, field in zip(inners, fields, strict=True))
        return type_ if same else pa.struct(zip((field.name for field in fields), inners, strict=True))

    def refusal(self, column: pa.ChunkedArray) -> str | None:
        return None

    def kind_of(self, type_: pa.DataType) -> str:
        return types.column_type(type_)

    def type_name(self, kind: str) -> str:
        return kind

    def kind(self, type_name: str) -> str:
        return type_name

    def wider(self, left: str, right: str) -> str:
        return types.wider(left, right)

    def converted(self, value: str, kind: str, target: str) -> str:
        return value if kind == target else f"CAST({value} AS {self.type_name(target)})"

    # -- reading -------------------------------------------------------------------------------------------------------

    def number(self, value: str, kind: str) -> str:
        """SQL for a column of numbers that compares as numbers do: null for NaN."""
        return value

    def ordered(self, text: str) -> str:
        """SQL for a text that is compared by code points."""
        return text

    def contains(self, value: str, kind: str, item: Scalar) -> str:
        """SQL that is true if a list of this kind, or a JSON document that is a list, holds the item."""
        raise ConfigError(
            f"`contains` looks into lists, which {self.title} cannot search", hint="Filter by another field."
        )

    # -- comparisons ---------------------------------------------------------------------------------------------------

    def same(self, left: str, right: str, nullable: bool) -> str:
        return f"{left} IS NOT DISTINCT FROM {right}" if nullable else f"{left} = {right}"

    def inner(self, value: str, kind: str, path: Path, text: bool) -> str:
        raise ConfigError(
            f"the primary key {'.'.join(path)} is in a nested value, which {self.title} cannot compare",
            hint="Choose another primary key, or write with `append`.",
        )

    def delete(self, reference: str, incoming: str, condition: str) -> str:
        return f"DELETE FROM {reference} AS kept USING {incoming} AS incoming WHERE {condition}"  # noqa: S608 - quoted

    def update(self, reference: str, assignments: str, incoming: str, condition: str) -> str:
        return f"UPDATE {reference} AS kept SET {assignments} FROM {incoming} AS incoming WHERE {condition}"  # noqa: S608 - quoted

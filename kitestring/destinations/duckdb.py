"""DuckDB: each stream a table in one database file; Arrow goes in as it is."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import PrivateAttr, model_validator

from kitestring import arrow
from kitestring.batch import Batch
from kitestring.config import option
from kitestring.destination import Destination
from kitestring.errors import ConfigError, ConnectorError, KitestringError, RecordError
from kitestring.paths import nested
from kitestring.schema import DECIMAL_DIGITS
from kitestring.types import EVERY_WRITE_BUT_MARKS, Receipt, Reject, Stream, Write
from kitestring.types import Path as FieldPath

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Types = Mapping[str, str]
"""DuckDB's types by column."""

INTEGERS = ["TINYINT", "UTINYINT", "SMALLINT", "USMALLINT", "INTEGER", "UINTEGER", "BIGINT", "UBIGINT", "HUGEINT"]
FLOATS = ["FLOAT", "DOUBLE"]
TIMES = ["DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]
EXACT_IN_DOUBLE = 2**53
SAFE = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
"""No name or statement brings in an extension (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/)."""


class Duckdb(Destination):
    """Writes each stream into a table of its name, in the schema of its namespace.

    Every batch is one transaction. `overwrite` fills a shadow table and renames it in one transaction with the removal
    of the old; `append_dedup` replaces the rows that have the keys of the batch. Tables grow with the records: new
    fields are new columns, and a column whose type does not hold a value gets the next wider one, at last VARCHAR.
    """

    writes: ClassVar[frozenset[Write]] = EVERY_WRITE_BUT_MARKS
    packages: ClassVar[tuple[str, ...]] = ("duckdb", "pyarrow")
    runs_programs: ClassVar[bool | None] = False
    batch_rows: ClassVar[int] = 250_000
    batch_bytes: ClassVar[int] = 24 * 1024 * 1024

    path: str = option(order=0, examples=["./warehouse.duckdb"], local_path=True)
    """The database file; it is made if it is absent."""

    schema_name: str = option("main", order=1, alias="schema", title="Schema")
    """Where the tables of streams without a namespace are."""

    memory_limit: str | None = option(None, order=2, title="Memory limit", examples=["1GB"])
    """How much memory DuckDB takes before it goes to disk. By default 80 % of the machine's."""

    @model_validator(mode="before")
    @classmethod
    def _as_airbyte_has_it(cls, values: Any) -> Any:
        """Airbyte's connector of this name calls the path `destination_path`."""
        if not isinstance(values, Mapping):
            return values
        kept = dict(values)
        if kept.pop("motherduck_api_key", None):
            raise ValueError("motherduck_api_key asks for MotherDuck, which is not there yet: give the path of a file")
        if "destination_path" in kept and "path" not in kept:
            kept["path"] = kept.pop("destination_path")
        return kept

    _connection: Any = PrivateAttr(None)
    _streams: dict[str, str] = PrivateAttr(default_factory=dict)

    def check(self) -> None:
        path = Path(self.path).expanduser()
        with self._translated():
            nearest = next(one for one in [path, *path.absolute().parents] if one.exists())
        if path.is_dir() or (nearest != path and not nearest.is_dir()):
            raise ConfigError(f"{nearest} is no place for a database file", hint="Choose another `path`.")
        if not os.access(nearest, os.W_OK):
            raise ConfigError(
                f"{nearest} may not be written by this user", hint="Choose another `path`, or its rights."
            )
        if path.exists():
            self._db().execute("SELECT 1")
            self.close()

    def begin(self, stream: Stream) -> None:
        table = target(self, stream)
        other = self._streams.setdefault(table.lower(), stream.key)
        if other != stream.key:
            raise ConfigError(
                f"the streams {other} and {stream.key} would be one table: DuckDB's names have no upper and lower case",
                hint="Give one of them a prefix.",
            )
        with self._transaction() as db:
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema_of(self, stream))}")
            db.execute(f"DROP TABLE IF EXISTS {shadow(self, stream)}")

    def prepare(self, stream: Stream, batch: Batch) -> Batch:
        """The batch as an Arrow table of types that DuckDB has."""
        table, rejects = (batch.table(), []) if batch.is_table else arrow.from_rows(batch.rows(), stream.schema)
        return Prepared(batch.stream, plain(table), rejects)

    def write(self, stream: Stream, batch: Batch) -> Receipt:
        ready = batch if isinstance(batch, Prepared) else self.prepare(stream, batch)
        assert isinstance(ready, Prepared)
        table = shadow(self, stream) if stream.write.replace else target(self, stream)
        replaced = 0
        if len(ready):
            with self._registered(ready.table()) as (db, incoming):
                columns = self._fit(table, ready.table(), incoming)
                with self._transaction():
                    if stream.write.keep == "latest":
                        removal = self._removal(table, stream, ready.table().column_names, incoming)
                        replaced = db.execute(removal).fetchall()[0][0]
                    db.execute(insertion(table, columns, incoming))
        return Receipt(written=len(ready), rejected=ready.rejects, replaced=replaced)

    def delete(self, stream: Stream, keys: Sequence[tuple[Any, ...]]) -> Receipt:
        table = shadow(self, stream) if stream.write.replace else target(self, stream)
        if not self._types(table):
            return Receipt(unchanged=len(keys))
        declared = stream.schema.get("properties", {})
        schema = {"properties": {path[0]: declared.get(path[0], {}) for path in stream.primary_key}}
        rows, _ = arrow.from_rows([nested(stream.primary_key, key) for key in keys], schema)
        with self._registered(plain(rows)) as (_, incoming), self._transaction() as db:
            deleted = db.execute(self._removal(table, stream, rows.column_names, incoming)).fetchall()[0][0]
        return Receipt(deleted=deleted, unchanged=len(keys) - deleted)

    def commit(self, stream: Stream) -> None:
        if not stream.write.replace:
            return
        table, new = target(self, stream), shadow(self, stream)
        if not self._types(new):
            empty = plain(stream.arrow_schema.empty_table())
            with self._registered(empty) as (_, incoming):
                self._fit(new, empty, incoming)
        with self._transaction() as db:
            db.execute(f"DROP TABLE IF EXISTS {table}")
            db.execute(f"ALTER TABLE {new} RENAME TO {quoted(named(stream.name))}")

    def abort(self, stream: Stream) -> None:
        with self._transaction() as db:
            db.execute(f"DROP TABLE IF EXISTS {shadow(self, stream)}")

    def count(self, stream: Stream) -> int | None:
        with self._translated():
            if self._connection is None and not Path(self.path).expanduser().exists():
                return 0
        table = target(self, stream)
        if not self._types(table):
            return 0
        with self._translated():  # all is fetched: DuckDB 2 takes no other statement while a result is open
            return int(self._db().execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])  # noqa: S608 - quoted

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._streams.clear()
        if connection is not None:
            connection.close()

    # -- the database --------------------------------------------------------------------------------------------------

    def _db(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            import duckdb

            path = Path(self.path).expanduser()
            settings = {**SAFE, **({"memory_limit": self.memory_limit} if self.memory_limit else {})}
            with self._translated():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = duckdb.connect(str(path), config=settings)
                self._connection.execute("SET TimeZone = 'UTC'")
                # No statement reads a file or attaches another database, nor switches that on again.
                self._connection.execute("SET enable_external_access = false")
                self._connection.execute("SET lock_configuration = true")
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise translated(error, self.path) from error

    @contextmanager
    def _transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        db = self._db()
        with self._translated():
            db.execute("BEGIN")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                try:
                    db.execute("ROLLBACK")
                except duckdb.Error:  # there is no transaction any more: the database had to give up
                    self.close()
                raise

    @contextmanager
    def _registered(self, table: pa.Table) -> Iterator[tuple[duckdb.DuckDBPyConnection, Types]]:
        """The table as the view `incoming`, its columns called c0, c1, …: their own names may differ in case alone."""
        import duckdb

        db = self._db()
        with self._translated():
            db.register("incoming", table.rename_columns([f"c{n}" for n in range(table.num_columns)]))
            try:
                yield db, {name: kind for name, kind, *_ in db.execute("DESCRIBE incoming").fetchall()}
            finally:
                with suppress(duckdb.Error):  # it is gone, if the database had to be closed
                    db.unregister("incoming")

    def _types(self, table: str) -> dict[str, str]:
        """The columns of a table in order; none if it is absent."""
        import duckdb

        with self._translated():
            try:
                return {name: kind for name, kind, *_ in self._db().execute(f"DESCRIBE {table}").fetchall()}
            except duckdb.CatalogException:
                return {}

    def _fit(self, table: str, rows: pa.Table, incoming: Types) -> dict[str, tuple[str, str, str]]:
        """Make the table hold the incoming rows: created, with new columns, with wider types.

        Returns for each of its columns that is filled the incoming column, and the types of both.
        """
        db, present, filled = self._db(), self._types(table), {}
        known = dict(present)
        changes = []
        for name, (incoming_name, kind) in zip(rows.column_names, incoming.items(), strict=True):
            column = column_for(name, known)
            if kind == '"NULL"':  # nothing is known about a column of nulls; it is made when a value comes
                continue
            if column not in known:
                changes.append(f"ADD COLUMN {quoted(column)} {kind}")
                known[column] = kind
            elif known[column] != kind:
                wide = wider(known[column], kind)
                if wide == "DOUBLE" and not self._exact(table, column, known[column], incoming_name, kind):
                    wide = "VARCHAR"
                if wide != known[column]:
                    using = converted(quoted(column), known[column], wide)
                    changes.append(f"ALTER COLUMN {quoted(column)} SET DATA TYPE {wide} USING {using}")
                    known[column] = wide
            filled[column] = (incoming_name, kind, known[column])
        if not filled:  # records without a single value are records all the same
            column = next(iter(known), "_")
            changes += [] if column in known else [f"ADD COLUMN {quoted(column)} BOOLEAN"]
            known.setdefault(column, "BOOLEAN")
            filled[column] = ("NULL", known[column], known[column])
        if not present:
            columns = ", ".join(f"{quoted(column)} {kind}" for column, kind in known.items())
            db.execute(f"CREATE TABLE {table} ({columns})")
        else:
            for change in changes:
                db.execute(f"ALTER TABLE {table} {change}")
        return filled

    def _exact(self, table: str, column: str, kind: str, incoming_name: str, incoming_kind: str) -> bool:
        """Whether the integers of both sides are exact as floats."""
        sides = [(table, quoted(column), kind), ("incoming", incoming_name, incoming_kind)]
        for place, name, type_ in sides:
            if type_ in INTEGERS:
                query = f"SELECT max(abs({name}::HUGEINT)) FROM {place}"  # noqa: S608 - quoted
                found = self._db().execute(query).fetchall()
                if found[0][0] is not None and found[0][0] > EXACT_IN_DOUBLE:
                    return False
        return True

    def _removal(self, table: str, stream: Stream, names: Sequence[str], incoming: Types) -> str:
        """Removes the rows whose keys come in."""
        present, conditions = self._types(table), []
        for path in stream.primary_key:
            column = column_for(path[0], present)
            place = names.index(path[0]) if path[0] in names else None
            if column not in present or place is None:
                raise RecordError(f"the primary key {'.'.join(path)} is not a field of the records")
            ours, theirs = f"kept.{quoted(column)}", f"incoming.c{place}"
            kinds = present[column], incoming[f"c{place}"]
            if len(path) > 1 or kinds[0] != kinds[1]:  # nested, or the type has changed since: compared as text
                ours, theirs = key_text(ours, kinds[0], path), key_text(theirs, kinds[1], path)
            conditions.append(f"{ours} IS NOT DISTINCT FROM {theirs}")
        return f"DELETE FROM {table} AS kept USING incoming WHERE {' AND '.join(conditions)}"  # noqa: S608 - quoted


class Prepared(Batch):
    """A batch as Arrow, and the records that have no place in it."""

    __slots__ = ("rejects",)

    def __init__(self, stream: str, table: pa.Table, rejects: Sequence[Reject]) -> None:
        super().__init__(stream, table=table)
        self.rejects = rejects


def plain(table: pa.Table) -> pa.Table:
    """The table without types that DuckDB has not, or takes for its enums; with a column, if it has none."""
    import pyarrow as pa

    if not table.num_columns:
        return pa.table({"_": pa.nulls(table.num_rows)})

    for n, field in enumerate(table.schema):
        kind = field.type
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind):
            kind = kind.value_type
        elif pa.types.is_decimal256(kind):
            kind = pa.string()
        if kind != field.type:
            table = table.set_column(n, field.name, table.column(n).cast(kind))
    return table


def insertion(table: str, columns: Mapping[str, tuple[str, str, str]], incoming: Types) -> str:
    names = ", ".join(map(quoted, columns))
    values = ", ".join(converted(name, kind, wanted) for name, kind, wanted in columns.values())
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM incoming"  # noqa: S608 - quoted


def wider(one: str, other: str) -> str:
    """The narrowest type that holds the values of both, VARCHAR if there is none.

    An integer and a float give DOUBLE: who asks has to look whether the integers are exact in it.
    """
    if one == other:
        return one
    for family in (INTEGERS, FLOATS, TIMES):
        if one in family and other in family:
            wide = family[max(family.index(one), family.index(other))]
            return "HUGEINT" if wide == "UBIGINT" else signed(wide) if wide in INTEGERS else wide
    if {one, other} <= {*INTEGERS, *FLOATS}:
        return "DOUBLE"
    sizes = [digits(kind) for kind in (one, other)]
    if sizes[0] and sizes[1]:
        whole, scale = (max(place) for place in zip(*sizes, strict=True))
        if whole + scale <= DECIMAL_DIGITS:
            return f"DECIMAL({whole + scale},{scale})"
    return "VARCHAR"


def signed(kind: str) -> str:
    """The signed type that holds an unsigned one."""
    return INTEGERS[INTEGERS.index(kind) + 1] if kind.startswith("U") else kind


def digits(kind: str) -> tuple[int, int] | None:
    """How many digits before and after the point a decimal or an integer has."""
    if found := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind):
        return int(found[1]) - int(found[2]), int(found[2])
    return ([3, 3, 5, 5, 10, 10, 19, 20, 38][INTEGERS.index(kind)], 0) if kind in INTEGERS else None


def converted(value: str, kind: str, wanted: str) -> str:
    """An expression of one type as one of another; nested values become JSON text, bytes base64."""
    if kind == wanted:
        return value
    if wanted == "VARCHAR" and (kind.endswith("]") or kind.startswith(("STRUCT", "MAP"))):
        return f"CAST(to_json({value}) AS VARCHAR)"
    if wanted == "VARCHAR" and kind == "BLOB":
        return f"base64({value})"
    return f"CAST({value} AS {wanted})"


def key_text(value: str, kind: str, path: FieldPath) -> str:
    """A part of the primary key as text."""
    if len(path) == 1:
        return converted(value, kind, "VARCHAR")
    if kind.startswith("STRUCT"):
        return f"CAST({value}{''.join(f'[{literal(part)}]' for part in path[1:])} AS VARCHAR)"
    steps = "".join('."' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in path[1:])
    return f"json_extract_string({value}, {literal('$' + steps)})"


def column_for(name: str, present: Mapping[str, str]) -> str:
    """The column of a field; with a mark where another one differs only in case, which DuckDB does not tell apart."""
    name = named(name)
    if name in present or name.lower() not in {other.lower() for other in present}:
        return name
    return f"{name}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def named(name: str) -> str:
    """A name that DuckDB can have: not empty, without NUL."""
    return name.replace("\x00", "_") or "_"


def schema_of(destination: Duckdb, stream: Stream) -> str:
    return named(stream.namespace or destination.schema_name)


def target(destination: Duckdb, stream: Stream) -> str:
    return f"{quoted(schema_of(destination, stream))}.{quoted(named(stream.name))}"


def shadow(destination: Duckdb, stream: Stream) -> str:
    return f"{quoted(schema_of(destination, stream))}.{quoted('_kitestring_shadow_' + named(stream.name))}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def translated(error: Exception, path: str) -> KitestringError:
    """An error of DuckDB as one of ours."""
    import duckdb

    said = " ".join(str(error).split())
    if "lock on file" in said:
        return ConfigError(
            f"{path} is in use by another process",
            hint="Close the program that has it open, then sync again.",
            said=said,
        )
    if "No space left" in said or "disk full" in said.lower():
        return ConfigError(f"the disk of {path} is full", hint="Free space, then sync again.", said=said)
    if isinstance(error, duckdb.OutOfMemoryException):
        return ConfigError(f"DuckDB has no memory left for {path}", hint="Raise `memory_limit`.", said=said)
    if "not a valid DuckDB database" in said or isinstance(error, duckdb.SerializationException):
        return ConfigError(f"{path} is not a DuckDB database", hint="Choose another `path`.", said=said)
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
        return RecordError(f"DuckDB cannot take a value: {said[:300]}")
    if isinstance(error, duckdb.IOException | OSError | duckdb.PermissionException) or "Could not write file" in said:
        return ConfigError(f"{path} cannot be used: {said[:300]}", hint="Check `path` and the rights of this user.")
    if isinstance(error, duckdb.CatalogException):
        return ConfigError(
            f"{path}: {said[:300]}", hint="Something of that name that is not a table of ours is in the way."
        )
    return ConnectorError(
        f"DuckDB refused a statement: {said[:300]}", hint="This is a defect of the connector: please report it."
    )

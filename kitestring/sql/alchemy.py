"""Tables read by SQLAlchemy: any database that has a dialect for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.errors import KitestringError
from kitestring.sql.source import BATCH_ROWS, TableReader
from kitestring.sql.source_table import RowRange, SqlColumn, SqlTable, rows_as_table
from kitestring.types import Reject
from kitestring.vendors.driver_error import own_error
from kitestring.vendors.text_order import EXACT_TEXTS, unchanged

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Engine

EPOCH = dt.datetime(1970, 1, 1)


class AlchemyReader(TableReader):
    """One connection of an engine. `schemas`: those whose tables are streams, None for the connection's own."""

    def __init__(self, engine: Engine, schemas: Sequence[str | None], hide: Callable[[str], str], place: str) -> None:
        self.engine = engine
        self.schemas = schemas
        self.hide = hide
        self.place = place
        with self.translated():
            self.connection = engine.connect().execution_options(stream_results=True, max_row_buffer=BATCH_ROWS)

    def tables(self) -> list[SqlTable]:
        return [table for schema in self.schemas for table in self._reflected(schema)]

    def table(self, name: str, namespace: str | None) -> SqlTable | None:
        return next(iter(self._reflected(namespace, [name])), None)

    def read(
        self, table: SqlTable, columns: Sequence[SqlColumn], rows: RowRange
    ) -> Iterator[tuple[pa.Table, Sequence[Reject]]]:
        import sqlalchemy as sa

        # Columns without a type of SQLAlchemy: each value stays what the driver makes of it.
        source = sa.table(table.name, *(sa.column(column.name) for column in table.columns), schema=table.namespace)
        query = sa.select(*(source.c[column.name] for column in columns)).select_from(source)
        if rows.column:
            column: Any = source.c[rows.column]
            is_text = any(c.name == rows.column and c.compared == "text" for c in table.columns)
            exact = EXACT_TEXTS.get(self.engine.dialect.name, unchanged) if is_text else unchanged
            bound = sa.literal if is_text else unchanged
            if rows.nulls:
                query = query.where(column.is_(None))
            if rows.start is not None:
                query = query.where(exact(column) >= exact(bound(rows.start)))
            if rows.stop is not None:
                query = query.where(exact(column) < exact(bound(rows.stop)))
            if rows.ordered:
                query = query.where(column.is_not(None)).order_by(exact(column))
        with self.translated():
            result = self.connection.execute(query)
            for part in result.partitions(BATCH_ROWS):
                yield rows_as_table(columns, part)

    def bounds(self, table: SqlTable, column: str) -> tuple[int, int] | None:
        import sqlalchemy as sa

        source = sa.table(table.name, sa.column(column), schema=table.namespace)
        with self.translated():
            key: Any = source.c[column]
            least, largest = self.connection.execute(sa.select(sa.func.min(key), sa.func.max(key))).one()
        return None if least is None or largest is None else (int(least), int(largest))

    def now(self, cursor: SqlColumn) -> int:
        """A column with a time zone is read in UTC. One without is taken to have the times of the session."""
        import sqlalchemy as sa

        try:
            with self.translated():
                moment = self.connection.execute(sa.select(sa.func.current_timestamp())).scalar_one()
        except KitestringError:
            return super().now(cursor)
        if isinstance(moment, str):
            try:
                moment = dt.datetime.fromisoformat(moment)
            except ValueError:
                return super().now(cursor)
        is_zoned = cursor.order == "timestamptz"
        if not isinstance(moment, dt.datetime) or (is_zoned and moment.tzinfo is None):
            return super().now(cursor)
        if is_zoned:
            moment = moment.astimezone(dt.UTC)
        return (moment.replace(tzinfo=None) - EPOCH) // dt.timedelta(microseconds=1)

    def compares_exactly(self, cursor: SqlColumn) -> bool:
        return cursor.compared != "text" or self.engine.dialect.name in EXACT_TEXTS

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()

    def _reflected(self, schema: str | None, names: Sequence[str] | None = None) -> list[SqlTable]:
        import sqlalchemy as sa
        from sqlalchemy.engine.reflection import ObjectKind

        with self.translated():
            inspector = sa.inspect(self.connection)
            columns = inspector.get_multi_columns(schema, names, kind=ObjectKind.ANY)
            keys: Mapping[Any, Any] = inspector.get_multi_pk_constraint(schema, names, kind=ObjectKind.TABLE)
        return [
            SqlTable(
                place[1],
                schema,
                tuple(column_of(str(c["name"]), c["type"]) for c in table_columns),
                tuple((keys.get(place) or {}).get("constrained_columns") or ()),
            )
            for place, table_columns in columns.items()
            if table_columns
        ]

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of SQLAlchemy and of the driver as ours."""
        import sqlalchemy.exc as exc

        try:
            yield
        except (exc.SQLAlchemyError, OSError) as error:
            raise own_error(error, self.engine.dialect.name, self.hide, self.place) from None


def column_of(name: str, type_: Any) -> SqlColumn:
    """The column with a type of SQLAlchemy."""
    from sqlalchemy import types as sql

    is_text = isinstance(type_, sql.String) and not isinstance(type_, sql.Enum)
    compared = "text" if is_text else "numeric" if isinstance(type_, sql.Numeric) else ""
    arrow, json = arrow_type(type_)
    return SqlColumn(name, arrow, json, compared=compared)


def arrow_type(type_: Any) -> tuple[pa.DataType | None, bool]:
    """The Arrow type of a type of SQLAlchemy (None: any value), and whether its texts are JSON.

    Values without a type of their own in Arrow (intervals, arrays, geometry) become texts or JSON.
    """
    import pyarrow as pa
    from sqlalchemy import types as sql

    if isinstance(type_, sql.NullType):
        return None, False
    if isinstance(type_, sql.JSON | sql.ARRAY):
        return pa.string(), True
    if isinstance(type_, sql.Numeric):
        name = type(type_).__name__.upper()
        if isinstance(type_, sql.Float) or name in ("REAL", "DOUBLE", "FLOAT", "DOUBLE_PRECISION"):
            return pa.float64(), False
        precision, scale = type_.precision, type_.scale
        if precision and 0 < precision <= 38 and 0 <= (scale or 0) <= precision:
            return pa.decimal128(precision, scale or 0), False
        return pa.string(), False
    if isinstance(type_, sql.DateTime):
        zone = bool(getattr(type_, "timezone", False)) or "OFFSET" in type(type_).__name__.upper()
        return pa.timestamp("us", "UTC" if zone else None), False
    plain: tuple[tuple[Any, pa.DataType], ...] = (
        (sql.Boolean, pa.bool_()),
        (sql.Integer, pa.int64()),
        (sql.Date, pa.date32()),
        (sql.Time, pa.time64("us")),
        (sql.LargeBinary, pa.binary()),
        (sql._Binary, pa.binary()),
    )
    return next((arrow for kind, arrow in plain if isinstance(type_, kind)), pa.string()), False

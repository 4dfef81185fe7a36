"""DuckDB: each stream is a table in one database file; Arrow is loaded without conversion."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import PrivateAttr, model_validator

from kitestring.config import option
from kitestring.errors import ConfigError, KitestringError, RecordError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.sql.connection import Connection
from kitestring.sql.dialect import Dialect
from kitestring.sql.duckdb_dialect import SAFE, WRONG_LIMIT, DuckdbDialect
from kitestring.sql.error_rules import FILE_RULES, ErrorRule, translated
from kitestring.sql.file import SqlFile
from kitestring.sql.identifiers import ascii_folded

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from kitestring.sql.stored_table import StoredTable

T = TypeVar("T")
log = logging.getLogger("kitestring.duckdb")

MEMORY_LIMIT = "128MB"
"""Without a limit DuckDB keeps written data in memory, up to 80 % of the machine's (see benchmarks/README.md)."""

STORAGE_VERSION = "v1.4.0"
"""The storage version of new files: the long-term release that most programs have had for a year."""

LOCK_WAIT_S = 3.0
"""How long a reader waits for another process that has the file open."""

SYNC_LOCK_WAIT_S = 10.0
"""How long a sync waits: on a server, who reads gives way."""

INCOMING = "temp.main._kitestring_incoming"
"""The view of incoming rows. Every name includes its database, so no stream's name can hide it."""


RULES = (
    ErrorRule(
        r"lock on file",
        TransientError,
        "{path} is in use by another process",
        "Close the program that has it open, then sync again.",
    ),
    FILE_RULES[0],
    ErrorRule(
        r"different configuration",
        ConfigError,
        "{path} is open in this process with other settings",
        "Close the other connection, or give both the same options.",
    ),
    ErrorRule(
        r"newer DuckDB version|newer version of DuckDB",
        ConfigError,
        "{path} was written by a newer DuckDB than {version}, which is installed",
        "Install a newer duckdb, or choose another `path`.",
    ),
    ErrorRule(
        r"depends on it|DependencyException",
        ConfigError,
        "{path}: a table cannot be changed, since an index depends on it: {text}",
        "Drop the index and sync again; then create it again.",
    ),
    WRONG_LIMIT,
    ErrorRule(r"OutOfMemoryException", ConfigError, "DuckDB has no memory left for {path}", "Raise `memory_limit`."),
    ErrorRule(
        r"not a valid DuckDB database|SerializationException",
        ConfigError,
        "{path} is not a DuckDB database",
        "Choose another `path`.",
    ),
    ErrorRule(
        r"ConversionException|OutOfRangeException|Invalid unicode", RecordError, "DuckDB cannot take a value: {text}"
    ),
    FILE_RULES[1]._replace(pattern=r"IOException|\bOSError\b|PermissionException|Could not write file"),
    ErrorRule(
        r"CatalogException|(from|into|to) base table|not a base table",
        ConfigError,
        "{path}: {text}",
        "Rename or drop the object with that name that is not a table of a sync.",
    ),
)


DIALECT = DuckdbDialect()


class DuckdbConnection(Connection):
    """One open database file."""

    dialect = DIALECT

    def __init__(
        self,
        path: str,
        memory_limit: str | None = None,
        storage_version: str | None = None,
        *,
        reads_only: bool = False,
    ) -> None:
        import duckdb

        self.path = path
        file = Path(path).expanduser()
        settings = {**SAFE, **({"memory_limit": memory_limit} if memory_limit else {})}
        version = storage_version or (STORAGE_VERSION if is_newer(duckdb.__version__, STORAGE_VERSION) else None)
        if version:
            settings["storage_compatibility_version"] = version
        with self.translated():
            if not reads_only:
                file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.db: duckdb.DuckDBPyConnection = duckdb.connect(str(file), read_only=reads_only, config=settings)
            except duckdb.InvalidInputException as error:
                if storage_version and storage_version in str(error):
                    raise ConfigError(
                        f"DuckDB {duckdb.__version__} writes no files of the version {storage_version}",
                        hint="`storage_version` is that of a release, as v1.4.0, or latest.",
                    ) from error
                raise
            self.catalog: str = self.db.execute("SELECT current_database()").fetchall()[0][0]
            if self.db.execute("SELECT current_setting('lock_configuration')").fetchall() == [(False,)]:
                # Global, so that a second connection of this process has it too.
                self.db.execute("SET GLOBAL TimeZone = 'UTC'")
                # No statement reads a file or attaches another database, nor switches that on again.
                self.db.execute("SET GLOBAL enable_external_access = false")
                self.db.execute("SET GLOBAL lock_configuration = true")

    def close(self) -> None:
        self.closed = True
        self.db.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except (duckdb.Error, OSError) as error:
            raise own_error(error, self.path) from error

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Fetches all rows: DuckDB 2 runs no other statement while a result is open."""
        with self.translated():
            rows: list[tuple[Any, ...]] = self.db.execute(statement, list(values)).fetchall()
        return rows

    def changed(self, statement: str) -> int:
        return int(self.rows(statement)[0][0])

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        """A view of the Arrow table as one chunk: with several chunks, each thread would fill separate row groups,
        which the next checkpoint joins by compressing all of them again."""
        import duckdb

        name = INCOMING.rpartition(".")[2]
        with self.translated():
            self.db.register(name, rows.combine_chunks())
            try:
                yield INCOMING
            finally:
                with suppress(duckdb.Error):  # the view is gone if the database was closed
                    self.db.unregister(name)

    def kinds(self, rows: pa.Table) -> list[str]:
        places = [f"c{n}" for n in range(rows.num_columns)]
        with self.staged(rows.schema.empty_table().rename_columns(places)) as incoming:
            return [kind for _, kind, *_ in self.rows(f"DESCRIBE {incoming}")]

    def arrow_types(self, table: StoredTable) -> dict[str, pa.DataType]:
        with self.translated():
            schema = self.db.sql(f"SELECT * FROM {table.reference} LIMIT 0").to_arrow_table().schema  # noqa: S608 - quoted
        return {field.name: field.type for field in schema}

    def values(self, table: StoredTable, column: str) -> pa.ChunkedArray:
        name = self.dialect.quoted(column)
        query = f"SELECT DISTINCT {name} FROM {table.reference} WHERE {name} IS NOT NULL"  # noqa: S608 - quoted
        with self.translated():
            return self.db.sql(query).to_arrow_table().column(0)

    def reference(self, schema: str, table: str = "") -> str:
        """With the database's name, so that it is unambiguous."""
        return ".".join(self.dialect.quoted(part) for part in (self.catalog, schema, table) if part)

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """For a name like `orders.csv` that is no table, DuckDB looks for a file, which is not permitted."""
        import duckdb

        with self.translated():
            try:
                columns = self.db.execute(f"DESCRIBE {self.reference(schema, table)}").fetchall()
            except (duckdb.CatalogException, duckdb.PermissionException):
                return {}
        return {name: kind for name, kind, *_ in columns}

    def note(self, schema: str, table: str) -> str | None:
        place = ascii_folded(schema), ascii_folded(table)
        rows = self.rows(
            "SELECT schema_name, table_name, comment FROM duckdb_tables() "
            "WHERE database_name = ? AND lower(table_name) = lower(?)",
            [self.catalog, table],
        )
        return next((text for *names, text in rows if (*map(ascii_folded, names),) == place), None)

    def notes(self) -> list[tuple[str, str, str]]:
        of_tables = "FROM duckdb_tables() WHERE database_name = ? AND comment IS NOT NULL"
        rows = self.rows(f"SELECT schema_name, table_name, comment {of_tables}", [self.catalog])
        return [(str(schema), str(table), str(text)) for schema, table, text in rows]

    def set_note(self, schema: str, table: str, text: str) -> None:
        self.rows(f"COMMENT ON TABLE {self.reference(schema, table)} IS {self.dialect.literal(text)}")


class Duckdb(SqlFile):
    """Writes each stream into a table of one DuckDB file."""

    facts: ClassVar[Facts] = Facts(
        title="DuckDB",
        network="none",
        programs=False,
        packages=("duckdb", "pyarrow"),
        preload=("duckdb", "pyarrow"),
        category="database",
        summary="tables of a DuckDB file",
        proposal=Proposal(config="path: ./kitestring.duckdb\n"),
    )
    dialect: ClassVar[Dialect] = DIALECT
    adopts: ClassVar[bool] = True  # the first tables of 0.1 have no note
    batch_rows: ClassVar[int] = 122_880
    """A row group of DuckDB (https://duckdb.org/docs/stable/internals/storage): it is compressed once then."""
    batch_bytes: ClassVar[int] = 24 * 1024 * 1024

    path: str = option(order=0, examples=["./warehouse.duckdb"], local_path=True)
    """The database file; it is created if it is absent."""

    schema_name: str = option("main", order=1, alias="schema", title="Schema")
    """The schema for streams without a namespace."""

    memory_limit: str | None = option(None, order=2, title="Memory limit", examples=["1GB"])
    """The memory that DuckDB uses before it goes to disk. Default: 128 MB, and 80 % of the machine's once a step needs
    more."""

    storage_version: str | None = option(None, order=3, title="Storage version", examples=["v1.0.0", "latest"])
    """The oldest DuckDB that can read the file, if this sync creates it. Default: v1.4.0; an existing file keeps its
    version."""

    @model_validator(mode="before")
    @classmethod
    def _without_motherduck(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        if values.get("motherduck_api_key"):
            raise ValueError(
                "motherduck_api_key needs MotherDuck, which Kitestring does not have yet: give the path of a file"
            )
        return {name: value for name, value in values.items() if name != "motherduck_api_key"}

    _roomy: bool = PrivateAttr(False)
    """DuckDB has needed more than `MEMORY_LIMIT`."""

    def _connect(self) -> Connection:
        limit = self.memory_limit or (None if self._roomy else MEMORY_LIMIT)
        return self._unlocked(lambda: DuckdbConnection(self.path, limit, self.storage_version), SYNC_LOCK_WAIT_S)

    def _unlocked(self, connect: Callable[[], Connection], wait_s: float) -> Connection:
        """Wait for another process that has the file open."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return connect()
            except TransientError as error:
                if "lock on file" not in str(error.__cause__) or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _connect_to_read(self) -> Connection:
        """Others can read the file at the same time; a sync that begins meanwhile waits for it."""
        limit = self.memory_limit or MEMORY_LIMIT
        return self._unlocked(lambda: DuckdbConnection(self.path, limit, reads_only=True), LOCK_WAIT_S)

    def exclusive_place(self) -> str:
        return str(self._file.absolute())

    def _schema(self) -> str:
        return self.schema_name

    def _translated(self, error: Exception) -> KitestringError:
        return own_error(error, self.path)

    def _step(self, step: Callable[[], T]) -> T:
        """Repeat the step with the machine's memory if the usual limit is too low."""
        import duckdb

        try:
            return step()
        except ConfigError as error:
            if self.memory_limit or self._roomy or not isinstance(error.__cause__, duckdb.OutOfMemoryException):
                raise
        log.info("DuckDB needs more memory than usual", extra={"path": self.path, "limit": MEMORY_LIMIT})
        self._roomy = True
        self._disconnect()
        return step()


def is_newer(version: str, other: str) -> bool:
    """Whether a version is equal to or later than another."""
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:3]] for text in (version, other)]
    return numbers[0] >= numbers[1]


def own_error(error: Exception, path: str) -> KitestringError:
    import duckdb

    return translated(error, RULES, DIALECT.title, path=path, version=duckdb.__version__)

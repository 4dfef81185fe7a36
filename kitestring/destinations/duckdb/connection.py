"""The open database: how it is opened, its transactions, and its errors as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kitestring.destinations.duckdb.naming import quoted
from kitestring.errors import ConfigError, ConnectorError, KitestringError, RecordError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SAFE = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
"""No name or statement brings in an extension (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/), and
none means a variable of this program."""

STORAGE_VERSION = "v1.4.0"
"""What new files are written for: the long-term release that most programs have had for a year."""

INCOMING = "temp.main._kitestring_incoming"
"""The view of what comes in. Nothing is named without its database, so no name of a stream can stand before it."""


class Connection:
    """One open database file."""

    def __init__(self, path: str, memory_limit: str | None = None, storage_version: str | None = None) -> None:
        import duckdb

        self.path = path
        self.closed = False
        file = Path(path).expanduser()
        settings = {**SAFE, **({"memory_limit": memory_limit} if memory_limit else {})}
        version = storage_version or (STORAGE_VERSION if is_newer(duckdb.__version__, STORAGE_VERSION) else None)
        if version:
            settings["storage_compatibility_version"] = version
        with self.translated():
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.db: duckdb.DuckDBPyConnection = duckdb.connect(str(file), config=settings)
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
            raise translated(error, self.path) from error

    def rows(self, statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement. All is fetched: DuckDB 2 takes no other statement while a result is open."""
        with self.translated():
            rows: list[tuple[Any, ...]] = self.db.execute(statement, values).fetchall()
        return rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        import duckdb

        with self.translated():
            self.db.execute("BEGIN")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                try:
                    self.db.execute("ROLLBACK")
                except duckdb.Error:  # there is no transaction any more: the database had to give up
                    self.close()
                raise

    @contextmanager
    def registered(self, table: pa.Table) -> Iterator[list[str]]:
        """The table as `INCOMING`, and its types. Its columns are c0, c1, …: their names may differ in case alone."""
        import duckdb

        name = INCOMING.rpartition(".")[2]
        with self.translated():
            self.db.register(name, table.rename_columns([f"c{n}" for n in range(table.num_columns)]))
            try:
                yield [kind for _, kind, *_ in self.db.execute(f"DESCRIBE {INCOMING}").fetchall()]
            finally:
                with suppress(duckdb.Error):  # it is gone, if the database had to be closed
                    self.db.unregister(name)

    def reference(self, schema: str, table: str = "") -> str:
        """A schema or table as statements name it: with its database, which no other name can be taken for."""
        return ".".join(quoted(part) for part in (self.catalog, schema, table) if part)


def is_newer(version: str, other: str) -> bool:
    """Whether a version is this other one or a later."""
    numbers = [[int(part) for part in re.findall(r"\d+", text)[:3]] for text in (version, other)]
    return numbers[0] >= numbers[1]


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
    if "different configuration" in said:
        return ConfigError(
            f"{path} is open in this process with other settings",
            hint="Close the other connection, or give both the same options.",
            said=said,
        )
    if "newer DuckDB version" in said or "newer version of DuckDB" in said:
        return ConfigError(
            f"{path} was written by a newer DuckDB than {duckdb.__version__}, which is installed",
            hint="Install a newer duckdb, or choose another `path`.",
            said=said,
        )
    if "depends on it" in said or isinstance(error, duckdb.DependencyException):
        return ConfigError(
            f"{path}: a table cannot be changed, since an index depends on it: {said[:300]}",
            hint="Drop the index and sync again; then make it anew.",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return ConfigError(f"DuckDB has no memory left for {path}", hint="Raise `memory_limit`.", said=said)
    if "not a valid DuckDB database" in said or isinstance(error, duckdb.SerializationException):
        return ConfigError(f"{path} is not a DuckDB database", hint="Choose another `path`.", said=said)
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException) or "Invalid unicode" in said:
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

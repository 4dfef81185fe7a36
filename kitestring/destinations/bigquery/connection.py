"""A connection to BigQuery for the SQL kit: a session, in which transactions have several statements."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from kitestring.destinations.bigquery.dialect import DIALECT, ROW, BigqueryDialect
from kitestring.errors import ConfigError, ConnectorError, KitestringError, TransientError
from kitestring.sql.connection import Connection
from kitestring.sql.identifiers import OWN
from kitestring.sql.keyed_merge import merge_rows
from kitestring.sql.merge import Merge, MergeCounts
from kitestring.sql.staged_file import parquet_of
from kitestring.sql.types import NOTHING, TEXT
from kitestring.vendors.bigquery import translated

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery import Client, SchemaField
    from google.cloud.bigquery import Table as RemoteTable

    from kitestring.sql.stored_table import StoredTable

log = logging.getLogger("kitestring.bigquery")

INCOMING = f"{OWN}incoming"
LONGEST_DESCRIPTION = 16_384
STAGED_FOR = dt.timedelta(days=1)
"""After this time BigQuery deletes staged rows that a killed sync has left."""

UNCERTAIN_S = 60.0
"""How long to ask for a job whose request got no answer."""


class BigqueryConnection(Connection):
    """Stages rows by load jobs of Parquet files, which cost nothing.

    Every job has an id that is chosen here: if a request gets no answer, the job is looked for, so that none runs
    twice. BigQuery refuses to change tables in a transaction. So a table is created together with its note, and a new
    copy replaces the old one, in one statement each.
    """

    dialect: BigqueryDialect
    begin = "BEGIN TRANSACTION"

    def __init__(self, client: Client, dataset: str, location: str | None, hide: Callable[[str], str]) -> None:
        self.client = client
        self.dialect = DIALECT
        self.dataset = dataset
        """The dataset for staged rows."""
        self.location = location
        self.hide = hide
        self.place = str(client.project)
        self._session: str | None = None
        self._suffix, self._numbers = secrets.token_hex(6), itertools.count(1)
        self._has_dataset = False
        self._creates: tuple[StoredTable, Mapping[str, str]] | None = None
        """A table that is created as soon as its note is known."""
        self._drops: list[tuple[str, str]] = []
        """The tables that a transaction drops, until another gets their name."""
        self._is_inside, self._has_begun = False, False

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with translated(self.place, self.hide):
                yield
        except TransientError:
            self.closed = True
            raise

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        self._begin()
        return self._query(statement)[0]

    def changed(self, statement: str) -> int:
        self._begin()
        return int(self._query(statement)[1].num_dml_affected_rows or 0)

    def _query(self, statement: str) -> tuple[list[tuple[Any, ...]], Any]:
        from google.cloud.bigquery import ConnectionProperty, QueryJobConfig

        config = QueryJobConfig(use_query_cache=False)
        if self._session is None:
            config.create_session = True
        else:
            config.connection_properties = [ConnectionProperty("session_id", self._session)]
        with self._translated():
            job = self._job(
                lambda job_id: self.client.query(
                    statement, job_config=config, job_id=job_id, location=self.location, job_retry=None
                )
            )
            rows = [tuple(row.values()) for row in job.result(job_retry=None)]
            if self._session is None and job.session_info is not None:
                self._session = job.session_info.session_id
        return rows, job

    def _job(self, start: Callable[[str], Any]) -> Any:
        """Start a job, or find the one that was started by a request without an answer."""
        import requests
        from google.api_core.exceptions import Conflict, GoogleAPIError, NotFound
        from google.auth.exceptions import TransportError

        job_id = f"kitestring_{self._suffix}_{next(self._numbers)}"
        try:
            return start(job_id)
        except Conflict:
            return self.client.get_job(job_id, location=self.location)
        except (TransportError, requests.RequestException, ConnectionError) as error:
            end = time.monotonic() + UNCERTAIN_S
            while True:
                try:
                    return self.client.get_job(job_id, location=self.location)
                except NotFound:
                    raise error from None  # it was not started
                except (GoogleAPIError, TransportError, requests.RequestException, ConnectionError):
                    if time.monotonic() > end:
                        raise ConfigError(
                            f"{self.place} does not answer: it is unknown whether its job {job_id} ran",
                            hint="Sync again when it is back.",
                        ) from error
                time.sleep(0.5)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """It begins with its first statement that may be in one."""
        self._creates, self._drops = None, []
        self._is_inside, self._has_begun = True, False
        try:
            yield
        except BaseException:
            self._is_inside = False
            if self._has_begun:
                with suppress(KitestringError):
                    self.rows("ROLLBACK TRANSACTION")
            raise
        self._is_inside = False
        if self._has_begun:
            self.rows("COMMIT TRANSACTION")
        self._finish_tables()

    def _begin(self) -> None:
        if self._is_inside and not self._has_begun:
            self._has_begun = True
            self._query(self.begin)

    def _finish_tables(self) -> None:
        """Do at the end of a transaction what no later step of it took over."""
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, "")
        drops, self._drops = self._drops, []
        for schema, table in drops:
            self.drop(schema, table)

    def close(self) -> None:
        was_closed, self.closed = self.closed, True
        with suppress(Exception):  # it ends by itself after a day
            if self._session is not None and not was_closed:
                self.rows("CALL BQ.ABORT_SESSION()")
        with suppress(Exception):
            self.client.close()

    # -- staging -------------------------------------------------------------------------------------------------------

    @contextmanager
    def staged(self, rows: pa.Table) -> Iterator[str]:
        from google.cloud.bigquery import LoadJobConfig
        from google.cloud.bigquery import Table as RemoteTable

        if not self._has_dataset:
            self.create_schema(self.dataset)
            self._has_dataset = True
        name = f"{INCOMING}_{self._suffix}_{next(self._numbers)}"
        kinds = [TEXT if kind in (NOTHING, "JSON") else kind for kind in self.kinds(rows)]
        named = zip([*rows.column_names, ROW], [*kinds, "BIGINT"], strict=True)
        fields = [field_of(self.dialect, column, kind) for column, kind in named]
        table = RemoteTable(self._path(self.dataset, name), schema=fields)
        table.expires = dt.datetime.now(dt.UTC) + STAGED_FOR
        with self._translated():
            self.client.create_table(table, exists_ok=True)
        try:
            if rows.num_rows:
                config = LoadJobConfig(source_format="PARQUET", schema=fields, write_disposition="WRITE_EMPTY")
                file = parquet_of(rows, ROW)
                with self._translated():
                    job = self._job(
                        lambda job_id: self.client.load_table_from_file(
                            file, table.reference, rewind=True, job_id=job_id, location=self.location, job_config=config
                        )
                    )
                    job.result()
                if job.output_rows != rows.num_rows:
                    raise ConnectorError(
                        f"{self.place} loaded {job.output_rows} of {rows.num_rows} rows into a table of staged rows",
                        hint="This is a defect of the connector: please report it.",
                    )
            yield self.reference(self.dataset, name)
        finally:
            if not self.closed:
                self._delete_table(self.dataset, name)

    # -- catalog -------------------------------------------------------------------------------------------------------

    def reference(self, schema: str, table: str = "") -> str:
        """With the project: BigQuery would take the name of a dataset that is an alias too for a column."""
        return f"{self.dialect.quoted(self.client.project)}.{super().reference(schema, table)}"

    def _path(self, schema: str, table: str) -> str:
        return f"{self.client.project}.{schema}.{table}"

    def _remote(self, schema: str, table: str) -> RemoteTable | None:
        from google.api_core.exceptions import NotFound

        with self._translated():
            try:
                remote = self.client.get_table(self._path(schema, table))
            except NotFound:
                return None
        if remote.table_type != "TABLE":
            raise ConfigError(
                f"{self.place}: {schema}.{table} exists and is not a table",
                hint="Give the stream another name, prefix or namespace, or remove it.",
            )
        return remote

    def columns(self, schema: str, table: str) -> dict[str, str]:
        remote = self._remote(schema, table)
        return {field.name: self.dialect.kind(type_text(field)) for field in remote.schema} if remote else {}

    def note(self, schema: str, table: str) -> str | None:
        remote = self._remote(schema, table)
        return remote.description or None if remote else None

    def notes(self) -> list[tuple[str, str, str]]:
        with self._translated():
            datasets = [dataset.dataset_id for dataset in self.client.list_datasets()]
            places = [(name, table.table_id) for name in datasets for table in self.client.list_tables(name)]
        remotes = [(*place, self._remote_note(*place)) for place in places if not self.dialect.is_own(place[1])]
        return [(schema, table, note) for schema, table, note in remotes if note]

    def _remote_note(self, schema: str, table: str) -> str | None:
        try:
            return self.note(schema, table)
        except ConfigError:  # a view
            return None

    def set_note(self, schema: str, table: str, text: str) -> None:
        created, self._creates = self._creates, None
        if created is not None:
            self._create(*created, text)
            return
        remote = self._remote(schema, table)
        if remote is not None:
            remote.description = self._description(schema, table, text)
            with self._translated():
                self.client.update_table(remote, ["description"])

    def _description(self, schema: str, table: str, text: str) -> str:
        if len(text) > LONGEST_DESCRIPTION:
            raise ConfigError(
                f"the note of {schema}.{table} has {len(text):,} characters, and the description of a table at most "
                f"{LONGEST_DESCRIPTION:,}: too many fields have names that no column can have",
                hint="Rename the fields with a mapper, or select fewer of them.",
            )
        return text

    # -- tables --------------------------------------------------------------------------------------------------------

    def create_schema(self, schema: str) -> None:
        from google.api_core.exceptions import NotFound
        from google.cloud.bigquery import Dataset

        with self._translated():
            try:
                self.client.get_dataset(schema)
            except NotFound:
                dataset = Dataset(f"{self.client.project}.{schema}")
                if self.location:
                    dataset.location = self.location
                self.client.create_dataset(dataset, exists_ok=True)

    def create(self, table: StoredTable, columns: Mapping[str, str]) -> None:
        self._creates = (table, dict(columns))

    def _create(self, table: StoredTable, columns: Mapping[str, str], note: str) -> None:
        from google.cloud.bigquery import Table as RemoteTable

        fields = [field_of(self.dialect, name, kind) for name, kind in columns.items()]
        remote = RemoteTable(self._path(table.schema, table.name), schema=fields)
        remote.description = self._description(table.schema, table.name, note)
        with self._translated():
            self.client.create_table(remote)

    def grow(self, table: StoredTable, added: Mapping[str, str], widened: Mapping[str, str]) -> None:
        """New columns in one statement; for wider types, one writes the table again."""
        quoted, type_name = self.dialect.quoted, self.dialect.type_name
        additions = [f"ADD COLUMN {quoted(column)} {type_name(kind)}" for column, kind in added.items()]
        if additions:
            self._query(f"ALTER TABLE {table.reference} {', '.join(additions)}")
        if widened:
            columns = {**table.columns, **added}
            self._rewrite(
                table, {column: (column, widened.get(column, kind)) for column, kind in columns.items()}, columns
            )

    def rename_columns(self, table: StoredTable, names: Mapping[str, str]) -> None:
        columns = dict(table.columns)
        self._rewrite(table, {column: (names.get(column, column), kind) for column, kind in columns.items()}, columns)

    def _rewrite(self, table: StoredTable, new: Mapping[str, tuple[str, str]], old: Mapping[str, str]) -> None:
        """Write a table again with other names and kinds of its columns, in one statement."""
        dialect = self.dialect
        values = ", ".join(
            f"{dialect.converted(f'kept.{dialect.quoted(column)}', old[column], kind)} AS {dialect.quoted(name)}"
            for column, (name, kind) in new.items()
        )
        spelled = ", ".join(f"{dialect.quoted(name)} {dialect.type_name(kind)}" for name, kind in new.values())
        note = dialect.literal(self._description(table.schema, table.name, table.comment or ""))
        self._query(
            f"CREATE OR REPLACE TABLE {table.reference} ({spelled}) OPTIONS (description = {note}) "  # noqa: S608 - quoted
            f"AS SELECT {values} FROM {table.reference} AS kept"
        )

    def drop(self, schema: str, table: str) -> None:
        if self._is_inside:
            self._drops.append((schema, table))
        else:
            self._delete_table(schema, table)

    def _delete_table(self, schema: str, table: str) -> None:
        with self._translated():
            self.client.delete_table(self._path(schema, table), not_found_ok=True)

    def rename(self, schema: str, table: str, name: str) -> None:
        """In one statement, which copies no rows, a table takes the place of one that the transaction drops."""
        source, target = self.reference(schema, table), self.reference(schema, name)
        if (schema, name) not in self._drops:
            self._query(f"ALTER TABLE {source} RENAME TO {self.dialect.quoted(name)}")
            return
        self._drops.remove((schema, name))
        note = self.dialect.literal(self.note(schema, table) or "")
        self._query(f"CREATE OR REPLACE TABLE {target} COPY {source} OPTIONS (description = {note})")
        self._delete_table(schema, table)

    def merge(self, merge: Merge) -> MergeCounts:
        return merge_rows(self, merge)


def field_of(dialect: BigqueryDialect, name: str, kind: str) -> SchemaField:
    """A field of the API for a column."""
    from google.cloud.bigquery import SchemaField

    type_, _, size = dialect.type_name(kind).rstrip(")").partition("(")
    precision, _, scale = size.partition(",")
    return SchemaField(
        name, type_, precision=int(precision) if precision else None, scale=int(scale) if scale else None
    )


def type_text(field: SchemaField) -> str:
    """The type of a field of the API, with the digits of a number."""
    if field.mode == "REPEATED":
        return f"ARRAY<{field.field_type}>"
    if field.precision is None:
        return str(field.field_type)
    return f"{field.field_type}({field.precision}, {field.scale or 0})"

"""Delta Lake: each stream is a Delta table, in a local folder or an object store, by delta-rs."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from kitestring.address import Resolve
from kitestring.config import option, secret
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.facts import Facts, Proposal
from kitestring.lake.destination import LakeDestination
from kitestring.lake.lake_dialect import LakeDialect
from kitestring.lake.location import is_remote, local_folder, require_writable
from kitestring.lake.table_format import Between, LakeTable, TableFormat, WriteId
from kitestring.sql.connection import Connection
from kitestring.sql.error_rules import FILE_RULES, ErrorRule, translated
from kitestring.types import Receipt, Stream
from kitestring.vendors.sql_quoting import quoted

if TYPE_CHECKING:
    import deltalake
    import pyarrow as pa

log = logging.getLogger("kitestring.delta")

NOTE = "kitestring.note"
"""The table property with the note of a table."""

LOG = "_delta_log"
"""The folder of a table with its log, without which it is no table."""
LOG_RETENTION = {"delta.checkpointInterval": "50"}
SMALL_FILES = 20
"""A stream that leaves more files than this, on average below `SMALL_BYTES`, is compacted."""
SMALL_BYTES = 32 * 1024 * 1024
LEAST_VACUUM_HOURS = 24
"""Files that left a table later may still be read, or belong to a commit that is under way."""

RULES = (
    ErrorRule(
        r"CommitFailedError|[Vv]ersion mismatch|concurrent",
        TransientError,
        "another program changed the table at {path} at the same time",
        "Let one sync at a time write a stream.",
    ),
    ErrorRule(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|Unauthorized|\b40[13]\b|PermissionDenied|Forbidden",
        AuthError,
        "{path} refuses the credentials: {text}",
        "Check `storage_options`.",
    ),
    ErrorRule(
        r"NoSuchBucket|bucket does not exist|Bucket .* not found",
        ConfigError,
        "the bucket of {path} does not exist",
        "Create it, or correct `path`.",
    ),
    ErrorRule(
        r"error sending request|Connection refused|connection closed|timed? ?out|dns error|\b50[0234]\b|SlowDown",
        TransientError,
        "{path} cannot be reached: {text}",
        "Check `path` and the endpoint in `storage_options`.",
    ),
    ErrorRule(
        r"Unsupported .*feature|reader feature|writer feature|DeletionVectors|not supported|Protocol",
        ConfigError,
        "the Delta table at {path} uses a feature that delta-rs cannot write: {text}",
        "Write to another table, or switch the feature off.",
    ),
    ErrorRule(
        r"Unable to|[Uu]nknown scheme|Invalid (url|location)|valid URL|missing a scheme|Missing region|Not a directory",
        ConfigError,
        "{path} cannot be used: {text}",
        "Check `path` and `storage_options`.",
    ),
    *FILE_RULES,
)

OWN_KEYS = (
    {"aws_access_key_id", "aws_secret_access_key"},
    {"azure_storage_account_name", "azure_storage_account_key"},
    {"azure_storage_account_name", "azure_storage_sas_key"},
    {"google_service_account_key"},
)
"""Options that are a whole credential."""
HARMLESS = {
    *("aws_session_token", "aws_region", "aws_default_region", "aws_endpoint_url", "aws_allow_http"),
    *("aws_virtual_hosted_style_request", "aws_conditional_put", "allow_http", "timeout", "connect_timeout"),
    *("azure_storage_use_emulator", "azure_container_name"),
}


class DeltaDialect(LakeDialect):
    """Delta has signed integers of 8 to 64 bits, and no times of day."""

    title = "Delta Lake"


class OpenDelta(LakeTable):
    """One Delta table. Rows are removed by MERGE, all else is written by delta-rs as it is."""

    def __init__(self, place: DeltaTables, table: deltalake.DeltaTable, uri: str) -> None:
        self.place = place
        self.uri = uri
        self.table = table
        self._read()

    def _read(self) -> None:
        import pyarrow as pa

        self.schema = pa.schema(self.table.schema().to_arrow())
        self.note = self.table.metadata().configuration.get(NOTE)
        self._stamp()

    def _stamp(self) -> None:
        """Note the version that is known."""
        self._version = self.table.version()
        self._stamped = None if self.place.is_remote else stamp_of(self._file(self._version))

    def _file(self, version: int) -> Path:
        return Path(self.uri, "_delta_log", f"{version:020}.json")

    def is_newest(self) -> bool:
        """Whether nobody else has changed or made the table again, by two looks at its log; False where these would
        be requests."""
        if self._stamped is None or self.table.version() != self._version:
            return False
        return stamp_of(self._file(self._version)) == self._stamped and not self._file(self._version + 1).exists()

    def count(self) -> int:
        with self.place.translated(self.uri):
            return int(self.table.count())

    def scan(self, columns: Sequence[str], between: Between) -> pa.RecordBatchReader:
        import pyarrow.compute as pc

        with self.place.translated(self.uri):
            tests = None
            for column, (low, high) in between.items():
                test = (pc.field(column) >= low) & (pc.field(column) <= high)
                tests = test if tests is None else tests & test
            # Fragments are read in the order of the log, the newest file first.
            dataset = self.table.to_pyarrow_dataset()
            return dataset.scanner(list(columns), filter=tests, batch_readahead=2, fragment_readahead=1).to_reader()

    def has(self, write: WriteId) -> bool:
        with self.place.translated(self.uri):
            version = self.table.transaction_version(write.writer)
        return version is not None and version >= write.number

    def append(self, rows: pa.RecordBatchReader, write: WriteId | None) -> None:
        from deltalake import write_deltalake

        with self.place.translated(self.uri):
            write_deltalake(self.table, rows, mode="append", commit_properties=commit_of(write))
            self._stamp()

    def replace(self, keys: pa.Table, rows: pa.Table, write: WriteId | None) -> None:
        import pyarrow as pa

        removal = "_kitestring_removal"
        named = {f"_kitestring_key_{n}": keys.column(n) for n in range(keys.num_columns)}
        removed = pa.table({removal: pa.array([True] * keys.num_rows), **named})
        source = pa.concat_tables(
            [removed, rows.append_column(removal, pa.array([False] * rows.num_rows, pa.bool_()))],
            promote_options="default",
        )
        # Equality is a fast join; null is looked for only where there is one.
        same = " AND ".join(
            f"(kept.{quoted(column)} {'IS NOT DISTINCT FROM' if keys[column].null_count else '='} incoming.{name})"
            for column, name in zip(keys.column_names, named, strict=True)
        )
        values = {quoted(column): f"incoming.{quoted(column)}" for column in rows.column_names}
        with self.place.translated(self.uri):
            merger = self.table.merge(
                source,
                predicate=f"{same} AND incoming.{removal}",
                source_alias="incoming",
                target_alias="kept",
                commit_properties=commit_of(write),
                streamed_exec=False,  # so that the bounds of the keys leave out files
            )
            merger = merger.when_matched_delete()
            merger.when_not_matched_insert(values, predicate=f"NOT incoming.{removal}").execute()
            self._stamp()

    def overwrite(self, rows: pa.RecordBatchReader, note: str | None) -> None:
        from deltalake import write_deltalake

        with self.place.translated(self.uri):
            if note is not None and note != self.note:
                self.set_note(note)
            write_deltalake(self.table, rows, mode="overwrite", schema_mode="overwrite")
            self.table.update_incremental()
            self._read()

    def clear(self) -> None:
        with self.place.translated(self.uri):
            self.table.delete()
            self._stamp()

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        import pyarrow as pa
        from deltalake import Schema

        with self.place.translated(self.uri):
            self.table.alter.add_columns(list(Schema.from_arrow(pa.schema(fields)).fields))
            self._read()

    def set_note(self, text: str) -> None:
        with self.place.translated(self.uri):
            self.table.alter.set_table_properties({NOTE: text}, raise_if_not_exists=False)
            self._stamp()
        self.note = text


class DeltaTables(TableFormat):
    """Delta tables at PATH/SCHEMA/TABLE."""

    def __init__(self, path: str, options: Mapping[str, str]) -> None:
        self.is_remote = is_remote(path)
        self.root = path.rstrip("/") if self.is_remote else str(local_folder(path, "path"))
        self.options = dict(options)
        self._opened: dict[str, OpenDelta] = {}

    @contextmanager
    def translated(self, uri: str) -> Iterator[None]:
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError) as error:
            raise translated(error, RULES, "Delta Lake", path=uri) from error

    def uri(self, schema: str, table: str = "") -> str:
        return "/".join(part for part in (self.root, schema, table) if part)

    def open(self, schema: str, table: str) -> OpenDelta | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        uri = self.uri(schema, table)
        if not self.is_remote and not Path(uri, LOG).is_dir():
            return None
        opened = self._opened.pop(uri, None)
        with self.translated(uri):
            if opened is None or not opened.is_newest():
                try:
                    opened = OpenDelta(self, DeltaTable(uri, storage_options=self.options), uri)
                except TableNotFoundError:
                    return None
        self._opened[uri] = opened
        return opened

    def create_schema(self, schema: str) -> None:
        if not self.is_remote:
            with self.translated(self.root):
                Path(self.uri(schema)).mkdir(parents=True, exist_ok=True)

    def create(self, schema: str, table: str, columns: pa.Schema, note: str | None) -> OpenDelta:
        from deltalake import DeltaTable

        uri = self.uri(schema, table)
        with self.translated(uri):
            created = DeltaTable.create(
                uri,
                columns,
                mode="error",
                storage_options=self.options,
                configuration={**LOG_RETENTION, **({NOTE: note} if note else {})},
                raise_if_key_not_exists=False,
            )
            opened = self._opened[uri] = OpenDelta(self, created, uri)
        return opened

    def drop(self, schema: str, table: str) -> None:
        uri = self.uri(schema, table)
        with self.translated(uri):
            if not self.is_remote:
                if Path(uri).exists():
                    # The log goes last, so that a table whose removal was interrupted is found again.
                    for entry in Path(uri).iterdir():
                        if entry.name != LOG and entry.is_dir():
                            shutil.rmtree(entry)
                        elif entry.name != LOG:
                            entry.unlink()
                    shutil.rmtree(uri)
            elif self._files().get_file_info([f"{schema}/{table}/{LOG}"])[0].type.name != "NotFound":
                self._files().delete_dir(f"{schema}/{table}")

    def listed(self) -> list[tuple[str, str]]:
        with self.translated(self.root):
            if not self.is_remote:
                logs = Path(self.root).glob(f"*/*/{LOG}")
                return sorted((log.parent.parent.name, log.parent.name) for log in logs)
            places = []
            for schema in self._folders(""):
                places += [(schema, table) for table in self._folders(schema)]
            return places

    def _folders(self, path: str) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        try:
            entries = self._files().get_file_info(FileSelector(path, recursive=False))
        except FileNotFoundError:
            return []
        return [entry.base_name for entry in entries if entry.type == FileType.Directory]

    def _files(self) -> Any:
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import PyFileSystem

        return PyFileSystem(DeltaStorageHandler(self.root, self.options))

    def check(self) -> None:
        """Look whether the root can be used, without a change."""
        if self.is_remote:
            with self.translated(self.root):
                self._folders("")
            return
        require_writable(Path(self.root), "path")


class Delta(LakeDestination):
    """Writes each stream into a Delta table."""

    facts: ClassVar[Facts] = Facts(
        title="Delta Lake",
        network="native",
        programs=False,
        packages=("deltalake", "duckdb", "pyarrow"),
        category="data lake",
        summary="Delta Lake tables, in a folder or an object store",
        proposal=Proposal(config="path: ./lake\n"),
    )
    dialect: ClassVar[LakeDialect] = DeltaDialect()

    path: str = option(order=0, examples=["./lake", "s3://bucket/lake"], local_path=lambda path: not is_remote(path))
    """The folder of the tables, or its address (`s3://`, `gs://`, `abfss://`). A table is at PATH/SCHEMA/STREAM."""

    storage_options: dict[str, str] = secret(default_factory=dict, order=2, title="Storage options")
    """The options of the object store as delta-rs has them: `aws_access_key_id`, `aws_secret_access_key`,
    `aws_region`, `aws_endpoint_url`, …"""

    compact: bool = option(True, order=5)
    """Whether many small files of a stream are joined to larger ones at the end of its sync."""

    vacuum_hours: int | None = option(None, order=6, title="Vacuum after hours", ge=LEAST_VACUUM_HOURS)
    """After how many hours files that no longer belong to a table are deleted at the end of a sync; earlier versions of
    the table cannot be read then. Default: never."""

    @field_validator("storage_options", mode="before")
    @classmethod
    def _as_texts(cls, value: Any) -> Any:
        options = json.loads(value) if isinstance(value, str) else value
        if not isinstance(options, Mapping):
            return options
        texts = {True: "true", False: "false"}
        return {
            str(name).lower(): texts[v] if isinstance(v, bool) else str(v) if isinstance(v, int) else v
            for name, v in options.items()
        }

    def machine_use(self) -> str | None:
        if not is_remote(self.path):
            return None
        names = {name for name, value in self.storage_options.items() if value}
        unknown = names - HARMLESS - {name for keys in OWN_KEYS for name in keys}
        if unknown:
            return f"storage_options.{min(unknown)}, which can name files or credentials of the machine"
        own = any(keys <= names for keys in OWN_KEYS)
        return None if own else "the credentials of the machine, as storage_options hold none"

    def pin(self, resolve: Resolve) -> None:
        """A folder needs no connection; delta-rs resolves the name of an object store by itself."""
        if is_remote(self.path):
            super().pin(resolve)

    def _lake(self) -> DeltaTables:
        return DeltaTables(self.path, self.storage_options)

    def check(self) -> None:
        self._lake().check()

    def commit(self, stream: Stream) -> Receipt | None:
        receipt = super().commit(stream)
        try:
            with self._connection() as connection:
                self._tidy(connection, stream)
        except KitestringError as error:  # the rows are durable: only their files are not joined or deleted
            log.warning("the files of %s were not tidied: %s", stream.key, error, extra={"stream": stream.key})
        return receipt

    def _tidy(self, connection: Connection, stream: Stream) -> None:
        table = self._table(connection, stream)
        opened = self._lake().open(table.schema, table.name) if table.exists else None
        if opened is None:
            return
        with opened.place.translated(opened.uri):
            if self.compact and has_small_files(opened.table):
                opened.table.optimize.compact()
            if self.vacuum_hours is not None:
                opened.table.vacuum(self.vacuum_hours, dry_run=False, enforce_retention_duration=False)


def has_small_files(table: deltalake.DeltaTable) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    sizes = pa.table(table.get_add_actions())["size_bytes"]
    return len(sizes) > SMALL_FILES and (pc.sum(sizes).as_py() or 0) < SMALL_BYTES * len(sizes)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """What another file of this name would not have."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def commit_of(write: WriteId | None) -> deltalake.CommitProperties | None:
    from deltalake import CommitProperties, Transaction

    if write is None:
        return None
    return CommitProperties(app_transactions=[Transaction(write.writer, write.number)])

"""The Python API: `ks.source`, `ks.destination`, `ks.sync` and `ks.search`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar

from kitestring import registry
from kitestring.batch import Batch
from kitestring.config import Config, masked, secrets_in
from kitestring.credentials import CredentialFiles, RenewsCredentials
from kitestring.destination import Destination, Searches
from kitestring.errors import ConfigError, ConnectorError, KitestringError
from kitestring.home_folder import home, private
from kitestring.source import Item, Source
from kitestring.suggest import did_you_mean
from kitestring.types import (
    Catalog,
    Checkpoint,
    Failed,
    Record,
    Reject,
    SchemaChange,
    Stream,
    Suspicion,
    SyncMode,
    Truncate,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from kitestring.engine import Continuous, Estimate, Progress, Rejects, Result, Selection
    from kitestring.engine.state import StateStore
    from kitestring.retrieval.restricted import RestrictedRows
    from kitestring.vector.restricted_store import RestrictedChunks

log = logging.getLogger("kitestring.library")

C = TypeVar("C", Source, Destination)


class Handle(Generic[C]):
    """A connector with its checked configuration. After `close` it is built again on the next use."""

    kind: Literal["source", "destination"]

    def __init__(self, connector: registry.Connector, config: Mapping[str, Any], folder: Path | None = None) -> None:
        self.name = connector.name
        self.config = dict(config)
        self._connector = connector
        self._folder = folder
        self._built: C | None = self._build()

    def _build(self) -> C:
        built: C = self._connector.build(self.config)
        if isinstance(built, RenewsCredentials):
            built.keep_credentials(CredentialFiles((self._folder or home()) / "credentials"))
        return built

    @property
    def connector(self) -> C:
        """The connector itself: a `Source` or a `Destination`."""
        if self._built is None:
            self._built = self._build()
        return self._built

    def spec(self) -> dict[str, Any]:
        """The form of the configuration: a JSON Schema."""
        return self._connector.spec()

    def secrets(self) -> list[str]:
        """The secret strings of the configuration, for redaction in logs."""
        return list(secrets_in(self.config, self.spec()))

    def check(self) -> None:
        """Raise what is wrong; return when a sync can start. Changes nothing."""
        self.connector.check()

    def close(self) -> None:
        """Close connections. The handle can be used again."""
        if self._built is not None:
            built, self._built = self._built, None
            built.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self.kind}({self.name!r}, {masked(self.config, self.spec())!r})"


class SourceHandle(Handle[Source]):
    """A source to check, discover, read, and pass to `sync`."""

    kind = "source"

    def discover(self) -> Catalog:
        """The streams that can be read."""
        return self.connector.discover()

    def read(self, stream: str, *, limit: int | None = None) -> Records:
        """The records of one stream from the beginning, at most `limit`; nothing is read before it is iterated."""
        return Records(self, stream, limit)


class DestinationHandle(Handle[Destination]):
    """A destination to check, search (a vector store), and pass to `sync`."""

    kind = "destination"

    def search(
        self,
        text: str,
        *,
        where: str | Mapping[str, Any] | None = None,
        limit: int = 10,
        threshold: float | None = None,
        hybrid: bool | None = None,
        stream: str | None = None,
        include_deleted: bool = False,
        permission: Mapping[str, Any] | None = None,
        per_record: int | None = None,
    ) -> list[Record]:
        """The nearest chunks, best first; see `kitestring.search`."""
        return search(
            self,
            text,
            where=where,
            limit=limit,
            threshold=threshold,
            hybrid=hybrid,
            stream=stream,
            include_deleted=include_deleted,
            permission=permission,
            per_record=per_record,
        )

    def restricted(self, permission: Mapping[str, Any]) -> RestrictedChunks | RestrictedRows:
        """The destination as one reader sees it, for `search`, `stored_streams`, `stored_rows`, `record_chunks`,
        `neighbours` and `chunk_map`: only what passes a permission, a mapping as `where` has it with positive
        conditions."""
        from kitestring.retrieval.restricted import restricted

        return restricted(self.connector, permission)


class Records:
    """The records of one stream. Each iteration reads again; `rejected` holds what the last one could not take."""

    def __init__(self, source: SourceHandle, name: str, limit: int | None) -> None:
        self._source = source
        self._name = name
        self._limit = limit
        self.rejected: list[Reject] = []

    @property
    def stream(self) -> Stream:
        """The stream as it is read: from the beginning, independent of syncs."""
        catalog = self._source.discover()
        stream = catalog.get(self._name)
        if stream is None:
            names = [entry.key for entry in catalog]
            raise ConfigError(
                f"{self._source.name} has no stream {self._name}{did_you_mean(self._name, names)}",
                hint=f"It has: {', '.join(sorted(names))}.",
                stream=self._name,
            )
        full = SyncMode.full_refresh in stream.sync_modes
        return replace(stream, sync_mode=SyncMode.full_refresh if full else SyncMode.incremental)

    def batches(self) -> Iterator[Batch]:
        """The records as runs of any length, in the form (rows or table) in which the source has them."""
        self.rejected = []
        stream, remaining = self.stream, self._limit
        if remaining is not None and remaining <= 0:
            return
        source = self._source.connector
        for partition in source.partitions([stream], {}):
            with finished(source.read(partition, {})) as items:
                for item in items:
                    if isinstance(item, Checkpoint | Truncate | SchemaChange):
                        continue
                    if isinstance(item, Suspicion):
                        log.warning("%s may be incomplete: %s", stream.key, item.reason, extra={"stream": stream.key})
                        continue
                    if isinstance(item, Reject):
                        self.rejected.append(item)
                        continue
                    if isinstance(item, Failed):
                        raise item.error
                    batch = item if isinstance(item, Batch) else Batch(stream.key, rows=[item])
                    if remaining is not None:
                        if len(batch) > remaining:
                            batch = head(batch, remaining)
                        remaining -= len(batch)
                    yield batch
                    if remaining == 0:
                        return

    def __iter__(self) -> Iterator[Record]:
        for batch in self.batches():
            yield from batch.rows()

    def to_arrow(self) -> pa.Table:
        """All records as an Arrow table, typed by the stream's schema; what does not fit goes to `rejected`."""
        with needs("arrow"):
            import pyarrow as pa
        from kitestring import arrow

        tables: list[pa.Table] = []
        rows: list[Record] = []

        def flush() -> None:
            table, rejected = arrow.from_rows(rows, self.stream.schema)
            tables.append(table)
            self.rejected.extend(rejected)
            rows.clear()

        for batch in self.batches():
            if batch.is_table:
                if rows:
                    flush()
                tables.append(batch.table())
            else:
                rows.extend(batch.rows())
        if rows or not tables:
            flush()
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")

    def to_pandas(self) -> pd.DataFrame:
        """All records as a pandas frame, typed by the stream's schema."""
        with needs("pandas"):
            import pandas  # noqa: F401 - Arrow needs it to be there
        return self.to_arrow().to_pandas()


@contextlib.contextmanager
def finished(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Close a generator that is not exhausted, so that its connections return to the pool at once."""
    try:
        yield items
    finally:
        if isinstance(items, Generator):
            items.close()


def head(batch: Batch, count: int) -> Batch:
    if batch.is_table:
        return Batch(batch.stream, table=batch.table().slice(0, count))
    return Batch(batch.stream, rows=batch.rows()[:count])


@contextlib.contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn an `ImportError` inside into a `ConfigError` with the way to install the extra."""
    try:
        yield
    except ImportError as error:
        raise registry.missing_package(extra, error) from error


def source(name: str, config: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> SourceHandle:
    """A source by its connector's name (or the path of a manifest). `ConfigError` names every wrong option.

    Credentials that are renewed (a refresh token that is good once) are kept in `folder`, by default `.kitestring`.
    """
    return SourceHandle(registry.connector("source", name), config or {}, folder)


def destination(name: str, config: Mapping[str, Any] | None = None) -> DestinationHandle:
    """A destination by its connector's name. `ConfigError` names every wrong option."""
    return DestinationHandle(registry.connector("destination", name), config or {})


def sync(
    source: SourceHandle | Source,
    destination: DestinationHandle | Destination,
    streams: Sequence[Selection | str] | None = None,
    *,
    connection: str | None = None,
    state: StateStore | str | os.PathLike[str] | Literal[False] | None = None,
    rejects: Rejects | str | os.PathLike[str] | None = None,
    max_rejects: int = 1000,
    max_nulled_share: float = 0.01,
    prefix: str = "",
    namespace: str | None = None,
    allow_empty: bool = False,
    accept_deletes: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    continuous: Continuous | None = None,
) -> Result:
    """Copy streams from a source to a destination, close both, and return the result.

    An impossible request (an unknown stream, refused credentials) is raised; later errors are in the result.

    `streams`: names or `Selection`s; None for all. `state`: where the next sync finds how far this one came, a file
    (`.json`: readable and editable; else SQLite), False for nowhere; default `.kitestring/state.sqlite` (or in
    `KITESTRING_HOME`). It is kept under `connection`; by default that is made from both ends and their
    configurations without the secrets, so that another subdomain or another collection begins at the start.
    `rejects`: the folder for records that could not be taken, default beside the state. More than `max_rejects` of them
    fail the sync. A stream is suspicious if a larger share of its records than `max_nulled_share` has a null in place
    of a value that does not fit its column. `allow_empty`: an overwrite
    with no records may empty the destination. `accept_deletes`: a stream with `detect_deletes` loses the records that
    its source does not list, however many. `progress` can be polled from another thread; `cancel`, once set, stops
    the sync at a checkpoint. With `continuous` it goes on with changes in windows, until that is stopped; the result
    has the sums of all windows.
    """
    from kitestring import engine

    name = connection or connection_name(source, destination)
    if state is None or rejects is None:
        private(home())
    reader, writer = detach(source), detach(destination)
    progress = progress or engine.Progress()
    run = partial(
        engine.sync,
        reader,
        writer,
        streams,
        states=states_at(state),
        connection=name,
        rejects=rejects_at(rejects),
        max_rejects=max_rejects,
        max_nulled_share=max_nulled_share,
        prefix=prefix,
        namespace=namespace,
        allow_empty=allow_empty,
        accept_deletes=accept_deletes,
        progress=progress,
        cancel=cancel,
        only_incremental=continuous is not None,
    )
    try:
        return run() if continuous is None else continuous.run(reader, progress, run)
    except KitestringError:  # raised before the start; otherwise the engine has closed both
        reader.close()
        writer.close()
        raise


def estimate(
    source: SourceHandle | Source,
    destination: DestinationHandle | Destination,
    streams: Sequence[Selection | str] | None = None,
    *,
    connection: str | None = None,
    state: StateStore | str | os.PathLike[str] | Literal[False] | None = None,
    prefix: str = "",
    namespace: str | None = None,
    sample: int | None = None,
    cancel: threading.Event | None = None,
) -> Estimate:
    """Estimate the volume and cost of a sync: reads at most `sample` records per stream and writes nothing."""
    from kitestring import engine

    name = connection or connection_name(source, destination)
    reader, writer = detach(source), detach(destination)
    try:
        return engine.estimate(
            reader,
            writer,
            streams,
            states=states_at(state),
            connection=name,
            prefix=prefix,
            namespace=namespace,
            sample=sample,
            cancel=cancel,
        )
    except KitestringError:
        reader.close()
        writer.close()
        raise


def search(
    destination: DestinationHandle | Destination,
    text: str,
    *,
    where: str | Mapping[str, Any] | None = None,
    limit: int = 10,
    threshold: float | None = None,
    hybrid: bool | None = None,
    stream: str | None = None,
    include_deleted: bool = False,
    permission: Mapping[str, Any] | None = None,
    per_record: int | None = None,
) -> list[Record]:
    """The chunks nearest to a text, best first: each a record with `id`, `distance`, `text`, `stream` and its metadata.

    `where` is a filter: a mapping of field to value (or list of values), or text in the store's own language.
    `threshold` leaves out what is farther away, in the collection's metric; `hybrid` adds full-text search where the
    store has it; `stream` searches one stream; `include_deleted` finds records too that are marked as deleted.
    `permission` is a mapping that every hit passes whatever `where` is, for the user on whose behalf a program
    searches: `{"allowed_users": {"contains": user}}`. A record without its fields is not found.
    `per_record`: at most so many chunks of one record.
    """
    reads = searchable(destination, permission)
    more: dict[str, Any] = {"include_deleted": True} if include_deleted else {}  # not every destination knows these
    if per_record is not None:
        more["per_record"] = per_record
    return reads.search(text, where=where, limit=limit, threshold=threshold, hybrid=hybrid, stream=stream, **more)


def searchable(destination: DestinationHandle | Destination, permission: Mapping[str, Any] | None = None) -> Searches:
    """The destination, or what a reader with this permission sees of it, if it can be searched by meaning.
    `ConfigError` if not."""
    writer: Any = destination.connector if isinstance(destination, DestinationHandle) else destination
    if permission is not None:
        from kitestring.retrieval.restricted import restricted

        writer = restricted(writer, permission)
    if not isinstance(writer, Searches):
        raise ConfigError(
            f"{connector_name(destination)} cannot be searched by meaning",
            hint="Search a vector store; `kitestring connectors list` shows which there are.",
        )
    return writer


def detach(end: Handle[C] | C) -> C:
    """The connector, no longer owned by its handle, which builds another on its next use."""
    if not isinstance(end, Handle):
        return end
    connector, end._built = end.connector, None
    return connector


def states_at(state: StateStore | str | os.PathLike[str] | Literal[False] | None) -> StateStore | None:
    """The states at a path (`.json` or SQLite), at the default place (None), or None for False."""
    from kitestring.engine import JsonStates, SqliteStates

    if state is False:
        return None
    if state is None:
        return SqliteStates(home() / "state.sqlite")
    if isinstance(state, str | os.PathLike):
        return JsonStates(state) if Path(state).suffix == ".json" else SqliteStates(state)
    return state


def rejects_at(rejects: Rejects | str | os.PathLike[str] | None) -> Rejects:
    from kitestring import engine

    if rejects is None:
        return engine.Rejects(home() / "rejects")
    return engine.Rejects(rejects) if isinstance(rejects, str | os.PathLike) else rejects


def connection_name(source: SourceHandle | Source, destination: DestinationHandle | Destination) -> str:
    """A name for this pair of ends with these configurations, secrets left out: `sample_to_duckdb_1f0c2a9b`."""
    parts = [[connector_name(end), public_config(end)] for end in (source, destination)]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return f"{connector_name(source)}_to_{connector_name(destination)}_{digest}"


def connector_name(connector: Handle[Any] | Config) -> str:
    if isinstance(connector, Handle):
        return connector.name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(connector).__name__).lower()


def public_config(connector: Handle[Any] | Config) -> Any:
    """The configuration with its secrets masked."""
    if isinstance(connector, Handle):
        return masked(connector.config, connector.spec())
    try:
        return masked(connector.model_dump(mode="json"), type(connector).spec())
    except (ValueError, TypeError) as error:
        raise ConnectorError(
            f"the configuration of {type(connector).__name__} cannot be written as JSON: {error}",
            hint="Give `sync` a `connection` name.",
        ) from error

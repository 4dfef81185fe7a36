"""Writes rejected records again, after the cause or the records were corrected."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from kitestring.airbyte.modes import WRITES, write_of
from kitestring.destination import Destination
from kitestring.engine.count_baseline import Baseline
from kitestring.engine.progress import Progress
from kitestring.engine.rejects import Rejects, encode_entry, entry_of
from kitestring.engine.result import Result, Status
from kitestring.engine.selection import Selection
from kitestring.engine.state import StateStore
from kitestring.engine.sync import sync
from kitestring.errors import ConfigError
from kitestring.mappers.mapped_batch import AsMapped
from kitestring.source import Item, Source
from kitestring.types import COUNTS, Catalog, Partition, States, Stream, SyncMode, Write


class Replayed(Source):
    """The rejected records of a connection as a source."""

    catalog: Catalog
    records: Any  # dict[str, list[Record]]; not validated, which would make plain dicts of all

    def discover(self) -> Catalog:
        return self.catalog

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for record in self.records.get(partition.stream.key, []):
            yield type(record)(record)


def replay(
    source: Source,
    destination: Destination,
    rejects: Rejects,
    connection: str,
    streams: Sequence[Selection | str] | None = None,
    *,
    states: StateStore | None = None,
    prefix: str = "",
    namespace: str | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Result:
    """Write the rejects of a connection; those rejected again stay in the file, the others are removed from it.

    An overwrite stream is replayed by appending (append_dedup where it has a key), so that its data stay.
    """
    entries = list(rejects.read(connection))
    if not entries:
        raise ConfigError(f"the connection {connection} has no rejected records", hint="There is nothing to replay.")
    records: dict[str, list[dict[str, Any]]] = {}
    recent: deque[bytes] = deque(maxlen=1000)
    for entry in entries:
        line = encode_entry({name: entry.get(name) for name in ("stream", "mapped", "record")})
        if line not in recent:  # a repeated sync may have rejected a record twice
            recent.append(line)
            record = AsMapped(entry["record"]) if entry.get("mapped") else entry["record"]
            records.setdefault(entry["stream"], []).append(record)
    selected = (Selection(name) if isinstance(name, str) else name for name in streams or ())
    by_name = {item.name: item for item in selected}
    chosen, declared = [], []
    for stream in source.discover():
        if stream.key in records:
            declared.append(full_refresh(stream))
            chosen.append(selection(stream, by_name, destination))
    missing = sorted(set(records) - {stream.key for stream in declared})
    if missing:
        raise ConfigError(
            f"the source has no stream {missing[0]}, of which records were rejected",
            hint=f"Remove its lines from {rejects.path(connection)}.",
        )
    replayed = Replayed(catalog=Catalog(tuple(declared)), records=records)
    new_rejects = ReplayRejects()
    result = sync(
        replayed, destination, chosen, states=None, connection=connection, rejects=new_rejects,
        max_rejects=len(entries) + 1,
        prefix=prefix, namespace=namespace, progress=progress, cancel=cancel,
    )  # fmt: skip
    deleted_from = [key for key, figures in result.streams.items() if figures.deleted]
    if states is not None and deleted_from:
        baseline = Baseline(states.load(connection).get(COUNTS, {}), list)
        if baseline.deleted(deleted_from):
            states.save(connection, COUNTS, baseline.state())
    done = {key for key, figures in result.streams.items() if figures.status in (Status.succeeded, Status.suspicious)}
    remaining = [entry for entry in entries if entry["stream"] not in done]
    rejects.replace(connection, [*remaining, *(e for e in new_rejects.entries if e["stream"] in done)])
    return result


class ReplayRejects(Rejects):
    """Rejects of a replay, kept in memory until the replay has ended."""

    def __init__(self) -> None:
        super().__init__("")
        self.entries: list[dict[str, Any]] = []

    def add(self, connection: str, stream: str, rejects: Any) -> None:
        self.entries.extend(entry_of(stream, reject) for reject in rejects)


def full_refresh(stream: Stream) -> Stream:
    from dataclasses import replace

    return replace(stream, sync_modes=(SyncMode.full_refresh,), sync_mode=SyncMode.full_refresh)


def selection(stream: Stream, by_name: dict[str, Selection], destination: Destination) -> Selection:
    from dataclasses import replace

    selected = by_name.get(stream.key) or by_name.get(stream.name) or Selection(stream.key)
    write = write_of(selected.write_mode or "overwrite")
    if write.replace:
        dedup = (selected.primary_key or stream.primary_key) and WRITES["append_dedup"] in destination.writes
        write = WRITES["append_dedup"] if dedup else Write()
    # (The rejected records are no listing of the source.)
    return replace(selected, name=stream.key, sync_mode="full_refresh", write_mode=write, detect_deletes=None)

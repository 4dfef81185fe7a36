"""`DeclarativeStream`: plan the slices of a state, read them, and merge their results into the state."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kitestring import json_codec
from kitestring.declarative.cursor import WRITTEN_DIGESTS
from kitestring.declarative.file_uploader import FileFolder, FileUploader, with_reference
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.listed_records import LISTED, ListedRecords
from kitestring.declarative.lookup import finder
from kitestring.declarative.page import Page
from kitestring.declarative.page_overlap import PageOverlap
from kitestring.declarative.partition_outcomes import PartitionOutcomes
from kitestring.declarative.partition_router import RoutingContext, SinglePartition
from kitestring.declarative.partition_state import (
    UNLISTED,
    SavedPartitions,
    parent_of,
    partition_key,
    summary,
)
from kitestring.declarative.retriever import SimpleRetriever
from kitestring.declarative.schema_loader import schema_of
from kitestring.declarative.slice import WHOLE, Slice
from kitestring.declarative.slice_watermark import SliceWatermark
from kitestring.declarative.state_migration import PartitionFromWholeStateMigration
from kitestring.declarative.stream_state import DOUBTED, PARENT_PAGES, RUN, StreamState, sync_start
from kitestring.errors import Cancelled, KitestringError
from kitestring.types import Checkpoint, Record, State, Stream, Suspicion, SyncMode
from kitestring.watermark import AHEAD, MOST_DOUBTS

log = logging.getLogger("kitestring.declarative")

CLOSED = "kitestring_closed"
"""The key of a checkpoint's note about a completed slice."""
IGNORE_HINT = "If the API reports an empty result in this way, let the manifest's error handler IGNORE it."


@dataclass(frozen=True, slots=True)
class SliceTask:
    """A slice to read. `since`: the cursor's state at its start. `began`: the start of the sync (epoch). `open`: the
    last of several slices; it reaches the present, so it gets the changes made while the others are read."""

    part: Slice
    since: Mapping[str, Any]
    began: float
    by: str = ""
    open: bool = False


@keyword("DeclarativeStream")
class DeclarativeStream:
    """One stream of a manifest: its retriever, primary key and cursor."""

    def __init__(self, node: Node, parent: bool = False, **_: Any) -> None:
        self.node = node
        self.name = str(node.constant("name", ""))
        self.cursor: Any = node.child("incremental_sync")
        self._schema: Mapping[str, Any] | None = None
        transformations = node.children("transformations")
        cached = parent or self.name in node.context.values.get("parents", ())
        self.retriever: Any = node.needed_child(
            "retriever",
            "SimpleRetriever",
            name=self.name,
            transformations=transformations,
            cursor=self.cursor,
            schema=self.schema,
            cached=cached,
            keys=keys_of(node, self.cursor),
            primary_key=primary_key(node),
            template_values=finder(node.children("lookups", "Lookup")),
        )
        self.router = self.retriever.router
        self.routed = not isinstance(self.router, SinglePartition)
        if self.routed and self.cursor is not None and not hasattr(self.cursor, "shift_back"):
            raise node.error("a partition router and an IncrementingCountCursor exclude each other", "incremental_sync")
        self._migrations = node.children("state_migrations", stream=self)
        self.states = StreamState(self.name, self.cursor, self.router, routed=self.routed, migrations=self._migrations)
        self.uploader: FileUploader | None = node.child(
            "file_uploader", "FileUploader", name=self.name, key=primary_key(node)
        )
        if self.uploader is not None and isinstance(self.retriever, SimpleRetriever) and self.retriever.restarts:
            raise node.error(
                "cannot be combined with windows that are split or pages that get smaller", "file_uploader"
            )

    def schema(self) -> Mapping[str, Any]:
        if self._schema is None:
            self._schema = schema_of(self.node)
        return self._schema

    def stream(self) -> Stream:
        """The stream for the catalog."""
        cursor = self.cursor
        modes = (SyncMode.full_refresh,) if cursor is None else (SyncMode.full_refresh, SyncMode.incremental)
        schema = self.schema()
        if self.files() is not None:
            schema = with_reference(schema)
        return Stream(
            name=self.name,
            schema=schema,
            primary_key=primary_key(self.node),
            cursor=None if cursor is None else (cursor.field,),
            source_defined_cursor=cursor is not None and not cursor.user_field,
            sync_modes=modes,
        )

    def files(self) -> FileFolder | None:
        """The folder for the files of this stream; None if it has no files or they are switched off."""
        files: FileFolder | None = self.node.context.values.get("files") if self.uploader is not None else None
        return None if self.name in self.node.context.values.get("without_files", ()) else files

    def set_schema(self, schema: Mapping[str, Any]) -> None:
        """Set the configured schema: properties outside it need not be requested."""
        if isinstance(self.retriever, SimpleRetriever):
            self.retriever.set_schema(schema)

    # Reading: a state to tasks, tasks to pages.

    def tasks(self, state: Mapping[str, Any], routing: RoutingContext) -> Iterator[SliceTask]:
        """The slices to read, in the order of the router."""
        began = time.time()
        run = state.get(RUN) or {}
        state = self.states.migrate(state)
        routing.state, routing.began = state, began
        cursor = self.cursor
        if cursor is None:
            for part in self.router.slices(routing):
                yield SliceTask(part, {}, began)
            return
        most = sync_start(began)
        if not self.routed:
            self._doubt_state(state, most, routing)
            for bounds, last in mark_last(cursor.slices(cursor.progress(state, most))):
                yield SliceTask(WHOLE.with_cursor(bounds), state, began, open=last)
            return
        saved = SavedPartitions(state, run, self.states.general)
        keys: set[str] = set()
        for part in self.router.slices(routing):
            key = partition_key(part.partition)
            if key in keys:
                continue
            keys.add(key)
            parent = parent_of(part.partition)
            if parent is not None:
                routing.parents[partition_key(parent)] = parent
            begins = saved.cursor_of(part.partition)
            if begins is None:
                begins = cursor.shift_back(saved.general, saved.lookback_s)
            self._doubt_state(begins, most, routing)
            for bounds, last in mark_last(cursor.slices(cursor.progress(begins, most))):
                yield SliceTask(part.with_cursor(bounds), begins, began, open=last)
        routing.partitions = summary(keys)
        for partition in saved.unlisted():
            routing.warnings.append(UNLISTED.format(partition=json_codec.dumps_text(dict(partition)), stream=self.name))
        if (change := saved.change_warning(keys)) and not self.router.grows:
            routing.warnings.append(change.format(stream=self.name))

    def _doubt_state(self, state: Mapping[str, Any], most: datetime, routing: RoutingContext) -> None:
        """Warn of a state in the future, written by an older version or with a wrong clock."""
        value = state.get(self.cursor.field)
        if value is None or "state_type" in state:
            return
        saved = self.cursor.parse_saved(value)
        if isinstance(saved, datetime) and saved > most + AHEAD and len(routing.warnings) < MOST_DOUBTS:
            routing.warnings.append(
                f"the saved state of {self.name} is {value}, in the future: the stream is read from now on, and "
                "earlier changes may be missing until it is refreshed"
            )

    def read(
        self, task: SliceTask, files: FileFolder | None = None, digests: bool = False
    ) -> Iterator[Page | Suspicion | Checkpoint]:
        """The pages of a task, then (with a cursor) the checkpoint with the note for `merge`. `files`: the folder for
        the files of its records. `digests`: drop records that an earlier sync wrote, because the write does not."""
        for page in self._read(task, digests):
            if files is not None and self.uploader is not None and isinstance(page, Page):
                page = self.uploader.fetch_files(page, files)
            yield page

    def _read(self, task: SliceTask, digests: bool) -> Iterator[Page | Suspicion | Checkpoint]:
        cursor = self.cursor
        if cursor is None:
            yield from self.retriever.pages(task.part)
            return
        cursor_filter = None
        if cursor.feed or cursor.client_side:
            cursor_filter = cursor.cursor_filter(cursor.lowest(cursor.progress(task.since, sync_start(task.began))))
        listed_records = None
        if cursor.passes_listed and cursor_filter is not None:
            settled = cursor.lookback_start(sync_start(task.began))
            read_before = cursor.read_before({"stream_slice": task.part})
            listed_records = ListedRecords(self.name, primary_key(self.node), cursor, task.since, settled, read_before)
            cursor_filter = listed_records.filter(cursor_filter, cursor.cursor_filter(cursor.start))
        watermark = self._watermark(task, digests)
        doubted, reported, overlap = False, 0, PageOverlap(primary_key(self.node))
        for page in self.retriever.pages(task.part, cursor_filter):
            page.records = watermark.new_records(overlap.remove_repeated(page.records))
            doubted = doubted or bool(page.doubt)
            yield page
            if len(watermark.doubts) > reported:
                yield from map(Suspicion, watermark.doubts[reported:])
                reported = len(watermark.doubts)
        moves = not doubted and not self.states.shares_cursor
        rest = {**self._note(task), **({DOUBTED: True} if doubted else {})}

        def without(rejected: Sequence[Record]) -> State:
            listed = listed_records.note(rejected) if listed_records is not None and not doubted else {}
            return {CLOSED: {**rest, **watermark.note(rejected, moves), **listed}}

        yield Checkpoint(without(()), without=without)

    def _watermark(self, task: SliceTask, digests: bool) -> SliceWatermark:
        connection = self.node.context.connection
        return SliceWatermark(
            self.cursor,
            lambda: datetime.fromtimestamp(task.began, UTC) + connection.clock.ahead,
            keys=primary_key(self.node),
            identity=self._identity(task.part.partition),
            digests=digests,
            written_before=task.since.get(WRITTEN_DIGESTS),
        )

    def _identity(self, partition: Mapping[str, Any]) -> str:
        """Distinguishes the digests of a partition from others. Empty for the partition that was the whole stream, so
        that its older digests still match."""
        if not self.routed:
            return ""
        key = partition_key(partition)
        whole = [m.partition for m in self._migrations if isinstance(m, PartitionFromWholeStateMigration)]
        return "" if key in map(partition_key, whole) else key

    def _note(self, task: SliceTask) -> dict[str, Any]:
        return {
            "partition": task.part.partition if self.routed else None,
            "bounds": dict(task.part.cursor_slice),
            "since": {name: value for name, value in task.since.items() if name not in (WRITTEN_DIGESTS, LISTED)},
            "began": task.began,
        }

    def unread_note(self, task: SliceTask) -> dict[str, Any] | None:
        """The note for `merge` about a task that failed; None for a stream without a state."""
        if self.cursor is None:
            return None
        digests = {"known": task.since[WRITTEN_DIGESTS]} if WRITTEN_DIGESTS in task.since else {}
        return {**self._note(task), "latest": None, DOUBTED: True, **digests}

    def failure_message(self, task: SliceTask, error: KitestringError) -> str:
        """A sentence about a task that failed."""
        values = {name: value for name, value in task.part.partition.items() if name != "parent_slice"}
        return f"the partition {json_codec.dumps_text(values)} of {self.name} could not be read: {error.message}."

    def doubted_note(self, routing: RoutingContext) -> dict[str, Any] | None:
        """The note for `merge` about incomplete pages of parents; None for a stream without a state."""
        if self.cursor is None or not self.routed:
            return None
        return {"partition": {}, "began": routing.began, DOUBTED: True, PARENT_PAGES: True}

    def all_records(
        self, state: State, ended: Callable[[State], None], doubts: list[str]
    ) -> Iterator[tuple[list[Record], Slice]]:
        """All records from a state on, page by page, for a child stream. `ended` is called with the final state;
        `doubts` collects the doubts about empty pages."""
        routing = RoutingContext(doubts=doubts)
        current = dict(state)
        outcomes = PartitionOutcomes()
        for task in self.tasks(state, routing):
            outcomes.add_planned()
            try:
                for page in self.read(task):
                    if isinstance(page, Page):
                        if page.doubt:
                            doubts.append(f"{page.doubt}. {IGNORE_HINT}")
                        yield page.records, task.part
                    elif isinstance(page, Suspicion):
                        doubts.append(page.reason)
                    else:
                        current = self.merge(current, page.state[CLOSED])
                outcomes.read()
            except KitestringError as error:
                if not self.routed or isinstance(error, Cancelled):
                    raise
                outcomes.add_failed(error)
                doubts.append(self.failure_message(task, error))
                note = self.unread_note(task)
                current = current if note is None else self.merge(current, note)
        outcomes.finish_planning()
        ended(self.finish(current, routing) if self.cursor is not None else {})

    # States.

    def merge(self, state: Mapping[str, Any], note: Mapping[str, Any]) -> State:
        """The state with one more completed slice."""
        return self.states.merge(state, note)

    def finish(self, state: Mapping[str, Any], routing: RoutingContext | None = None) -> State:
        """The state after all slices. `routing`: the result of their routing."""
        return self.states.finish(state, routing)


def mark_last(slices: Iterator[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each slice, and whether it is the last of several."""
    before, several = None, False
    for bounds in slices:
        if before is not None:
            yield before, False
            several = True
        before = bounds
    if before is not None:
        yield before, several


def keys_of(node: Node, cursor: Any) -> tuple[str, ...]:
    """Field names that each record has: those of its primary key, else its cursor."""
    return tuple(path[0] for path in primary_key(node)) or ((cursor.field,) if cursor is not None else ())


def primary_key(node: Node) -> tuple[tuple[str, ...], ...]:
    """The primary key as paths, from a name, a list of names, or a list of paths."""
    value = node.get("primary_key")
    if not value:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise node.error("a name, a list of names or a list of paths is expected", "primary_key")
    keys: list[tuple[str, ...]] = []
    for entry in value:
        path = entry if isinstance(entry, list) else [entry]
        if not path or not all(isinstance(part, str) for part in path):
            raise node.error(f"holds {entry!r}, a name or a path is expected", "primary_key")
        keys.append(tuple(path))
    return tuple(keys)

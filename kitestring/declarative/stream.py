"""`DeclarativeStream`: plan the slices of a state, read them, and merge their results into the state."""

from __future__ import annotations

import logging
import math
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
from kitestring.declarative.partition_router import GroupingPartitionRouter, RoutingContext, SinglePartition
from kitestring.declarative.partition_state import (
    MOST_PARTITIONS,
    PARENTS,
    PARTITIONS,
    SINGLE,
    UNLISTED,
    SavedPartitions,
    parent_of,
    parents_in,
    partition_key,
    refresh_entries,
    summary,
)
from kitestring.declarative.retriever import SimpleRetriever
from kitestring.declarative.schema_loader import schema_of
from kitestring.declarative.slice import WHOLE, Slice
from kitestring.declarative.slice_watermark import SliceWatermark, digests_from, merge_digests
from kitestring.declarative.state_migration import PartitionFromWholeStateMigration
from kitestring.errors import Cancelled, KitestringError
from kitestring.types import Checkpoint, Record, State, Stream, Suspicion, SyncMode
from kitestring.watermark import AHEAD, MOST_DOUBTS

log = logging.getLogger("kitestring.declarative")

RUN = "kitestring_run"
"""The key of a state's notes about the current sync; `finish` removes it."""
CLOSED = "kitestring_closed"
"""The key of a checkpoint's note about a completed slice."""
IGNORE_HINT = "If the API reports an empty result in this way, let the manifest's error handler IGNORE it."
DOUBTED = "doubted"
"""Marks the note of a slice that may be incomplete, and a run with one: the state stays before it, so that the next
sync reads it again."""
DOUBTED_OWN = "doubted_own"
"""Marks a run with an incomplete slice of the stream itself: the parents must list it again."""
PARENT_PAGES = "parents"
"""Marks a note for all slices: pages of the parents may be incomplete."""


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
            template_values=finder(node.children("lookups", "Lookup")),
        )
        self.router = self.retriever.router
        self.routed = not isinstance(self.router, SinglePartition)
        if self.routed and self.cursor is not None and not hasattr(self.cursor, "shift_back"):
            raise node.error("a partition router and an IncrementingCountCursor exclude each other", "incremental_sync")
        self._global = isinstance(self.router, GroupingPartitionRouter) or (
            self.cursor is not None and self.cursor.whole_stream
        )
        self._migrations = node.children("state_migrations", stream=self)
        self._places: dict[str, int] = {}
        self._placed: list[Any] = []
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

    def migrate_state(self, state: Mapping[str, Any]) -> dict[str, Any]:
        migrated = {k: v for k, v in state.items() if k != RUN and not k.startswith("__ab_")}
        for migration in self._migrations:
            migrated = migration.migrate(migrated)
        return migrated

    def tasks(self, state: Mapping[str, Any], routing: RoutingContext) -> Iterator[SliceTask]:
        """The slices to read, in the order of the router."""
        began = time.time()
        run = state.get(RUN) or {}
        state = self.migrate_state(state)
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
        saved = SavedPartitions(state, run, self.general)
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

    def general(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """One cursor's state as it is written; empty if there is none."""
        cursor = self.cursor
        if state.get(cursor.field) is None:
            return {}
        digests = {WRITTEN_DIGESTS: state[WRITTEN_DIGESTS]} if state.get(WRITTEN_DIGESTS) else {}
        return {cursor.field: cursor.write(cursor.parse_saved(state[cursor.field])), **digests}

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
        moves = not doubted and not self._global
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
        cursor = self.cursor
        latest = None if note.get("latest") is None else cursor.parse_written(note["latest"])
        if note["partition"] is None:
            return self._advance_cursor(self.migrate_state(state), note, latest)
        run = dict(state.get(RUN) or {})
        if run.get("began") != note["began"]:
            run = {"began": note["began"], **({SINGLE: True} if SINGLE in run else {})}
        merged = self.migrate_state(state)
        if "states" not in merged and "state" not in merged:
            general = self.general(merged)
            run.update({SINGLE: True} if general else {})
            merged = {"use_global_cursor": self._global, "states": [], **({"state": general} if general else {})}
        if latest is not None and ("latest" not in run or cursor.parse_written(run["latest"]) < latest):
            run["latest"] = note["latest"]
        if noted_digests := note.get("known"):
            run["known"] = merge_digests(run.get("known") or {}, noted_digests)
        run["seconds"] = max(1, math.ceil(time.time() - note["began"]))
        if note.get(DOUBTED):
            run[DOUBTED] = True
            run[DOUBTED_OWN] = run.get(DOUBTED_OWN, False) or PARENT_PAGES not in note
        if PARENT_PAGES in note:
            return {**merged, RUN: run}
        states = list(merged.get("states") or ())
        whole = self._global or bool(merged.get("use_global_cursor")) or len(states) > MOST_PARTITIONS
        if not whole:
            key = partition_key(note["partition"])
            places = self._places_in(merged.get("states") or [])
            place = places.get(key)
            before = states[place]["cursor"] if place is not None else note["since"]
            entry = {"partition": note["partition"], "cursor": self._advance_cursor(before, note, latest)}
            if place is None:
                places[key] = len(states)
                states.append(entry)
            else:
                states[place] = entry
            self._placed = states
        elif any(entry["cursor"] for entry in states):
            # A parent that only this sync has read may be new, with more of it unread.
            listed = [entry for entry in states if entry["cursor"] and "state_type" not in entry["cursor"]]
            merged[PARENTS] = parents_in(listed)
            if not parents_in(states) and not self.router.grows:
                merged[PARTITIONS] = summary([partition_key(entry["partition"]) for entry in states])
        return {**merged, "use_global_cursor": whole, "states": refresh_entries(states) if whole else states, RUN: run}

    def _advance_cursor(self, state: Mapping[str, Any], note: Mapping[str, Any], latest: Any) -> State:
        """One cursor's state with one more of its slices completed."""
        cursor = self.cursor
        progress = cursor.progress(state, sync_start(note["began"]))
        interval = None if note.get(DOUBTED) else cursor.bounds(note["bounds"], latest, progress)
        running: State = cursor.running_state(cursor.add(progress, interval))
        # Every note repeats the earlier digests that are still needed.
        digests = merge_digests(
            state.get(WRITTEN_DIGESTS) or {} if "state_type" in state else {}, note.get("known") or {}
        )
        listed = note[LISTED] if LISTED in note else state.get(LISTED)
        return {
            **running,
            **({WRITTEN_DIGESTS: digests} if digests else {}),
            **({} if listed is None else {LISTED: listed}),
        }

    def _finish_cursor(self, state: Mapping[str, Any]) -> State:
        """One cursor's state after all its slices."""
        cursor = self.cursor
        progress = cursor.progress(state)
        ended: State = cursor.final_state(progress)
        digests = digests_from(
            cursor, state.get(WRITTEN_DIGESTS) or {}, cursor.lookback_start(cursor.parse_saved(ended[cursor.field]))
        )
        listed = state.get(LISTED)
        return {
            **ended,
            **({WRITTEN_DIGESTS: digests} if digests else {}),
            **({} if listed is None else {LISTED: listed}),
        }

    def _places_in(self, states: list[Any]) -> dict[str, int]:
        """The index of each partition's entry, cached between merges: a state may have 10,000 entries."""
        if states is not self._placed:
            self._places = {partition_key(entry["partition"]): place for place, entry in enumerate(states)}
        return self._places

    def finish(self, state: Mapping[str, Any], routing: RoutingContext | None = None) -> State:
        """The state after all slices. `routing`: the result of their routing."""
        cursor = self.cursor
        if cursor is None:
            return dict(state)
        run = dict(state.get(RUN) or {})
        migrated = self.migrate_state(state)
        if not self.routed:
            return self._finish_cursor(migrated)
        if "states" not in migrated and "state" not in migrated:
            general = self.general(migrated)
            migrated = {"states": [], **({"state": general} if general else {})}
        whole = self._global or bool(migrated.get("use_global_cursor"))
        states = [
            {"partition": entry["partition"], "cursor": self._finish_cursor(entry["cursor"])}
            for entry in (() if whole else migrated.get("states") or ())
        ]
        final: State = {"use_global_cursor": whole}
        if whole:
            final |= self._shared_cursor_state(migrated, None if run.get(DOUBTED) else routing)
            if run.get(DOUBTED) and (refreshed := refresh_entries(migrated.get("states") or ())):
                final["states"] = refreshed
        else:
            final["states"] = states
        values = (
            [migrated["state"][cursor.field]] if (migrated.get("state") or {}).get(cursor.field) is not None else []
        )
        # With an incomplete slice, unknown partitions start where they would have started in this sync.
        if run.get("latest") is not None and not run.get(DOUBTED):
            values.append(run["latest"])
            values.extend(entry["cursor"][cursor.field] for entry in states)
        if values:
            final["state"] = {cursor.field: cursor.write(max(map(cursor.parse_written, values)))}
            if whole and (digests := run.get("known") if run else (migrated.get("state") or {}).get(WRITTEN_DIGESTS)):
                back = cursor.shift_back(final["state"], float(run.get("seconds", 0)))
                remaining = digests_from(cursor, digests, cursor.lookback_start(cursor.parse_saved(back[cursor.field])))
                final["state"] = {**final["state"], **({WRITTEN_DIGESTS: remaining} if remaining else {})}
        final["lookback_window"] = run["seconds"] if "latest" in run else migrated.get("lookback_window", 0)
        if self.router.saves_parents:
            # If the parent's state moved on, the parent would never list the failed partition again.
            stays = routing is None or bool(run.get(DOUBTED_OWN))
            final["parent_state"] = (
                migrated.get("parent_state", {}) if stays else dict(routing.parent_states if routing else {})
            )
        return final

    def _shared_cursor_state(self, state: Mapping[str, Any], routing: RoutingContext | None) -> State:
        """The keys about partitions in a state with one cursor for all. Without `routing` they do not change."""
        final = {name: state[name] for name in (PARENTS, PARTITIONS) if name in state}
        if routing is None:
            return final
        parents = {**{partition_key(parent): parent for parent in final.pop(PARENTS, ())}, **routing.parents}
        if len(parents) > MOST_PARTITIONS:
            log.warning(
                "the state of %s cannot list more than %d partitions of its parent: records of a new one from before "
                "the last sync are not read",
                self.name,
                MOST_PARTITIONS,
                extra={"stream": self.name},
            )
        elif parents:
            final[PARENTS] = list(parents.values())
        if PARENTS not in final and not self.router.grows:
            final[PARTITIONS] = routing.partitions
        return final


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


def sync_start(began: float) -> datetime:
    return datetime.fromtimestamp(began, UTC)


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

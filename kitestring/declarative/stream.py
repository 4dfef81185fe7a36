"""`DeclarativeStream`: what it is, which slices it has for a state, and what a state becomes as slices end."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kitestring import json_codec
from kitestring.declarative.attendance import Attendance
from kitestring.declarative.cursor import KNOWN
from kitestring.declarative.file_uploader import Files, FileUploader, with_reference
from kitestring.declarative.highest_cursor import Highest, joined, since
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.listing import LISTED, Listing
from kitestring.declarative.lookup import finder
from kitestring.declarative.overlap import Overlap
from kitestring.declarative.page import Page
from kitestring.declarative.partition_router import GroupingPartitionRouter, Memory, Single
from kitestring.declarative.partition_state import (
    MOST_PARTITIONS,
    PARENTS,
    PARTITIONS,
    SINGLE,
    UNLISTED,
    SavedPartitions,
    asked_for,
    parent_of,
    parents_in,
    partition_key,
    summary,
)
from kitestring.declarative.retriever import SimpleRetriever
from kitestring.declarative.schema_loader import schema_of
from kitestring.declarative.slice import WHOLE, Slice
from kitestring.declarative.state_migration import PartitionFromWholeStateMigration
from kitestring.errors import Cancelled, KitestringError
from kitestring.types import Checkpoint, Record, State, Stream, Suspicion, SyncMode
from kitestring.watermark import AHEAD, MOST_DOUBTS

log = logging.getLogger("kitestring.declarative")

RUN = "kitestring_run"
"""The key under which a state holds notes about the sync that is under way; `finish` removes it."""
CLOSED = "kitestring_closed"
"""The key of a checkpoint's note that a slice was read."""
NOTHING = "If this is how the API says that there is nothing, let the manifest's error handler IGNORE it."
DOUBTED = "doubted"
"""Marks the note of a slice that may be incomplete, and a run with one: the state stays before it, so that the next
sync reads it again."""
OWN = "doubted_own"
"""Marks a run with a slice of its own that may be incomplete: the parents must give it once more."""
PARENT_PAGES = "parents"
"""Marks a note about all slices: pages of the parents may be incomplete."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A slice that is to be read. `since` is the cursor's state it begins with, `began` when the sync began (epoch).
    `open`: it comes behind others and reaches the present, so what changes while they are read comes into it."""

    part: Slice
    since: Mapping[str, Any]
    began: float
    by: str = ""
    open: bool = False


@keyword("DeclarativeStream")
class DeclarativeStream:
    """One stream of a manifest: where its records come from, what identifies them, and what orders them."""

    def __init__(self, node: Node, parent: bool = False, **_: Any) -> None:
        self.node = node
        self.name = str(node.constant("name", ""))
        self.cursor: Any = node.child("incremental_sync")
        self._schema: Mapping[str, Any] | None = None
        transformations = node.children("transformations")
        cached = parent or self.name in node.setting.values.get("parents", ())
        self.retriever: Any = node.needed_child(
            "retriever",
            "SimpleRetriever",
            name=self.name,
            transformations=transformations,
            cursor=self.cursor,
            schema=self.schema,
            cached=cached,
            keys=keys_of(node, self.cursor),
            seen=finder(node.children("lookups", "Lookup")),
        )
        self.router = self.retriever.router
        self.routed = not isinstance(self.router, Single)
        if self.routed and self.cursor is not None and not hasattr(self.cursor, "looked_back"):
            raise node.wrong("a partition router and an IncrementingCountCursor exclude each other", "incremental_sync")
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
            raise node.wrong(
                "cannot be combined with windows that are split or pages that get smaller", "file_uploader"
            )

    def schema(self) -> Mapping[str, Any]:
        if self._schema is None:
            self._schema = schema_of(self.node)
        return self._schema

    def stream(self) -> Stream:
        """The stream as the catalog shows it."""
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

    def files(self) -> Files | None:
        """The folder that the files of this stream go to; None where it has none, or they are not wanted."""
        files: Files | None = self.node.setting.values.get("files") if self.uploader is not None else None
        return None if self.name in self.node.setting.values.get("without_files", ()) else files

    def configured(self, schema: Mapping[str, Any]) -> None:
        """The schema that the stream is read with: properties that are not in it need not be asked for."""
        if isinstance(self.retriever, SimpleRetriever):
            self.retriever.configured(schema)

    # Reading: states to pieces, pieces to pages.

    def migrated(self, state: Mapping[str, Any]) -> dict[str, Any]:
        found = {k: v for k, v in state.items() if k != RUN and not k.startswith("__ab_")}
        for migration in self._migrations:
            found = migration.migrate(found)
        return found

    def pieces(self, state: Mapping[str, Any], memory: Memory) -> Iterator[Piece]:
        """The slices that are to be read, as the router finds them."""
        began = time.time()
        run = state.get(RUN) or {}
        state = self.migrated(state)
        memory.state, memory.began = state, began
        cursor = self.cursor
        if cursor is None:
            for part in self.router.slices(memory):
                yield Piece(part, {}, began)
            return
        most = most_of(began)
        if not self.routed:
            self._doubt_state(state, most, memory)
            for bounds, last in with_end(cursor.slices(cursor.progress(state, most))):
                yield Piece(WHOLE.during(bounds), state, began, open=last)
            return
        saved = SavedPartitions(state, run, self.general)
        seen: set[str] = set()
        for part in self.router.slices(memory):
            key = partition_key(part.partition)
            if key in seen:
                continue
            seen.add(key)
            parent = parent_of(part.partition)
            if parent is not None:
                memory.parents[partition_key(parent)] = parent
            begins = saved.cursor_of(part.partition)
            if begins is None:
                begins = cursor.looked_back(saved.general, saved.lookback_s)
            self._doubt_state(begins, most, memory)
            for bounds, last in with_end(cursor.slices(cursor.progress(begins, most))):
                yield Piece(part.during(bounds), begins, began, open=last)
        memory.partitions = summary(seen)
        for partition in saved.unlisted():
            memory.warnings.append(UNLISTED.format(partition=json_codec.dumps_text(dict(partition)), stream=self.name))
        if (unclear := saved.unclear(seen)) and not self.router.grows:
            memory.warnings.append(unclear.format(stream=self.name))

    def _doubt_state(self, state: Mapping[str, Any], most: datetime, memory: Memory) -> None:
        """A state that an older version, or a wrong clock, has put into the future."""
        value = state.get(self.cursor.field)
        if value is None or "state_type" in state:
            return
        saved = self.cursor.saved(value)
        if isinstance(saved, datetime) and saved > most + AHEAD and len(memory.warnings) < MOST_DOUBTS:
            memory.warnings.append(
                f"the saved state of {self.name} is {value}, in the future: it is read from now on, and what changed "
                "before may be missing until the stream is refreshed"
            )

    def general(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """One cursor's state as it is written; empty where there is none."""
        cursor = self.cursor
        if state.get(cursor.field) is None:
            return {}
        known = {KNOWN: state[KNOWN]} if state.get(KNOWN) else {}
        return {cursor.field: cursor.write(cursor.saved(state[cursor.field])), **known}

    def read(
        self, piece: Piece, files: Files | None = None, digests: bool = False
    ) -> Iterator[Page | Suspicion | Checkpoint]:
        """The pages of a piece, then (with a cursor) the checkpoint with the note for `merge`. The files of its records
        go to `files`. `digests`: records that an earlier sync wrote are left out, for nothing else does it."""
        for page in self._read(piece, digests):
            if files is not None and self.uploader is not None and isinstance(page, Page):
                page = self.uploader.fetched(page, files)
            yield page

    def _read(self, piece: Piece, digests: bool) -> Iterator[Page | Suspicion | Checkpoint]:
        cursor = self.cursor
        if cursor is None:
            yield from self.retriever.pages(piece.part)
            return
        wanted = None
        if cursor.feed or cursor.client_side:
            wanted = cursor.judge(cursor.lowest(cursor.progress(piece.since, most_of(piece.began))))
        listing = None
        if cursor.listed and wanted is not None:
            settled = cursor.again(most_of(piece.began))
            read_before = cursor.read_before({"stream_slice": piece.part})
            listing = Listing(self.name, primary_key(self.node), cursor, piece.since, settled, read_before)
            wanted = listing.passing(wanted, cursor.judge(cursor.start))
        highest = self._highest(piece, digests)
        doubted, told, overlap = False, 0, Overlap(primary_key(self.node))
        for page in self.retriever.pages(piece.part, wanted):
            page.records = highest.take(overlap.without(page.records))
            doubted = doubted or bool(page.doubt)
            yield page
            if len(highest.doubts) > told:
                yield from map(Suspicion, highest.doubts[told:])
                told = len(highest.doubts)
        moves = not doubted and not self._global
        rest = {**self._note(piece), **({DOUBTED: True} if doubted else {})}

        def without(rejected: Sequence[Record]) -> State:
            listed = listing.note(rejected) if listing is not None and not doubted else {}
            return {CLOSED: {**rest, **highest.note(rejected, moves), **listed}}

        yield Checkpoint(without(()), without=without)

    def _highest(self, piece: Piece, digests: bool) -> Highest:
        connection = self.node.setting.connection
        return Highest(
            self.cursor,
            lambda: datetime.fromtimestamp(piece.began, UTC) + connection.clock.ahead,
            keys=primary_key(self.node),
            identity=self._identity(piece.part.partition),
            digests=digests,
            known=piece.since.get(KNOWN),
        )

    def _identity(self, partition: Mapping[str, Any]) -> str:
        """What tells the digests of a partition from those of others. A partition that was the whole stream has
        none, so that its digests of then are known."""
        if not self.routed:
            return ""
        key = partition_key(partition)
        whole = [m.partition for m in self._migrations if isinstance(m, PartitionFromWholeStateMigration)]
        return "" if key in map(partition_key, whole) else key

    def _note(self, piece: Piece) -> dict[str, Any]:
        return {
            "partition": piece.part.partition if self.routed else None,
            "bounds": dict(piece.part.cursor_slice),
            "since": {name: value for name, value in piece.since.items() if name not in (KNOWN, LISTED)},
            "began": piece.began,
        }

    def unread(self, piece: Piece) -> dict[str, Any] | None:
        """The note for `merge` that a piece could not be read; None for a stream without a state."""
        if self.cursor is None:
            return None
        known = {"known": piece.since[KNOWN]} if KNOWN in piece.since else {}
        return {**self._note(piece), "latest": None, DOUBTED: True, **known}

    def lost(self, piece: Piece, error: KitestringError) -> str:
        """A sentence about a piece that could not be read."""
        values = {name: value for name, value in piece.part.partition.items() if name != "parent_slice"}
        return f"the partition {json_codec.dumps_text(values)} of {self.name} could not be read: {error.message}."

    def doubted(self, memory: Memory) -> dict[str, Any] | None:
        """The note for `merge` that parents' pages may be incomplete; None for a stream without a state."""
        if self.cursor is None or not self.routed:
            return None
        return {"partition": {}, "began": memory.began, DOUBTED: True, PARENT_PAGES: True}

    def everything(
        self, state: State, ended: Callable[[State], None], doubts: list[str]
    ) -> Iterator[tuple[list[Record], Slice]]:
        """All records from a state on, page by page, for a child; `ended` gets the state when they were all taken, and
        `doubts` what speaks against pages that were empty."""
        memory = Memory(doubts=doubts)
        current = dict(state)
        attendance = Attendance()
        for piece in self.pieces(state, memory):
            attendance.planned()
            try:
                for page in self.read(piece):
                    if isinstance(page, Page):
                        if page.doubt:
                            doubts.append(f"{page.doubt}. {NOTHING}")
                        yield page.records, piece.part
                    elif isinstance(page, Suspicion):
                        doubts.append(page.reason)
                    else:
                        current = self.merge(current, page.state[CLOSED])
                attendance.read()
            except KitestringError as error:
                if not self.routed or isinstance(error, Cancelled):
                    raise
                attendance.failed(error)
                doubts.append(self.lost(piece, error))
                note = self.unread(piece)
                current = current if note is None else self.merge(current, note)
        attendance.all_planned()
        ended(self.finish(current, memory) if self.cursor is not None else {})

    # States: what they become.

    def merge(self, state: Mapping[str, Any], note: Mapping[str, Any]) -> State:
        """The state after one more slice was read."""
        cursor = self.cursor
        latest = None if note.get("latest") is None else cursor.written(note["latest"])
        if note["partition"] is None:
            return self._advanced(self.migrated(state), note, latest)
        run = dict(state.get(RUN) or {})
        if run.get("began") != note["began"]:
            run = {"began": note["began"], **({SINGLE: True} if SINGLE in run else {})}
        found = self.migrated(state)
        if "states" not in found and "state" not in found:
            general = self.general(found)
            run.update({SINGLE: True} if general else {})
            found = {"use_global_cursor": self._global, "states": [], **({"state": general} if general else {})}
        if latest is not None and ("latest" not in run or cursor.written(run["latest"]) < latest):
            run["latest"] = note["latest"]
        if whole_known := note.get("known"):
            run["known"] = joined(run.get("known") or {}, whole_known)
        run["seconds"] = max(1, math.ceil(time.time() - note["began"]))
        if note.get(DOUBTED):
            run[DOUBTED] = True
            run[OWN] = run.get(OWN, False) or PARENT_PAGES not in note
        if PARENT_PAGES in note:
            return {**found, RUN: run}
        states = list(found.get("states") or ())
        whole = self._global or bool(found.get("use_global_cursor")) or len(states) > MOST_PARTITIONS
        if not whole:
            key = partition_key(note["partition"])
            places = self._places_in(found.get("states") or [])
            place = places.get(key)
            before = states[place]["cursor"] if place is not None else note["since"]
            entry = {"partition": note["partition"], "cursor": self._advanced(before, note, latest)}
            if place is None:
                places[key] = len(states)
                states.append(entry)
            else:
                states[place] = entry
            self._placed = states
        elif any(entry["cursor"] for entry in states):
            # A parent of which only this sync has read something may be new, and the rest of it is not read yet.
            listed = [entry for entry in states if entry["cursor"] and "state_type" not in entry["cursor"]]
            found[PARENTS] = parents_in(listed)
            if not parents_in(states) and not self.router.grows:
                found[PARTITIONS] = summary([partition_key(entry["partition"]) for entry in states])
        return {**found, "use_global_cursor": whole, "states": asked_for(states) if whole else states, RUN: run}

    def _advanced(self, state: Mapping[str, Any], note: Mapping[str, Any], latest: Any) -> State:
        """One cursor's state after one more of its slices was read."""
        cursor = self.cursor
        progress = cursor.progress(state, most_of(note["began"]))
        stretch = None if note.get(DOUBTED) else cursor.bounds(note["bounds"], latest, progress)
        running: State = cursor.running(cursor.add(progress, stretch))
        # What was known before comes with every note, as far as it is still needed.
        known = joined(state.get(KNOWN) or {} if "state_type" in state else {}, note.get("known") or {})
        listed = note[LISTED] if LISTED in note else state.get(LISTED)
        return {**running, **({KNOWN: known} if known else {}), **({} if listed is None else {LISTED: listed})}

    def _ended(self, state: Mapping[str, Any]) -> State:
        """One cursor's state when all its slices were read."""
        cursor = self.cursor
        progress = cursor.progress(state)
        ended: State = cursor.final(progress)
        known = since(cursor, state.get(KNOWN) or {}, cursor.again(cursor.saved(ended[cursor.field])))
        listed = state.get(LISTED)
        return {**ended, **({KNOWN: known} if known else {}), **({} if listed is None else {LISTED: listed})}

    def _places_in(self, states: list[Any]) -> dict[str, int]:
        """Where each partition's entry stands. Kept from one merge to the next: a state may have 10,000 entries."""
        if states is not self._placed:
            self._places = {partition_key(one["partition"]): place for place, one in enumerate(states)}
        return self._places

    def finish(self, state: Mapping[str, Any], memory: Memory | None = None) -> State:
        """The state when all slices were read; `memory` is that of their routing."""
        cursor = self.cursor
        if cursor is None:
            return dict(state)
        run = dict(state.get(RUN) or {})
        found = self.migrated(state)
        if not self.routed:
            return self._ended(found)
        if "states" not in found and "state" not in found:
            general = self.general(found)
            found = {"states": [], **({"state": general} if general else {})}
        whole = self._global or bool(found.get("use_global_cursor"))
        states = [
            {"partition": entry["partition"], "cursor": self._ended(entry["cursor"])}
            for entry in (() if whole else found.get("states") or ())
        ]
        final: State = {"use_global_cursor": whole}
        if whole:
            final |= self._whole(found, None if run.get(DOUBTED) else memory)
            if run.get(DOUBTED) and (asked := asked_for(found.get("states") or ())):
                final["states"] = asked
        else:
            final["states"] = states
        values = [found["state"][cursor.field]] if (found.get("state") or {}).get(cursor.field) is not None else []
        # With a slice that may be incomplete, partitions that are not known yet begin where they would have begun now.
        if run.get("latest") is not None and not run.get(DOUBTED):
            values.append(run["latest"])
            values.extend(one["cursor"][cursor.field] for one in states)
        if values:
            final["state"] = {cursor.field: cursor.write(max(map(cursor.written, values)))}
            if whole and (known := run.get("known") if run else (found.get("state") or {}).get(KNOWN)):
                back = cursor.looked_back(final["state"], float(run.get("seconds", 0)))
                left = since(cursor, known, cursor.again(cursor.saved(back[cursor.field])))
                final["state"] = {**final["state"], **({KNOWN: left} if left else {})}
        final["lookback_window"] = run["seconds"] if "latest" in run else found.get("lookback_window", 0)
        if self.router.keeps:
            # A parent that moved on would never again list the partition that could not be read.
            stays = memory is None or bool(run.get(OWN))
            final["parent_state"] = found.get("parent_state", {}) if stays else dict(memory.found if memory else {})
        return final

    def _whole(self, found: Mapping[str, Any], memory: Memory | None) -> State:
        """What a state with one cursor for all partitions keeps of them. Without `memory` nothing new is believed."""
        kept = {name: found[name] for name in (PARENTS, PARTITIONS) if name in found}
        if memory is None:
            return kept
        parents = {**{partition_key(parent): parent for parent in kept.pop(PARENTS, ())}, **memory.parents}
        if len(parents) > MOST_PARTITIONS:
            log.warning(
                "the state of %s cannot list more than %d partitions of its parent: what a new one held before "
                "the last sync is not read",
                self.name,
                MOST_PARTITIONS,
                extra={"stream": self.name},
            )
        elif parents:
            kept[PARENTS] = list(parents.values())
        if PARENTS not in kept and not self.router.grows:
            kept[PARTITIONS] = memory.partitions
        return kept


def with_end(slices: Iterator[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each slice, and whether it is the last behind others."""
    before, several = None, False
    for bounds in slices:
        if before is not None:
            yield before, False
            several = True
        before = bounds
    if before is not None:
        yield before, several


def most_of(began: float) -> datetime:
    return datetime.fromtimestamp(began, UTC)


def keys_of(node: Node, cursor: Any) -> tuple[str, ...]:
    """Names that each record has: those of its primary key, else its cursor."""
    return tuple(path[0] for path in primary_key(node)) or ((cursor.field,) if cursor is not None else ())


def primary_key(node: Node) -> tuple[tuple[str, ...], ...]:
    """A name, a list of names, or a list of paths."""
    value = node.get("primary_key")
    if not value:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise node.wrong("a name, a list of names or a list of paths is expected", "primary_key")
    keys: list[tuple[str, ...]] = []
    for one in value:
        path = one if isinstance(one, list) else [one]
        if not path or not all(isinstance(part, str) for part in path):
            raise node.wrong(f"holds {one!r}, a name or a path is expected", "primary_key")
        keys.append(tuple(path))
    return tuple(keys)

"""The state of a stream: a completed slice advances it, and the end of a sync concludes it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from kitestring.declarative.cursor import WRITTEN_DIGESTS
from kitestring.declarative.listed_records import LISTED
from kitestring.declarative.partition_router import GroupingPartitionRouter, RoutingContext
from kitestring.declarative.partition_state import (
    MOST_PARTITIONS,
    PARENTS,
    PARTITIONS,
    SINGLE,
    parents_in,
    partition_key,
    refresh_entries,
    summary,
)
from kitestring.declarative.slice_watermark import digests_from, merge_digests
from kitestring.types import State

log = logging.getLogger("kitestring.declarative")

RUN = "kitestring_run"
"""The key of a state's notes about the current sync; `finish` removes it."""
DOUBTED = "doubted"
"""Marks the note of a slice that may be incomplete, and a run with one: the state stays before it, so that the next
sync reads it again."""
DOUBTED_OWN = "doubted_own"
"""Marks a run with an incomplete slice of the stream itself: the parents must list it again."""
PARENT_PAGES = "parents"
"""Marks a note for all slices: pages of the parents may be incomplete."""


class StreamState:
    """The states of one stream, in Airbyte's format: with one cursor, with a cursor for each partition, or with one
    cursor for all partitions. `name`: the stream's."""

    def __init__(self, name: str, cursor: Any, router: Any, *, routed: bool, migrations: Sequence[Any]) -> None:
        self.name = name
        self.cursor = cursor
        self.router = router
        self.routed = routed
        self.shares_cursor = isinstance(router, GroupingPartitionRouter) or (
            cursor is not None and bool(cursor.whole_stream)
        )
        self._migrations = migrations
        self._places: dict[str, int] = {}
        self._placed: list[Any] = []

    def migrate(self, state: Mapping[str, Any]) -> dict[str, Any]:
        migrated = {k: v for k, v in state.items() if k != RUN and not k.startswith("__ab_")}
        for migration in self._migrations:
            migrated = migration.migrate(migrated)
        return migrated

    def general(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """One cursor's state as it is written; empty if there is none."""
        cursor = self.cursor
        if state.get(cursor.field) is None:
            return {}
        digests = {WRITTEN_DIGESTS: state[WRITTEN_DIGESTS]} if state.get(WRITTEN_DIGESTS) else {}
        return {cursor.field: cursor.write(cursor.parse_saved(state[cursor.field])), **digests}

    def merge(self, state: Mapping[str, Any], note: Mapping[str, Any]) -> State:
        """The state with one more completed slice."""
        cursor = self.cursor
        latest = None if note.get("latest") is None else cursor.parse_written(note["latest"])
        if note["partition"] is None:
            return self._advance_cursor(self.migrate(state), note, latest)
        run = dict(state.get(RUN) or {})
        if run.get("began") != note["began"]:
            run = {"began": note["began"], **({SINGLE: True} if SINGLE in run else {})}
        merged = self.migrate(state)
        if "states" not in merged and "state" not in merged:
            general = self.general(merged)
            run.update({SINGLE: True} if general else {})
            merged = {"use_global_cursor": self.shares_cursor, "states": [], **({"state": general} if general else {})}
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
        whole = self.shares_cursor or bool(merged.get("use_global_cursor")) or len(states) > MOST_PARTITIONS
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
        migrated = self.migrate(state)
        if not self.routed:
            return self._finish_cursor(migrated)
        if "states" not in migrated and "state" not in migrated:
            general = self.general(migrated)
            migrated = {"states": [], **({"state": general} if general else {})}
        whole = self.shares_cursor or bool(migrated.get("use_global_cursor"))
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


def sync_start(began: float) -> datetime:
    return datetime.fromtimestamp(began, UTC)

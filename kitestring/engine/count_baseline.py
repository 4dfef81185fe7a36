"""The count baseline: how many records of each stream the destination held when the last sync ended.

A count that fell since then is a loss where only new records are read. It is no loss where a sync deleted the records
itself and was killed before its end, or where another connection that writes to the same place deleted some.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kitestring.engine.selection import Route
from kitestring.types import State


@dataclass(frozen=True, slots=True)
class Note:
    """The baseline of one stream, as a state keeps it.

    `count`: records that the destination held at `at` (epoch seconds) under the name `stream`. `lost`: those missing
    from it. `deleting`: a sync began to delete since and has not noted its end; `emptying`: to delete them all.
    """

    count: int
    lost: int = 0
    stream: str = ""
    at: float = 0.0
    deleting: bool = False
    emptying: bool = False
    fields: Sequence[str] | None = None
    """The fields that the source declared; None if they were not noted."""

    @classmethod
    def of(cls, value: Any) -> Note | None:
        """The note in a state; None for something else."""
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(max(0, value), max(0, -value))
        if not isinstance(value, Mapping) or not isinstance(value.get("count"), int):
            return None
        fields = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        return cls(**fields)


LISTINGS = "_listings"


def accepted_state(saved: Mapping[str, Any]) -> State:
    """The state of a connection's notes after its user has accepted what the destination holds, and the deletions that
    wait for that."""
    listings = saved.get(LISTINGS) or {}
    waiting = {key: {**note, "accepted": True} if "missing_keys" in note else note for key, note in listings.items()}
    return {LISTINGS: waiting} if waiting else {}


class Baseline:
    """The notes of a connection. `other_notes` gives those of the other connections in the same store, on demand."""

    def __init__(self, saved: Mapping[str, Any], other_notes: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        self._notes = {key: note for key, value in saved.items() if (note := Note.of(value)) is not None}
        self.listings: State = dict(saved.get(LISTINGS) or {})
        """By stream: what its last comparison with a listing of the source left (`missing_records.py`)."""
        self._other_notes = other_notes

    def state(self) -> State:
        """The notes as a state."""
        notes = {key: asdict(note) for key, note in self._notes.items()}
        return {**notes, LISTINGS: self.listings} if self.listings else notes

    def lost(self, route: Route, before: int | None) -> tuple[int, str]:
        """The number of records missing when a sync goes on from a state, and the sentence that says so (or nothing).

        `before` is the destination's count now, None where it gives none.
        """
        note = self._notes.get(route.read.key)
        if note is None or before is None or before >= note.count + note.lost:
            return 0, ""
        missing = note.count + note.lost - before
        if note.emptying or (before and (note.deleting or self._explained(note, route.written.key, before))):
            missing = note.lost
        if not missing:
            return 0, ""
        if missing == note.lost:
            fact = f"the destination lost {missing} records before, and only what is new was read since"
        else:
            remaining = before or "none"
            fact = (
                f"the destination held {note.count} records after the last sync and {remaining} when this one began, "
                "and only what is new was read"
            )
        return missing, (
            f"{fact}: read all again (--full-refresh), or, where they were taken out on purpose, accept what is there "
            "(kitestring state accept)"
        )

    def _explained(self, note: Note, stream: str, before: int) -> bool:
        """True where another connection left the stream with this count since then, or is deleting from it."""
        notes_of_others = (Note.of(value) for notes in self._other_notes() for value in notes.values())
        return any(
            other.deleting or (other.at > note.at and other.count == before and not other.lost)
            for other in notes_of_others
            if other is not None and other.stream == stream
        )

    def deletes(self, route: Route, everything: bool = False) -> bool:
        """Note that records of this stream will be deleted; True where the note is new and must be saved first."""
        key = route.read.key
        note = self._notes.get(key) or Note(0)
        if note.deleting and (note.emptying or not everything):
            return False
        self._notes[key] = replace(note, stream=route.written.key, deleting=True, emptying=everything)
        return True

    def deleted(self, keys: Iterable[str]) -> bool:
        """Note that records of these streams were deleted outside a sync; True where the notes changed."""
        noted = [key for key in keys if key in self._notes]
        for key in noted:
            self._notes[key] = replace(self._notes[key], deleting=True)
        return bool(noted)

    def ended(self, route: Route, after: int | None, lost: int, fields: Sequence[str] | None = None) -> bool:
        """Note the destination's count at the end of a stream, and the source's fields; True where the notes changed.

        The count after a full refresh says nothing about the records that an incremental sync goes on from.
        """
        key = route.read.key
        if not route.read.incremental or (after == 0 and not lost):
            return self._notes.pop(key, None) is not None
        if after is None:
            return False
        self._notes[key] = Note(after, lost, route.written.key, time.time(), fields=fields)
        return True

    def fields(self, key: str) -> Sequence[str] | None:
        """The fields that the source declared for a stream when it was last noted; None if they were not."""
        note = self._notes.get(key)
        return None if note is None else note.fields

    def note_fields(self, key: str, fields: Sequence[str] | None) -> bool:
        """Note the fields that the source declares now; True where the notes changed."""
        note = self._notes.get(key)
        if note is None or note.fields == fields:
            return False
        self._notes[key] = replace(note, fields=fields)
        return True

"""`StateDelegatingStream`: one stream for a full refresh, another for incremental reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kitestring.declarative import datetime_format
from kitestring.declarative.datetime_cursor import DatetimeBasedCursor
from kitestring.declarative.file_uploader import FileFolder
from kitestring.declarative.keyword import Node, keyword
from kitestring.declarative.partition_router import RoutingContext
from kitestring.declarative.slice import Slice
from kitestring.declarative.stream import CLOSED, DeclarativeStream, SliceTask
from kitestring.declarative.stream_state import DOUBTED, sync_start
from kitestring.errors import KitestringError
from kitestring.types import Checkpoint, Record, State, Stream


@keyword("StateDelegatingStream")
class StateDelegatingStream:
    """Reads everything first, then only changes; everything again if the state is too old for the API.

    After a complete sync the state is at most half of the API's retention period old, even if the newest record is
    older. Otherwise a quiet list would be read in full each time, and a deletion that only the changes report would
    never be read.
    """

    def __init__(self, node: Node, parent: bool = False, **_: Any) -> None:
        self.node = node
        self.full: DeclarativeStream = node.needed_child("full_refresh_stream", "DeclarativeStream", parent=parent)
        self.partial: DeclarativeStream = node.needed_child("incremental_stream", "DeclarativeStream", parent=parent)
        self.name = str(node.constant("name", ""))
        if not self.name == self.full.name == self.partial.name:
            raise node.error(f"its streams have the names {self.full.name} and {self.partial.name}, not {self.name}")
        text = node.constant("api_retention_period")
        try:
            self._retention = datetime_format.parse_duration(text) if text else None
        except ValueError as error:
            raise node.error(str(error), "api_retention_period") from None
        self._by = "full"
        self._began: float | None = None
        self._doubted = False

    @property
    def cursor(self) -> Any:
        return self._stream(self._by).cursor

    @property
    def routed(self) -> bool:
        return self._stream(self._by).routed

    @property
    def uploader(self) -> Any:
        return self.full.uploader or self.partial.uploader

    def _stream(self, by: str) -> DeclarativeStream:
        return self.partial if by == "partial" else self.full

    def _choice(self, state: Mapping[str, Any]) -> str:
        if not {k: v for k, v in state.items() if not k.startswith("__ab_")}:
            return "full"
        if self._retention is not None:
            cursor = self.partial.cursor or self.full.cursor
            value = (state.get("state") or state).get(cursor.field) if cursor is not None else None
            if value is None or cursor.parse_saved(value) < datetime_format.now() - self._retention:
                return "full"
        return "partial"

    def stream(self) -> Stream:
        return self._stream("partial" if self.full.cursor is None else "full").stream()

    def set_schema(self, schema: Mapping[str, Any]) -> None:
        for stream in (self.full, self.partial):
            stream.set_schema(schema)

    def tasks(self, state: Mapping[str, Any], routing: RoutingContext) -> Iterator[SliceTask]:
        self._by = by = self._choice(state)
        self._began, self._doubted = None, False
        for task in self._stream(by).tasks(state if by == "partial" else {}, routing):
            self._began = task.began
            yield replace(task, by=by)

    def files(self) -> FileFolder | None:
        return self._stream(self._by).files()

    def read(self, task: SliceTask, files: FileFolder | None = None, digests: bool = False) -> Iterator[Any]:
        for page in self._stream(task.by).read(task, files, digests):
            yield self._mark_checkpoint(page, task.by) if isinstance(page, Checkpoint) else page

    @staticmethod
    def _mark_checkpoint(checkpoint: Checkpoint, by: str) -> Checkpoint:
        """A checkpoint whose note names its stream of the two."""
        inner = checkpoint.without
        assert inner is not None

        def without(rejected: Sequence[Record]) -> State:
            return {CLOSED: {**inner(rejected)[CLOSED], "by": by}}

        return Checkpoint(without(()), without=without)

    def merge(self, state: Mapping[str, Any], note: Mapping[str, Any]) -> State:
        self._doubted = self._doubted or bool(note.get(DOUBTED))
        return self._stream(note["by"]).merge(state, note)

    def finish(self, state: Mapping[str, Any], routing: RoutingContext | None = None) -> State:
        final = self._stream(self._by).finish(state, routing)
        cursor = self._stream(self._by).cursor
        if self._retention is None or self._began is None or self._doubted:
            return final
        if not isinstance(cursor, DatetimeBasedCursor) or cursor.field not in final:
            return final
        began = sync_start(self._began)
        oldest = began - (began - (began - self._retention)) / 2
        if cursor.parse_saved(final[cursor.field]) >= oldest or cursor.end() < oldest:
            return final
        return {**final, cursor.field: cursor.write(oldest)}

    def doubted_note(self, routing: RoutingContext) -> dict[str, Any] | None:
        note = self._stream(self._by).doubted_note(routing)
        return None if note is None else {**note, "by": self._by}

    def unread_note(self, task: SliceTask) -> dict[str, Any] | None:
        note = self._stream(task.by).unread_note(task)
        return None if note is None else {**note, "by": task.by}

    def failure_message(self, task: SliceTask, error: KitestringError) -> str:
        return self._stream(task.by).failure_message(task, error)

    def all_records(
        self, state: State, ended: Callable[[State], None], doubts: list[str]
    ) -> Iterator[tuple[list[Record], Slice]]:
        return self._stream(self._choice(state)).all_records(state, ended, doubts)

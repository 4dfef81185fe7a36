"""Clear, refresh and backfill in a child process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import PrivateAttr

from kitestring.airbyte.modes import WRITES, word_of
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.engine import MemoryStates, Selection
from kitestring.engine.count_baseline import Baseline
from kitestring.engine.selection import Route, routes
from kitestring.errors import ConfigError
from kitestring.paths import at
from kitestring.server.child.call import ActionCall
from kitestring.server.child.connector_setup import selections
from kitestring.server.child.protocol import ParentChannel
from kitestring.server.child.sync import catalog_of, key_in, open_ends, parent_states, run_sync
from kitestring.source import GoesOnAfterRefresh, Item, Source, declared_streams
from kitestring.types import COUNTS, Catalog, Partition, State, States, Stream, SyncMode, Write

log = logging.getLogger("kitestring.jobs")


class EmptySource(Source):
    """A source whose streams are all empty."""

    catalog: Catalog

    def discover(self) -> Catalog:
        return self.catalog

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        return iter(())


def clear(call: ActionCall) -> Any:
    """Forget the states of `options.streams` (default: all), then empty the streams at the destination.

    In this order: the other would leave a state without its data if the job ended between the two.
    """
    request = call.request
    with open_ends(call) as (source, destination):
        catalog = planned_catalog(request) or source.discover()
        chosen = chosen_selections(request, catalog, all_selections(call, catalog))
        if WRITES["overwrite"] not in destination.writes:
            raise ConfigError(
                f"{type(destination).__name__} cannot be emptied: it only adds records",
                hint="Empty it with its own tools, then refresh the streams.",
            )
        emptied = tuple(as_full_refresh(catalog, selection) for selection in chosen)
        overwrites = [
            replace(selection, sync_mode="full_refresh", write_mode="overwrite", cursor=None, detect_deletes=None)
            for selection in chosen
        ]
        call.parent.request_answer(
            "forget", streams=None if not streams_of(request) else [stream.key for stream in emptied]
        )
        nothing = EmptySource(catalog=Catalog(emptied))
        return run_sync(call, nothing, destination, nothing.catalog, overwrites, MemoryStates(), allow_empty=True)


def refresh(call: ActionCall) -> Any:
    """Read `options.streams` (default: all) from the beginning. `options.mode`:

    `truncate` (default): the new copy replaces the old in one step when it is complete; until then, and if it fails,
    the old copy stays. An incremental stream is read as a full refresh and keeps its state: the next sync reads again
    what changed since that state, so that nothing between the two is missed. A source with a log (`GoesOnAfterRefresh`)
    goes on after the copy, also where the log before it is lost.
    `merge`: records are written over the old ones, and records that the source no longer has stay. The state of an
    incremental stream is forgotten; later attempts of this job continue from what earlier ones saved.
    """
    request = call.request
    truncate = (request.get("options") or {}).get("mode", "truncate") != "merge"
    with open_ends(call) as (source, destination):
        catalog, all_chosen = catalog_of(call, source)
        chosen = chosen_selections(
            request, catalog, all_chosen if all_chosen is not None else all_selections(call, catalog)
        )
        reads, forgotten = [], []
        copied: list[Stream] = []
        log_source = source if isinstance(source, GoesOnAfterRefresh) and source.follows_log else None
        for selection, route in zip(chosen, chosen_routes(request, catalog, chosen, destination), strict=True):
            read = refresh_selection(selection, route, destination, truncate, log_source is not None)
            reads.append(read)
            if read.sync_mode == "incremental":
                forgotten.append(route.read.key)
            elif route.read.incremental:
                copied.append(route.read)
        states = request.get("states") or {}
        after = log_source.before_refresh(copied, states) if log_source is not None and copied else None
        if forgotten:
            states = call.parent.request_answer("forget", streams=forgotten)["states"]
        result = run_sync(call, source, destination, catalog, reads, parent_states(call, states))
        # (A suspicious copy may have been dropped.)
        complete = [key for key, figures in result["streams"].items() if figures["status"] == "succeeded"]
        if after is not None and complete:
            call.parent.request_answer("save", states=after(complete), figures={})
        return result


def refresh_selection(
    selection: Selection, route: Route, destination: Destination, truncate: bool, goes_on: bool = False
) -> Selection:
    """The selection that reads a stream from the beginning. `goes_on`: its source goes on after a full refresh."""
    read = route.read
    selection = replace(selection, detect_deletes=None)  # a new copy needs none, and `merge` lets records stay
    # The new copy keeps what the stream keeps: the latest version of each key or all, and deletions.
    copy = Write(True, read.write.keep, read.write.deletes)
    # Records marked as deleted exist only at the destination: a new copy would lose them.
    replaces = truncate and read.write.deletes != "mark" and copy in destination.writes
    if not read.incremental:
        return replace(selection, sync_mode="full_refresh", write_mode=copy if replaces else read.write)
    if read.write.keep == "all":
        raise ConfigError(
            f"the stream {read.key} only adds records: reading it again would store each a second time",
            hint="Clear the stream, then sync.",
            stream=read.key,
        )
    if goes_on and not replaces:
        return replace(selection, sync_mode="full_refresh", write_mode=read.write)
    if replaces and SyncMode.full_refresh in read.sync_modes:
        return replace(selection, sync_mode="full_refresh", write_mode=copy)
    if truncate:
        log.warning("records that the source no longer has stay: there is no full refresh", extra={"stream": read.key})
    return replace(selection, sync_mode="incremental", write_mode=read.write)


def backfill(call: ActionCall) -> Any:
    """Read `options.stream` again from the cursor value `options.from` to `options.to` (default: no end).

    Records are written over the old ones by key. Nothing is removed, and the saved state stays as it is.
    """
    request = call.request
    options = request.get("options") or {}
    start, end = options.get("from"), options.get("to")
    with open_ends(call) as (source, destination):
        catalog, all_chosen = catalog_of(call, source)
        chosen = chosen_selections(
            {**request, "options": {"streams": [options.get("stream")]}},
            catalog,
            all_chosen if all_chosen is not None else all_selections(call, catalog),
        )
        (selection,), (route,) = chosen, chosen_routes(request, catalog, chosen, destination)
        read = route.read
        if not read.incremental or read.write.keep != "latest" or start is None:
            raise ConfigError(
                f"a window of the stream {read.key} cannot be read again: it is read as {read.sync_mode.value} and "
                f"written as {word_of(read.write)}" + ("" if start is not None else ", and no `from` is given"),
                hint="A window needs a `from`, and a stream that is read as incremental and written as append_dedup. "
                "Refresh the stream instead.",
                stream=read.key,
            )
        states = WindowStates(call.parent)
        state = state_from(source, read, (request.get("states") or {}).get(read.key, {}), start)
        states.save(str(request["connection"]), read.key, state)
        window = Window.over(source, read, end)
        windowed = replace(selection, write_mode=read.write, detect_deletes=None)  # a window is no listing
        result = run_sync(call, window, destination, catalog, [windowed], states)
        baseline = Baseline((request.get("states") or {}).get(COUNTS, {}), list)
        if any(figures["deleted"] for figures in result["streams"].values()) and baseline.deleted([read.key]):
            call.parent.request_answer("save", states={COUNTS: baseline.state()}, figures={})
        return result


class WindowStates(MemoryStates):
    """The states of a backfill, in memory only: a later attempt begins at the start of the window. So its figures
    count only when a stream has ended."""

    durable = False

    def __init__(self, up: ParentChannel) -> None:
        super().__init__()
        self._up = up

    def save_all(self, connection: str, states: Mapping[str, State], figures: Mapping[str, Mapping[str, Any]]) -> None:
        for stream, state in states.items():
            self.save(connection, stream, state)
        ended = {
            stream: stream_figures
            for stream, stream_figures in figures.items()
            if stream_figures["status"] != "running"
        }
        if ended:
            self._up.request_answer("save", states={}, figures=ended)


def state_from(source: Source, stream: Stream, state: State, start: Any) -> State:
    """The state of a stream at `start`. `ConfigError` if the form of its states is unknown."""
    cursor = (stream.cursor or ("",))[-1]
    plain = isinstance(state.get("cursor"), str | int | float)
    if plain or (not state and stream.name in declared_streams(type(source))):
        return {"cursor": start}
    if list(state) == [cursor] or (not state and type(source).__name__ == "DeclarativeSource"):
        return {cursor: start}
    raise ConfigError(
        f"the stream {stream.key} cannot be read from a chosen value: its state has another form "
        f"({', '.join(sorted(state)) or 'none is saved yet'})",
        hint="Refresh the stream instead.",
        stream=stream.key,
    )


class Window(Source):
    """A source with one stream that ends at a cursor value."""

    _inner: Source = PrivateAttr()
    _cursor: tuple[str, ...] = PrivateAttr()
    _end: Any = PrivateAttr()

    @classmethod
    def over(cls, inner: Source, stream: Stream, end: Any) -> Window:
        window = cls()
        window._inner, window._cursor, window._end = inner, stream.cursor or (), end
        return window

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        return self._inner.partitions(streams, states)

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        return self._inner.groups(streams)

    def merge(self, stream: str, state: State, checkpoint: State) -> State:
        return self._inner.merge(stream, state, checkpoint)

    def finish(self, stream: Stream, state: State) -> State:
        return self._inner.finish(stream, state)

    def concurrency(self) -> int:
        return self._inner.concurrency()

    def close(self) -> None:
        self._inner.close()

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        for item in self._inner.read(partition, states):
            if isinstance(item, Batch):
                yield Batch(item.stream, rows=[row for row in item.rows() if self._inside(row)], nbytes=item.nbytes)
            elif not isinstance(item, dict) or self._inside(item):
                yield item

    def _inside(self, row: Mapping[str, Any]) -> bool:
        value = at(row, self._cursor) if self._cursor else None
        if self._end is None or value is None:
            return True
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value <= float(self._end)
        return str(value) <= str(self._end)


def streams_of(request: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in (request.get("options") or {}).get("streams") or ()]


def planned_catalog(request: Mapping[str, Any]) -> Catalog | None:
    """The catalog of the plan, so that a source that cannot be reached need not be asked for it."""
    from kitestring.airbyte.source import stream_of

    body = request.get("catalog")
    return Catalog(tuple(stream_of(stream, "the source") for stream in body["streams"])) if body else None


def all_selections(call: ActionCall, catalog: Catalog) -> list[Selection]:
    """The streams of the connection."""
    return selections(call, call.request) or [Selection(stream.key) for stream in catalog]


def chosen_selections(request: Mapping[str, Any], catalog: Catalog, chosen: Sequence[Selection]) -> list[Selection]:
    """The selections that the options name. `ConfigError` for an unknown name."""
    names = streams_of(request)
    if not names:
        return list(chosen)
    by_key = {key_in(catalog, selection): selection for selection in chosen}
    by_name = {selection.name: selection for selection in chosen}
    selections = []
    for name in names:
        selection = by_key.get(name) or by_name.get(name) or by_key.get(key_in(catalog, Selection(name)))
        if selection is None:
            raise ConfigError(
                f"the connection has no stream {name}", hint=f"It has: {', '.join(sorted(by_key))}.", stream=name
            )
        selections.append(selection)
    return selections


def chosen_routes(
    request: Mapping[str, Any], catalog: Catalog, chosen: Sequence[Selection], destination: Destination
) -> list[Route]:
    """The routes of these selections, in the same order."""
    return routes(catalog, chosen, destination, str(request.get("prefix") or ""), request.get("namespace"))


def as_full_refresh(catalog: Catalog, selection: Selection) -> Stream:
    """The stream as a full refresh, to empty it. A stream that the source no longer has can be emptied too."""
    stream = catalog.get(selection.name) or Stream(selection.name)
    modes = tuple(dict.fromkeys((*stream.sync_modes, SyncMode.full_refresh)))
    return replace(stream, sync_modes=modes, sync_mode=SyncMode.full_refresh)


ACTIONS: dict[str, Callable[[ActionCall], Any]] = {"clear": clear, "refresh": refresh, "backfill": backfill}

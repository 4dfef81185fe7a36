"""A destination written as an Airbyte connector: a sync of the engine from standard input."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import PrivateAttr

from kitestring.airbyte.connector_process import BLOCK_BYTES, TICK_S
from kitestring.airbyte.decode import Decoder
from kitestring.airbyte.log_handler import Engine, ProtocolLogHandler, conclude, stop_on_signals
from kitestring.airbyte.messages import Writer, configured_streams
from kitestring.airbyte.platform_states import PlatformStates
from kitestring.airbyte.program import part
from kitestring.airbyte.source import Reading
from kitestring.destination import Destination
from kitestring.errors import ConfigError, KitestringError
from kitestring.source import Item, Source
from kitestring.types import COUNTS, GLOBAL, Catalog, Partition, State, States, Stream, SyncMode, Write

log = logging.getLogger("kitestring.airbyte")


def write(
    destination: Destination,
    catalog: Any,
    descriptor: int,
    engine: Engine,
    writer: Writer,
    log_handler: ProtocolLogHandler,
) -> int:
    """Write incoming records, and return each state once everything before it is durable; the exit code."""
    streams = [stream_to_write(s, raw) for s, raw in zip(configured_streams(catalog), catalog["streams"], strict=True)]
    echo = Echo(writer)
    source = Input.over(descriptor, streams, echo)
    selections = [
        engine.Selection(stream.key, sync_mode=stream.sync_mode.value, write_mode=stream.write) for stream in streams
    ]
    with stop_on_signals() as cancel:
        # The platform decides that a stream is complete, even an empty one.
        result = engine.sync(
            source, destination, selections, states=echo, connection="write", allow_empty=True, cancel=cancel
        )
    good = {key for key, figures in result.streams.items() if figures.status in ("succeeded", "suspicious")}
    for stream in streams:
        figures = result.streams[stream.key]
        if figures.error is not None:
            writer.error(log_handler.redactor.error(figures.error), stream)
        log.info(
            f"{stream.key}: {figures.status.value}, {figures.read} records read, {figures.written} written, "
            f"{figures.unchanged} unchanged, {figures.deleted} deleted, {figures.rejected} rejected"
        )
    # States after an overwrite are valid once it is committed.
    echo.release(good if len(good) < len(streams) else None)
    return conclude(result, writer, log_handler)


def stream_to_write(stream: Stream, raw: Mapping[str, Any]) -> Stream:
    """A configured stream with its write mode.

    Generations: with a minimum of 0 (or none) the write mode applies. With the minimum at the stream's own generation,
    the data of earlier generations are deleted once this one is complete: an overwrite, whatever the mode's name.
    """
    generation, least = raw.get("generation_id"), raw.get("minimum_generation_id")
    if least not in (None, 0) and least != generation:
        raise ConfigError(
            f"the stream {stream.key} has generation {generation} and minimum generation {least}",
            hint="The minimum can be 0 or the generation itself.",
        )
    overwrite = bool(least) or stream.write.replace
    return replace(
        stream,
        write=Write(overwrite, stream.write.keep, stream.write.deletes),
        # For the engine: a stream with states, or one that is replaced.
        sync_mode=SyncMode.full_refresh if overwrite else SyncMode.incremental,
        sync_modes=(SyncMode.full_refresh, SyncMode.incremental),
        source_defined_cursor=True,
    )


class Echo(PlatformStates):
    """Incoming states in order, until they are returned. As a state store: saved means durable."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.waiting: dict[int, tuple[str, Any]] = {}
        self.count = 0
        self._lock = threading.Lock()

    def keep(self, key: str, message: Any) -> State:
        """Keep a STATE message; the engine gets only its number."""
        with self._lock:
            self.count += 1
            self.waiting[self.count] = (key, message)
            return {"number": self.count}

    def load(self, connection: str) -> dict[str, State]:
        return {}

    def save(self, connection: str, stream: str, state: State) -> None:
        """Return this state and the earlier ones of the stream: all records before it are durable."""
        if stream == COUNTS:  # the engine's own note
            return
        number = state["number"]
        with self._lock:
            key = self.waiting[number][0] if number in self.waiting else None
            if key is not None:
                self._write([n for n, (k, _) in self.waiting.items() if n <= number and k == key])

    def release(self, keys: set[str] | None) -> None:
        """Return the remaining states of these streams; for None of all, shared states included."""
        with self._lock:
            self._write([n for n, (k, _) in self.waiting.items() if keys is None or k in keys])

    def _write(self, numbers: list[int]) -> None:
        for number in sorted(numbers):
            _, message = self.waiting.pop(number)
            self.writer.message("STATE", "state", message)


class Input(Source):
    """Reads the messages that come in on a file descriptor."""

    _descriptor: int = PrivateAttr(default=0)
    _streams: tuple[Stream, ...] = PrivateAttr(default=())
    _echo: Echo | None = PrivateAttr(default=None)

    title: ClassVar[str] = "the platform"
    quiet_s: ClassVar[float] = float("inf")

    @classmethod
    def over(cls, descriptor: int, streams: Sequence[Stream], echo: Echo) -> Input:
        source = cls()
        source._descriptor, source._streams, source._echo = descriptor, tuple(streams), echo
        return source

    def discover(self) -> Catalog:
        return Catalog(self._streams)

    def groups(self, streams: Sequence[Stream]) -> list[list[Stream]]:
        return [list(streams)]

    def concurrency(self) -> int:
        return 1

    def partitions(self, streams: Sequence[Stream], states: States) -> Iterable[Partition]:
        return [Partition(tuple(streams))]

    def read(self, partition: Partition, states: States) -> Iterator[Item]:
        assert self._echo is not None
        reading = Incoming(self, partition.streams, self._echo)
        decoder = Decoder()
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN | select.POLLHUP)
        while True:
            if not waiting.poll(TICK_S * 1000):
                yield from reading.take([], 0)
                continue
            data = os.read(self._descriptor, BLOCK_BYTES)
            if not data:
                break
            yield from reading.take(decoder.feed(data), len(data))
        yield from reading.take(decoder.end(), 0)
        yield from reading.batcher.take(last=True)
        yield from reading.verdict(None)

    def hide(self, text: str) -> str:
        return text

    def heard(self, message: Mapping[str, Any]) -> KitestringError | None:
        return None


class Incoming(Reading):
    """The messages of a platform on standard input."""

    def __init__(self, source: Input, streams: Sequence[Stream], echo: Echo) -> None:
        super().__init__(source, streams)
        self.echo = echo
        self.replaced = {stream.key for stream in streams if stream.write.replace}

    def state(self, state: Mapping[str, Any]) -> Iterator[Item]:
        """Keep a state for the echo. States of an overwrite wait for its end: until then it can be aborted."""
        key = self.key_of(part(part(state, "stream"), "stream_descriptor")) if "stream" in state else None
        number = self.echo.keep(key or GLOBAL, state)
        if key in self.replaced or (key is None and self.replaced):
            return
        if key is None:
            self.batcher.shared(number)
        else:
            self.batcher.state(key, number)
        if self.batcher.ready:
            yield from self.batcher.take()

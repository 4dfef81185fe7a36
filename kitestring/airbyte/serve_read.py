"""A source read as an Airbyte connector: a sync of the engine into standard output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import PrivateAttr

from kitestring.airbyte.log_handler import Engine, ProtocolLogHandler, conclude, stop_on_signals
from kitestring.airbyte.messages import Writer, configured_streams, descriptor
from kitestring.airbyte.platform_states import PlatformStates
from kitestring.airbyte.program import part
from kitestring.batch import Batch
from kitestring.destination import Destination
from kitestring.errors import ConfigError
from kitestring.source import Source
from kitestring.types import COUNTS, GLOBAL, Receipt, State, Stream

NO_STATE = {"__ab_no_cursor_state_message": True}
"""The state that Airbyte's own engine sends for a stream without one."""


def read(
    source: Source, catalog: Any, state: Any, engine: Engine, writer: Writer, log_handler: ProtocolLogHandler
) -> int:
    """Records and states of the configured streams; the exit code."""
    streams = configured_streams(catalog)
    selections = [
        engine.Selection(
            stream.key,
            sync_mode=stream.sync_mode.value,
            write_mode="append",
            cursor=".".join(stream.cursor) if stream.cursor and not stream.source_defined_cursor else None,
        )
        for stream in streams
    ]
    output = Output.over(writer)
    states = ProtocolStates(writer, streams, state, output)
    with stop_on_signals() as cancel:
        result = engine.sync(source, output, selections, states=states, connection="read", cancel=cancel)
    for stream in streams:
        figures = result.streams[stream.key]
        if figures.status in ("succeeded", "suspicious"):
            states.end(stream)
            writer.status(stream, "COMPLETE")
        else:
            if figures.error is not None:
                writer.error(log_handler.redactor.error(figures.error), stream)
            writer.status(stream, "INCOMPLETE")
    return conclude(result, writer, log_handler)


class Output(Destination):
    """Writes batches as RECORD messages."""

    batch_rows: ClassVar[int] = 2_000
    batch_bytes: ClassVar[int] = 4 * 1024 * 1024

    _writer: Writer | None = PrivateAttr(default=None)
    _counts: dict[str, int] = PrivateAttr(default_factory=dict)
    _running: set[str] = PrivateAttr(default_factory=set)

    @classmethod
    def over(cls, writer: Writer) -> Output:
        output = cls()
        output._writer = writer
        return output

    def begin(self, stream: Stream) -> None:
        assert self._writer is not None
        self._writer.status(stream, "STARTED")

    def write(self, stream: Stream, batch: Batch) -> Receipt | None:
        assert self._writer is not None
        if stream.key not in self._running:
            self._running.add(stream.key)
            self._writer.status(stream, "RUNNING")
        self._writer.records(stream, batch.rows())
        self._counts[stream.key] = self._counts.get(stream.key, 0) + len(batch)
        self._writer.flush()
        return None

    def counted(self, key: str) -> int:
        """The number of records of a stream since the last call."""
        return self._counts.pop(key, 0)


class ProtocolStates(PlatformStates):
    """The states of a `read`: loaded from the platform's file, saved by writing STATE messages.

    The protocol does not confirm that the platform kept a state, so `Source.saved` is not called.
    """

    durable = False

    def __init__(self, writer: Writer, streams: Sequence[Stream], saved: Any, output: Output) -> None:
        self.writer = writer
        self.streams = {stream.key: stream for stream in streams}
        self.loaded = dict(states_of(saved, streams))
        self.output = output
        self.written: set[str] = set()

    def load(self, connection: str) -> dict[str, State]:
        return self.loaded

    def save(self, connection: str, stream: str, state: State) -> None:
        if stream == COUNTS:  # the engine's own count baseline
            return
        self.written.add(stream)
        if stream in self.streams:
            self.write(self.streams[stream], state)
        else:
            body = {"type": "GLOBAL", "global": {"shared_state": state, "stream_states": []}}
            self.writer.message("STATE", "state", body)

    def write(self, stream: Stream, state: State) -> None:
        body = {"stream_descriptor": descriptor(stream), "stream_state": state}
        stats = {"recordCount": float(self.output.counted(stream.key))}
        self.writer.message("STATE", "state", {"type": "STREAM", "stream": body, "sourceStats": stats})

    def end(self, stream: Stream) -> None:
        """Write the final state of a complete stream, also where it has none."""
        if stream.key not in self.written and GLOBAL not in self.written:
            self.write(stream, self.loaded.get(stream.key) or NO_STATE if stream.incremental else NO_STATE)


def states_of(saved: Any, streams: Sequence[Stream]) -> Iterator[tuple[str, State]]:
    """Saved states by our stream keys: from a list of STATE messages, a single one, or a legacy object by name."""
    keys = {(stream.namespace, stream.name): stream.key for stream in streams}

    def stream_states(body: Mapping[str, Any]) -> Iterator[tuple[str, State]]:
        name = part(body, "stream_descriptor")
        key = keys.get((name.get("namespace"), str(name.get("name"))))
        state = dict(part(body, "stream_state"))
        if key is not None and state and state != NO_STATE:
            yield key, state

    for message in saved if isinstance(saved, list) else [saved] if isinstance(saved, Mapping) else []:
        if not isinstance(message, Mapping):
            raise ConfigError("a saved state is not an object", hint="Give a list of STATE messages.")
        state = part(message, "state") if message.get("type") == "STATE" else message
        if "stream" in state and isinstance(state["stream"], Mapping):
            yield from stream_states(state["stream"])
        elif isinstance(state.get("global"), Mapping):
            shared = part(state["global"], "shared_state")
            if shared:
                yield GLOBAL, dict(shared)
            for inner in state["global"].get("stream_states") or ():
                if isinstance(inner, Mapping):
                    yield from stream_states(inner)
        else:
            legacy = part(state, "data") if "data" in state else state
            for name, value in legacy.items():
                if isinstance(value, Mapping) and (None, name) in keys:
                    yield keys[None, name], dict(value)

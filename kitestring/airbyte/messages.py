"""Messages of the Airbyte protocol as JSON lines, and the files that a connector gets."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from kitestring.airbyte import modes
from kitestring.errors import AuthError, ConfigError, KitestringError, TransientError
from kitestring.json_codec import ANY_DEPTH, JsonError, dumps, loads
from kitestring.types import Catalog, Record, State, Stream, SyncMode

WRITE_BYTES = 1 << 20
"""Size of one write: with unbuffered output a call per record costs more than its encoding."""


def now_ms() -> int:
    return int(time.time() * 1000)


class Writer:
    """Writes messages, one line each, to a binary file (standard output without one)."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._file: IO[bytes] = file or sys.stdout.buffer
        if isinstance(self._file, io.RawIOBase):  # with PYTHONUNBUFFERED; a raw write may take only a part
            self._file = open(self._file.fileno(), "wb", closefd=False)  # noqa: SIM115 - kept open

    def message(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        self._file.write(line({"type": kind, name: body}))
        self._file.flush()

    def flush(self) -> None:
        self._file.flush()

    def records(self, stream: Stream, records: Iterable[Record], files: bool = False) -> None:
        """RECORD messages, in few writes; the next message of another kind flushes them.

        `files`: write a record's `file_reference` beside its data, as the protocol requires.
        """
        head = {"stream": stream.name, **({"namespace": stream.namespace} if stream.namespace else {})}
        # The envelope is the same for all records: only the data in its middle are encoded for each.
        before = b'{"type":"RECORD","record":' + line(head)[:-2] + b',"data":'
        moment = b',"emitted_at":%d' % now_ms()
        after = moment + b"}}\n"
        pieces: list[bytes] = []
        size = 0
        for record in records:
            if files and "file_reference" in record:
                record = dict(record)
                reference = line(record.pop("file_reference"))[:-1]
                after = moment + b',"file_reference":' + reference + b"}}\n"
            elif files:
                after = moment + b"}}\n"
            # Airbyte's connectors omit the null fields of a record.
            data = {k: v for k, v in record.items() if v is not None} if None in record.values() else record
            encoded = dumps(data, levels=ANY_DEPTH)
            pieces += (before, encoded, after)
            size += len(encoded)
            if size > WRITE_BYTES:
                self._file.write(b"".join(pieces))
                pieces, size = [], 0
        self._file.write(b"".join(pieces))

    def state(self, stream: Stream, state: State) -> None:
        self.message(
            "STATE",
            "state",
            {"type": "STREAM", "stream": {"stream_descriptor": descriptor(stream), "stream_state": state}},
        )

    def status(self, stream: Stream, status: str) -> None:
        body = {"stream_descriptor": descriptor(stream), "status": status}
        self.message("TRACE", "trace", {"type": "STREAM_STATUS", "emitted_at": float(now_ms()), "stream_status": body})

    def log(self, level: str, message: str) -> None:
        self.message("LOG", "log", {"level": level, "message": message})

    def error(self, error: KitestringError, stream: Stream | None = None) -> None:
        """A TRACE of the error: message, hint, and the type of failure."""
        message = f"{error.message}. {error.hint}" if error.hint else error.message
        body: dict[str, Any] = {
            "message": message,
            "internal_message": error.message,
            "failure_type": failure_type(error),
        }
        if stream is not None:
            body["stream_descriptor"] = descriptor(stream)
        self.message("TRACE", "trace", {"type": "ERROR", "emitted_at": float(now_ms()), "error": body})

    def control(self, config: Mapping[str, Any]) -> None:
        """CONTROL: the connector changed its own configuration, and the platform has to keep it."""
        body = {"type": "CONNECTOR_CONFIG", "emitted_at": float(now_ms()), "connectorConfig": {"config": config}}
        self.message("CONTROL", "control", body)


def line(message: Mapping[str, Any]) -> bytes:
    return dumps(message, levels=ANY_DEPTH) + b"\n"


def failure_type(error: KitestringError) -> str:
    if isinstance(error, ConfigError | AuthError):
        return "config_error"
    return "transient_error" if isinstance(error, TransientError) else "system_error"


def descriptor(stream: Stream) -> dict[str, Any]:
    return {"name": stream.name, **({"namespace": stream.namespace} if stream.namespace else {})}


def catalog_body(catalog: Catalog) -> dict[str, Any]:
    """A CATALOG message's body."""
    streams = []
    for stream in catalog:
        description: dict[str, Any] = {
            "name": stream.name,
            "json_schema": stream.schema,
            "supported_sync_modes": [mode.value for mode in stream.sync_modes],
            "is_resumable": stream.cursor is not None,
        }
        if stream.namespace:
            description["namespace"] = stream.namespace
        if stream.cursor is not None:
            description["source_defined_cursor"] = stream.source_defined_cursor
            description["default_cursor_field"] = list(stream.cursor)
        if stream.primary_key:
            description["source_defined_primary_key"] = [list(path) for path in stream.primary_key]
        streams.append(description)
    return {"streams": streams}


def read_json(path: str, what: str) -> Any:
    """The JSON in a file; `ConfigError` that names the file."""
    try:
        return loads(Path(path).read_bytes())
    except OSError as error:
        raise ConfigError(f"the {what} {path} cannot be read: {error.strerror}", hint="Check the path.") from error
    except JsonError as error:
        raise ConfigError(f"the {what} {path} is not JSON: {error}", hint="Correct the file.") from error


def configured_streams(catalog: Any) -> list[Stream]:
    """The streams of a configured catalog, as selected."""
    if not isinstance(catalog, Mapping) or not isinstance(catalog.get("streams"), list):
        raise ConfigError("the catalog has no list of streams", hint="Give a configured catalog.")
    streams = []
    for index, configured in enumerate(catalog["streams"]):
        try:
            stream = configured["stream"]
            cursor = configured.get("cursor_field") or stream.get("default_cursor_field")
            keys = configured.get("primary_key") or stream.get("source_defined_primary_key") or ()
            streams.append(
                Stream(
                    name=stream["name"],
                    namespace=stream.get("namespace"),
                    schema=stream.get("json_schema") or {},
                    primary_key=tuple(tuple(path) for path in keys),
                    cursor=tuple(cursor) if cursor else None,
                    sync_modes=tuple(
                        SyncMode(mode) for mode in stream.get("supported_sync_modes") or ("full_refresh",)
                    ),
                    source_defined_cursor=bool(stream.get("source_defined_cursor")),
                    sync_mode=SyncMode(configured.get("sync_mode", "full_refresh")),
                    write=modes.WRITES[configured.get("destination_sync_mode", "append")],
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"the catalog's stream {index} cannot be understood: {error!r}") from error
    return streams


def states_by_stream(value: Any) -> dict[tuple[str | None, str], State]:
    """Saved states by namespace and name, from STATE messages (a list or one, with or without their envelope)."""
    states: dict[tuple[str | None, str], State] = {}

    def take(message: Any) -> None:
        if not isinstance(message, Mapping):
            raise ConfigError("a saved state is not an object", hint="Give a list of STATE messages.")
        if isinstance(message.get("state"), Mapping) and message.get("type") == "STATE":
            message = message["state"]
        stream = message.get("stream")
        if isinstance(stream, Mapping):
            name = stream.get("stream_descriptor") or {}
            states[name.get("namespace"), str(name.get("name"))] = dict(stream.get("stream_state") or {})
        elif isinstance(message.get("global"), Mapping):
            for part in message["global"].get("stream_states") or ():
                take({"stream": part})
        else:
            data = message.get("data") if "data" in message else message
            for name, state in (data or {}).items():
                if isinstance(state, Mapping):
                    states[None, str(name)] = dict(state)

    for message in value if isinstance(value, list) else [value]:
        take(message)
    return states

"""Runs of a foreign source whose program says what a test wants."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kitestring.airbyte.source import AirbyteSource
from kitestring.engine import Result, sync
from kitestring.errors import KitestringError
from kitestring.testing.memory import MemoryDestination

ACTOR = [sys.executable, "-I", "-S", str(Path(__file__).parent / "actor.py")]


COMPLETE = ("a", "b")


def catalog(*names: str, **more: Any) -> dict[str, Any]:
    streams = [
        {
            "name": name,
            "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}, "text": {"type": "string"}}},
            "supported_sync_modes": ["full_refresh", "incremental"],
            "source_defined_cursor": True,
            "default_cursor_field": ["id"],
            "source_defined_primary_key": [["id"]],
            **more,
        }
        for name in names
    ]
    return {"type": "CATALOG", "catalog": {"streams": streams}}


def status(stream: str, text: str, **more: Any) -> dict[str, Any]:
    body = {"stream_descriptor": {"name": stream}, "status": text, **more}
    return {"say": {"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": body}}}


def state(stream: str, cursor: int, count: int | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": {"id": cursor}},
    }
    if count is not None:
        body["sourceStats"] = {"recordCount": float(count)}
    return {"say": {"type": "STATE", "state": body}}


def failure(kind: str | None, stream: str | None = None, message: str = "it went wrong") -> dict[str, Any]:
    error: dict[str, Any] = {"message": message, "failure_type": kind}
    if stream:
        error["stream_descriptor"] = {"name": stream}
    return {"say": {"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}}}


def records(stream: str, to: int, start: int = 0, **more: Any) -> dict[str, Any]:
    return {"records": {"stream": stream, "from": start, "to": to, **more}}


def good(*names: str, count: int = 10) -> list[dict[str, Any]]:
    """A read in which every stream has this many records and is complete."""
    actions: list[dict[str, Any]] = []
    for name in names:
        actions += [status(name, "STARTED"), records(name, count), state(name, count, count), status(name, "COMPLETE")]
    return actions


def source(read: list[Any], *names: str, config: dict[str, Any] | None = None, **settings: Any) -> AirbyteSource:
    own = {"discover": [{"say": catalog(*(names or COMPLETE))}], "read": read, **(config or {})}
    return AirbyteSource.load({"command": ACTOR, "config": own, **settings})


def run(
    airbyte_source: AirbyteSource, destination: MemoryDestination | None = None, **more: Any
) -> tuple[Result, MemoryDestination]:
    destination = destination or MemoryDestination()
    return sync(airbyte_source, destination, **more), destination


def error_of(result: Result) -> KitestringError:
    error = result.error or next(s.error for s in result.streams.values() if s.error)
    assert error is not None
    return error

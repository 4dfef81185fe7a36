"""The response of a route whose action sends events while it runs: server-sent events, one for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any

import anyio
from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from kitestring import json_codec
from kitestring.errors import KitestringError
from kitestring.server.clock import steady
from kitestring.server.jobs.action_events import ActionEvents, Ended

LOOK_S = 0.5
"""How often it is looked whether the client is still there."""
PING_S = 15.0
"""A comment is sent after so long without an event: proxies close silent connections."""


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


class GeneratedEvents(EventStream):
    """Server-sent events of a generator, which is closed when the client goes away."""

    def __init__(self, generator: Generator[bytes]) -> None:
        super().__init__(generator)
        self._generator = generator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._generator.close)


def responses_of_events(*names: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that sends events of these names, each with a JSON object as its data."""
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": {"type": "object"}}
    event = {"type": "object", "properties": {"event": {"type": "string", "enum": list(names)}, "data": data}}
    return {200: {"content": {EventStream.media_type: {"itemSchema": event}}}}


async def event_response(request: Request, events: ActionEvents) -> EventStream:
    """Events as they come. An error before the first event is raised, and answered as any other error; a later one is
    the event `end` with `error` and `hint`. The action is stopped when the client goes away."""
    first: Mapping[str, Any] | Ended | None = None
    try:
        while first is None:
            first = await events.next(LOOK_S)
            if first is None and await request.is_disconnected():
                break
    except BaseException:
        events.close()
        raise
    if isinstance(first, Ended) and first.error is not None:
        raise first.error
    return EventStream(lines(request, events, first))


async def lines(
    request: Request, events: ActionEvents, first: Mapping[str, Any] | Ended | None
) -> AsyncIterator[bytes]:
    item, sent_s = first, steady()
    try:
        while not isinstance(item, Ended):
            if item is not None:
                yield encoded(item)
                sent_s = steady()
            elif await request.is_disconnected():
                return
            elif steady() - sent_s > PING_S:
                yield b": the action runs\n\n"
                sent_s = steady()
            item = await events.next(LOOK_S)
        if item.error is not None:
            yield encoded(failure(item.error))
    finally:
        events.close()


def failure(error: KitestringError) -> dict[str, Any]:
    """The last event of an action that ended with an error."""
    return {"event": "end", "error": error.message, "hint": error.hint}


def encoded(event: Mapping[str, Any]) -> bytes:
    values = {name: value for name, value in event.items() if name != "event"}
    return b"event: %s\ndata: %s\n\n" % (str(event["event"]).encode(), json_codec.dumps(values))

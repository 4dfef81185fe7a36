"""The messages of a test read by Airbyte's CDK: between the records, the slices and the requests with their answers.

The CDK writes them for the builder of Airbyte's platform, as lines of its log
(`airbyte_cdk/connector_builder/test_reader/message_grouper.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kitestring import json_codec
from kitestring.airbyte.program import part
from kitestring.airbyte.source import Reading, Speaker
from kitestring.source import Item
from kitestring.types import Stream

SLICE = "slice:"
"""What the log line of a slice begins with."""


@dataclass(frozen=True, slots=True)
class SliceNote:
    """A slice begins, with these values."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RequestNote:
    """A request and its answer. `main`: it reads a page of the stream. `parent`: it reads a parent stream."""

    main: bool
    parent: bool
    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    status: int
    response_headers: Mapping[str, str]
    response: str


Note = SliceNote | RequestNote


class ObservedReading(Reading):
    """Calls `observe` with each note, after the records before it have been taken."""

    def __init__(self, connector: Speaker, streams: Sequence[Stream], observe: Callable[[Note], None]) -> None:
        super().__init__(connector, streams)
        self._observe = observe
        self._names = {stream.name for stream in streams}

    def take(self, messages: list[Any], nbytes: int) -> Iterator[Item]:
        waiting: list[Any] = []
        for message in messages:
            note = note_of(message, self._names)
            if note is None:
                waiting.append(message)
                continue
            yield from super().take(waiting, 0)
            yield from self.batcher.take()
            waiting = []
            self._observe(note)
        yield from super().take(waiting, nbytes)
        yield from self.batcher.take()


def note_of(message: Any, streams: set[str]) -> Note | None:
    """The note that a message is; None for other messages."""
    if not isinstance(message, Mapping) or message.get("type") != "LOG":
        return None
    text = part(message, "log").get("message")
    if not isinstance(text, str) or not text.startswith((SLICE, "{")):
        return None
    try:
        values = json_codec.loads(text.removeprefix(SLICE))
    except json_codec.JsonError:
        return None
    if text.startswith(SLICE):
        return SliceNote(values if isinstance(values, Mapping) else {})
    http = part(values, "http") if isinstance(values, Mapping) else {}
    return request_note(values, http, streams) if http else None


def request_note(values: Mapping[str, Any], http: Mapping[str, Any], streams: set[str]) -> RequestNote:
    request, response = part(http, "request"), part(http, "response")
    stream = part(part(values, "airbyte_cdk"), "stream")
    is_own = stream.get("name") is None or stream["name"] in streams
    status = response.get("status_code")
    return RequestNote(
        main=is_own and not http.get("is_auxiliary"),
        parent=stream.get("is_substream") is True or not is_own,
        method=str(request.get("method") or "GET"),
        url=str(part(values, "url").get("full") or ""),
        headers=texts(part(request, "headers")),
        body=str(part(request, "body").get("content") or ""),
        status=status if isinstance(status, int) else 0,
        response_headers=texts(part(response, "headers")),
        response=str(part(response, "body").get("content") or ""),
    )


def texts(headers: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in headers.items()}

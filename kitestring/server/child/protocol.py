"""The protocol between a worker and its child process: JSON lines, one message each, `{"kind": …}`.

    down (stdin)   request, answer, cancel; to a search process also: call, release
    up (stdout)    secrets, progress, patience, window, slot, save, forget, catalog, quota, config, renewal,
                   credential_ends, used, event, result, error; from a search process also: reply, held

A message may carry a number; the child then waits for the `answer` with the same number: only then does a state count
as saved. Errors are sent as `error_body` makes them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from kitestring import errors
from kitestring.errors import Cancelled, ConnectorError, KitestringError, TransientError
from kitestring.json_codec import ANY_DEPTH, JsonError, dumps, loads

BLOCK_BYTES = 64 * 1024
MOST_BYTES = 256 * 1024 * 1024


class Pipe:
    """Messages over two file descriptors. `send` is thread-safe."""

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        self._lock = threading.Lock()

    def send(self, kind: str, **body: Any) -> None:
        """Send a message. `BrokenPipeError` if the other end is closed."""
        line = dumps({"kind": kind, **body}, levels=ANY_DEPTH) + b"\n"
        with self._lock:
            unsent = memoryview(line)
            while unsent:
                unsent = unsent[os.write(self._write, unsent) :]

    def messages(self) -> Iterator[dict[str, Any]]:
        """The messages of the other end until it closes. `ConnectorError` for anything that is not a message."""
        rest: list[bytes] = []
        size = 0
        while block := os.read(self._read, BLOCK_BYTES):
            *lines, last = block.split(b"\n")
            for line in lines:
                whole = b"".join([*rest, line])
                rest, size = [], 0
                yield parse_message(whole)
            rest.append(last)
            size += len(last)
            if size > MOST_BYTES:
                raise ConnectorError(f"a message of more than {MOST_BYTES >> 20} MB came from a child process")

    def close(self) -> None:
        """Close both."""
        for descriptor in {self._read, self._write}:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class ParentChannel:
    """The child's end. One thread reads: it hands answers to the callers that wait for them, and reports a cancel."""

    def __init__(self, pipe: Pipe, *, on_cancel: Callable[[], None], on_end: Callable[[], None]) -> None:
        self._pipe = pipe
        self._on_cancel = on_cancel
        self._on_end = on_end
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._messages = pipe.messages()
        self.orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        """The calls and releases of a search process, in the order of arrival."""

    def request(self) -> dict[str, Any]:
        """The first message: the request."""
        message = next(self._messages, None)
        if message is None:
            raise Cancelled("no request arrived")
        threading.Thread(target=self._listen, name="kitestring-channel", daemon=True).start()
        return message

    def send(self, kind: str, **body: Any) -> None:
        self._pipe.send(kind, **body)

    def request_answer(self, kind: str, **body: Any) -> dict[str, Any]:
        """Send a message and wait for its answer. Raises the error in the answer."""
        number = next(self._numbers)
        future: Future[dict[str, Any]] = Future()
        with self._lock:
            self._waiting[number] = future
        self._pipe.send(kind, number=number, **body)
        answer = future.result()
        if answer.get("error"):
            raise error_of(answer["error"])
        return answer

    def _listen(self) -> None:
        try:
            for message in self._messages:
                if message["kind"] == "answer":
                    with self._lock:
                        future = self._waiting.pop(message["number"], None)
                    if future is not None:
                        future.set_result(message)
                elif message["kind"] == "cancel":
                    self._on_cancel()
                elif message["kind"] in ("call", "release"):
                    self.orders.put(message)
        finally:
            self._on_end()


def parse_message(line: bytes) -> dict[str, Any]:
    try:
        message = loads(line)
    except JsonError as error:
        raise ConnectorError(f"a child process sent an invalid message: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise ConnectorError("a child process sent an invalid message")
    return message


def error_body(error: KitestringError) -> dict[str, Any]:
    """An error as JSON: `{"type", "message", "hint", "fields"}`. The type is that of `kitestring.errors`, because the
    other side does not know the subclasses of connectors."""
    return {
        "type": errors.public_name(error),
        "message": error.message,
        "hint": error.hint,
        "fields": dict(error.fields),
    }


def error_of(body: Mapping[str, Any]) -> KitestringError:
    """The error of a body; `ConnectorError` if its class is unknown."""
    kind = getattr(errors, str(body.get("type")), ConnectorError)
    if not (isinstance(kind, type) and issubclass(kind, KitestringError)):
        kind = ConnectorError
    fields = {str(k): v for k, v in (body.get("fields") or {}).items() if k not in ("message", "hint")}
    error = kind(str(body.get("message")), hint=str(body.get("hint") or ""), **fields)
    if isinstance(error, TransientError) and not isinstance(error.retry_after_s, int | float | None):
        error.retry_after_s = None
    return error

"""Decodes the bytes that a program writes into messages: whole blocks of lines at once, malformed lines one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kitestring.errors import ConnectorError
from kitestring.json_codec import JsonError, loads

MOST_LINE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Garbage:
    """A line that is no message. `broken`: it began like a record or a state, so data were lost."""

    text: str
    broken: bool


class Decoder:
    """Takes bytes as they come and returns the messages (JSON objects) of completed lines."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._waiting = 0

    def feed(self, data: bytes) -> list[Any]:
        """The messages, and `Garbage` for other lines, in order."""
        end = data.rfind(b"\n")
        if end < 0:
            self._rest.append(data)
            self._waiting += len(data)
            if self._waiting > MOST_LINE_BYTES:
                raise ConnectorError(
                    f"a line of the connector is longer than {MOST_LINE_BYTES >> 20} MiB",
                    hint="Report it to its author.",
                )
            return []
        block = b"".join((*self._rest, data[:end])) if self._rest else data[:end]
        self._rest = [data[end + 1 :]] if end + 1 < len(data) else []
        self._waiting = len(data) - end - 1
        return decode_lines(block)

    def end(self) -> list[Any]:
        """The messages of a last line without a line feed."""
        block = b"".join(self._rest)
        self._rest, self._waiting = [], 0
        return decode_lines(block) if block.strip() else []


def decode_lines(block: bytes) -> list[Any]:
    # JSON text contains no line feed, so the lines of a block become one JSON array: one call for all of them.
    try:
        messages: list[Any] = loads(b"[%b]" % block.replace(b"\n", b","))
        if len(messages) == block.count(b"\n") + 1:
            return [m if type(m) is dict else Garbage(str(m)[:2000], False) for m in messages]
    except JsonError:
        pass
    return [decode_line(line) for line in block.split(b"\n") if line.strip()]


def decode_line(line: bytes) -> dict[str, Any] | Garbage:
    try:
        message = loads(line)
    except JsonError:
        message = None
    if isinstance(message, dict):
        return message
    text = line.decode("utf-8", "replace").strip()
    broken = text.startswith("{") and ('"RECORD"' in text or '"STATE"' in text)
    return Garbage(text[:2000], broken)

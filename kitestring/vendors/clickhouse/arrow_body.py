"""The Arrow stream in an answer of ClickHouse."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from kitestring.errors import TransientError

if TYPE_CHECKING:
    from kitestring.http.message import Response

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The last bytes of a complete Arrow stream. https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format"""


class ArrowBody(io.RawIOBase):
    """The body of a response as a file."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._chunks = response.chunks()
        self._rest = b""
        self._tail = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
            self._tail = (self._tail + chunk)[-len(END_OF_STREAM) :]
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def require_end(self) -> None:
        """`TransientError` if the answer ended before the end of its Arrow stream."""
        for chunk in self._chunks:
            self._tail = (self._tail + chunk)[-len(END_OF_STREAM) :]
        if self._tail != END_OF_STREAM:
            raise TransientError(f"{self._response.request_line} broke off before the end of its rows")

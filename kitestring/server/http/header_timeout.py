"""Time limit for the headers of a request: half a request must not hold a connection for ever.

Connections are what a process has few of (its descriptors). Uvicorn closes one that is silent after an answer, and not
one that has begun a request and sends no more of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEADERS_S = 20.0
"""For the first line and the headers of a request."""


class HeaderTimeout(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's protocol, which also closes a connection on which no request comes to the end of its headers."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._idle():
            self._forget()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(HEADERS_S, self._give_up)

    def _idle(self) -> bool:
        """Whether no request is being answered, so that all that may come are headers."""
        return self.cycle is None or self.cycle.response_complete

    def _forget(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self._idle():
            self.transport.close()

"""The log of a server: beside stderr a file of JSON lines, secrets masked, bounded in size; each request has an id.

    HOME/logs/server.jsonl      {"at_ms", "level", "logger", "message", "request_id", …}

A full file becomes `server.jsonl.1`, and so on, as with the logs of attempts (`jobs/log.py`). Several processes may
append to the same file.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kitestring.log_format import JsonFormatter
from kitestring.server.jobs.log import Log
from kitestring.server.settings import Settings

FILE = "server.jsonl"
HEADER = b"x-request-id"
request_id: ContextVar[str] = ContextVar("kitestring_request_id", default="")
"""The id of the request that is being answered."""


class FileHandler(logging.Handler):
    """Keeps what is logged in a file. A full disk costs lines, never the server."""

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._log = Log(path)
        self._log.hide(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._log.line(self.format(record).encode("utf-8", "replace"))
        except (TypeError, ValueError, KeyError):
            self.handleError(record)

    def close(self) -> None:
        self._log.close()
        super().close()


class RequestIdFilter(logging.Filter):
    """Adds the id of the request to what is logged while it is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        if request_id.get():
            record.request_id = request_id.get()
        return True


def begin(settings: Settings) -> Callable[[], None]:
    """Keep the log of `kitestring.*` in the data folder from now on; what ends that."""
    values = settings.model_dump()
    properties = settings.spec()["properties"]
    secrets = [str(values[name]) for name, schema in properties.items() if schema.get("airbyte_secret")]
    secrets += [unquote(urlsplit(url).password or "") for url in secrets if "://" in url]
    log, handler, request_id_filter = (
        logging.getLogger("kitestring"),
        FileHandler(settings.home / "logs" / FILE, secrets),
        RequestIdFilter(),
    )
    log.addHandler(handler)
    for each in log.handlers:
        each.addFilter(request_id_filter)

    def end() -> None:
        log.removeHandler(handler)
        for each in log.handlers:
            each.removeFilter(request_id_filter)
        handler.close()

    return end


class RequestIdMiddleware:
    """ASGI middleware: gives each request an id (the one that a proxy gave it, where it is a plain word), and tells it
    in the answer's `X-Request-Id`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        received = dict(scope["headers"]).get(HEADER, b"").decode("latin-1")
        number = received if re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", received) else uuid.uuid4().hex
        request_id.set(number)  # not reset: the handler of a crash is further out, in the same task

        async def send_with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (HEADER, number.encode())]
            await send(message)

        await self.app(scope, receive, send_with_id)

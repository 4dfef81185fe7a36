"""The client of a Qdrant server or of a folder, and its errors as ours."""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kitestring.destinations.qdrant.indexing import ApiKeyAuth, Indexing
from kitestring.errors import AuthError, ConfigError, ConnectorError, KitestringError, TransientError

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

LOCK_WAIT_S = 3.0
"""How long a reader waits for another process to close the folder."""
SYNC_LOCK_WAIT_S = 10.0
"""How long a sync waits: on a server, who reads gives way."""

_folders: dict[str, tuple[Any, int, Any]] = {}
"""A process opens a folder once, for all its connections: the client, their number, and the lock of each call."""
_folders_lock = threading.Lock()


class Connection:
    """A client, and one call at a time where it keeps a folder, since its store is not safe for threads."""

    def __init__(self, indexing: Indexing, lock_wait_s: float) -> None:
        self.indexing = indexing
        self.client: QdrantClient
        self._lock: Any = None
        if indexing.local:
            self.client, self._lock = open_folder(indexing, lock_wait_s)
        else:
            self.client = open_server(indexing)

    @contextmanager
    def calling(self) -> Iterator[QdrantClient]:
        """The client for a call, with its errors as ours."""
        with translated(self.indexing):
            if self._lock is None:
                yield self.client
            else:
                with self._lock, warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that a folder is for small collections, at each write
                    yield self.client

    def close(self) -> None:
        if not self.indexing.local:
            self.client.close()
            return
        path = str(self.indexing.folder)
        with _folders_lock:
            client, users, lock = _folders[path]
            if users > 1:
                _folders[path] = (client, users - 1, lock)
            else:
                del _folders[path]
                client.close()


def open_server(indexing: Indexing) -> QdrantClient:
    from qdrant_client import QdrantClient

    key = indexing.auth_method.api_key if isinstance(indexing.auth_method, ApiKeyAuth) else None
    with translated(indexing), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a key is sent without TLS: the user chose the address
        return QdrantClient(
            url=indexing.url, api_key=key, prefer_grpc=False, timeout=int(indexing.timeout), check_compatibility=False
        )


def open_folder(indexing: Indexing, lock_wait_s: float) -> tuple[QdrantClient, Any]:
    from qdrant_client import QdrantClient

    path = str(indexing.folder)
    deadline = time.monotonic() + lock_wait_s
    while True:
        with _folders_lock:
            if path in _folders:
                client, users, lock = _folders[path]
                _folders[path] = (client, users + 1, lock)
                return client, lock
            try:
                with translated(indexing):
                    # SQLite is built for threads; each call has the lock.
                    client = QdrantClient(path=path, force_disable_check_same_thread=True)
                _folders[path] = (client, 1, threading.RLock())
                return client, _folders[path][2]
            except TransientError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.1)


@contextmanager
def translated(indexing: Indexing) -> Iterator[None]:
    """Raise errors of the client as ours."""
    try:
        yield
    except KitestringError:
        raise
    except Exception as error:
        raise translate(error, indexing) from error


def translate(error: Exception, indexing: Indexing) -> KitestringError:
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    if indexing.local:
        return translate_local(error, indexing)
    where = f"Qdrant at {indexing.url}"
    if isinstance(error, ResourceExhaustedResponse):
        return TransientError(f"{where} limits its calls", retry_after_s=float(error.retry_after_s))
    if isinstance(error, ResponseHandlingException):
        return TransientError(
            f"{where} does not answer: {' '.join(str(error).split())[:300]}", hint="Check indexing.url and the server."
        )
    if not isinstance(error, UnexpectedResponse):
        return ConnectorError(f"{where}: {' '.join(str(error).split())[:300]}")
    status, text = error.status_code or 0, error_text(error.content)
    if status in (401, 403):
        return AuthError(f"{where} refused the credentials: {text}", hint="Check indexing.auth_method.")
    if status == 429 or status >= 500:
        return TransientError(f"{where} answered {status}: {text}")
    if status == 404:
        return ConfigError(f"{where} does not know this: {text}", hint="Check indexing.url and indexing.collection.")
    return ConfigError(f"{where} refused a request ({status}): {text}", hint="Check indexing.", status=status)


def translate_local(error: Exception, indexing: Indexing) -> KitestringError:
    text = " ".join(str(error).split())[:300]
    if "already accessed" in text:
        return TransientError(
            f"{indexing.folder} is in use by another process, and the Qdrant client serves one at a time",
            hint="Stop that process, or use a Qdrant server.",
        )
    if isinstance(error, OSError):
        return ConfigError(f"{indexing.folder} cannot be used: {text}", hint="Check indexing.url and the disk.")
    if re.search("full|readonly|read-only|malformed|not a database", text):
        return ConfigError(f"{indexing.folder} cannot be used: {text}", hint="Check the disk and the folder.")
    return ConnectorError(f"the Qdrant client refused a call on {indexing.folder}: {text}")


def error_text(content: bytes | None) -> str:
    """The message in an answer: `{"status": {"error": "…"}}`."""
    text = (content or b"").decode("utf-8", "replace")
    message = re.search(r'"error"\s*:\s*"((?:[^"\\]|\\.)*)"', text)
    return " ".join((message[1] if message else text).split())[:300] or "no message"
